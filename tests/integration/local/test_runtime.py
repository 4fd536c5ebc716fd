"""The Lambda service on real awslambdaric processes."""

import asyncio
import json
import os
import re
import time
from dataclasses import replace
from pathlib import Path

import pytest

from local.runtime import FunctionNotFoundError, TooManyRequestsError

ECHO = """
    import os
    calls = 0
    def handler(event, context):
        global calls
        calls += 1
        return {"event": event, "calls": calls, "pid": os.getpid()}
"""


def once(stage, name="echo", event=b"{}", **options):
    return stage.run(lambda runtime: runtime.invoke(name, event, **options))


def body(outcome):
    return json.loads(outcome.payload)


def test_the_second_call_meets_the_same_environment(stage):
    stage.shelf.put("echo", ECHO)

    async def play(runtime):
        return [body(await runtime.invoke("echo", b'{"n": 1}')) for _ in range(3)]

    first, second, third = stage.run(play)

    assert first["event"] == {"n": 1}
    assert [first["calls"], second["calls"], third["calls"]] == [1, 2, 3]
    assert first["pid"] == third["pid"]


def test_the_newest_idle_environment_is_taken_first(stage):
    stage.shelf.put(
        "echo",
        """
        import os, time
        def handler(event, context):
            time.sleep(event)
            return os.getpid()
        """,
    )

    async def play(runtime):
        early, late = await asyncio.gather(
            runtime.invoke("echo", b"0.01"), runtime.invoke("echo", b"0.4")
        )
        return body(early), body(late), body(await runtime.invoke("echo", b"0"))

    early, late, third = stage.run(play)

    assert early != late
    assert third == late


def test_the_function_sees_what_lambda_would_show_it(stage):
    stage.shelf.put(
        "echo",
        """
        import os, time, boto3
        def handler(event, context):
            return {
                "env": dict(os.environ),
                "request_id": context.aws_request_id,
                "arn": context.invoked_function_arn,
                "left": context.get_remaining_time_in_millis(),
                "client": context.client_context.custom,
            }
        """,
        timeout=5.0,
        memory=512,
        variables={"STAGE": "local"},
    )

    outcome = once(stage, client_context='{"custom": {"k": "v"}}', trace="Root=1-a-b;Sampled=0")

    seen = body(outcome)
    assert seen["request_id"] == outcome.request_id
    assert seen["arn"] == "arn:aws:lambda:us-east-1:000000000000:function:echo"
    assert 3000 < seen["left"] <= 5000
    assert seen["client"] == {"k": "v"}
    assert seen["env"]["STAGE"] == "local"
    assert seen["env"]["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "512"
    assert seen["env"]["_X_AMZN_TRACE_ID"] == "Root=1-a-b;Sampled=0"


def test_an_environment_is_stopped_between_calls(stage):
    stage.shelf.put("echo", ECHO)

    async def play(runtime):
        pid = body(await runtime.invoke("echo", b"{}"))["pid"]
        deadline = time.monotonic() + 5
        while state(pid) != "T" and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        return state(pid)

    def state(pid):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]

    assert stage.run(play) == "T"

    stage.settings = replace(stage.settings, freeze=False)

    async def play_unfrozen(runtime):
        pid = body(await runtime.invoke("echo", b"{}"))["pid"]
        await asyncio.sleep(0.1)
        return state(pid)

    assert stage.run(play_unfrozen) == "S"


def test_a_call_over_its_time_is_ended_with_its_environment(stage):
    stage.shelf.put(
        "echo",
        """
        import os, subprocess, time
        def handler(event, context):
            child = subprocess.Popen(["sleep", "60"])
            print("child", child.pid)
            time.sleep(event)
            return os.getpid()
        """,
        timeout=0.5,
    )

    async def play(runtime):
        slow = await runtime.invoke("echo", b"30")
        return slow, await runtime.invoke("echo", b"0")

    slow, next_one = stage.run(play)

    assert slow.error == "Unhandled"
    assert body(slow)["errorType"] == "Sandbox.Timedout"
    assert body(slow)["errorMessage"].endswith("Error: Task timed out after 0.50 seconds")
    assert next_one.error is None
    (child,) = re.findall(r"child (\d+)", slow.log)
    assert not running(int(child))
    report, _ = stage.lines("REPORT")
    assert report.endswith("\tStatus: timeout")
    assert int(re.search(r"Max Memory Used: (\d+) MB", report)[1]) > 5


def running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("import no_such_module\ndef handler(e, c): pass", "Runtime.ImportModuleError"),
        ("handle = 1", "Runtime.HandlerNotFound"),
        ("def handler(e, c):\n  return (", "Runtime.UserCodeSyntaxError"),
        ("import os; os._exit(3)", "Runtime.ExitError"),
        ("raise ValueError('no settings')", "ValueError"),
    ],
)
def test_a_function_that_does_not_start_answers_with_its_init_error(stage, code, kind):
    stage.shelf.put("echo", code)

    outcome = once(stage)

    assert outcome.error == "Unhandled"
    assert body(outcome)["errorType"] == kind
    assert f"Phase: init\tStatus: error\tError Type: {kind}" in stage.lines("INIT_REPORT")[0]


def test_an_exception_is_an_unhandled_error_and_keeps_the_environment(stage):
    stage.shelf.put(
        "echo",
        """
        calls = 0
        def handler(event, context):
            global calls
            calls += 1
            if event == "fail":
                raise KeyError("missing")
            return calls
        """,
    )

    async def play(runtime):
        return await runtime.invoke("echo", b'"fail"'), await runtime.invoke("echo", b"1")

    failed, worked = stage.run(play)

    assert failed.error == "Unhandled"
    assert body(failed)["errorType"] == "KeyError"
    assert body(failed)["stackTrace"]
    assert "[ERROR] KeyError: 'missing'" in failed.log
    assert body(worked) == 2


@pytest.mark.parametrize(
    ("ending", "said"),
    [
        ("os._exit(7)", "Runtime exited with error: exit status 7"),
        ("os._exit(0)", "Runtime exited without a reason"),
        ("os.kill(os.getpid(), 9)", "Runtime exited with error: signal: killed"),
    ],
)
def test_a_process_that_ends_is_an_error_and_replaced(stage, ending, said):
    stage.shelf.put(
        "echo",
        f"""
        import os
        def handler(event, context):
            if event:
                {ending}
            return "new"
        """,
    )

    async def play(runtime):
        return await runtime.invoke("echo", b"1"), await runtime.invoke("echo", b"0")

    ended, replaced = stage.run(play)

    assert ended.error == "Unhandled"
    assert body(ended)["errorType"] == "Runtime.ExitError"
    assert body(ended)["errorMessage"].endswith(said)
    assert body(replaced) == "new"


def test_the_reserve_counts_running_and_waiting_calls(stage):
    stage.shelf.put("echo", "import time\ndef handler(e, c):\n    time.sleep(0.3)")
    stage.shelf.reserved["echo"] = 2
    stage.settings = replace(stage.settings, environments_per_function=1)

    async def play(runtime):
        calls = [runtime.invoke("echo", b"{}") for _ in range(4)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        return results, await runtime.invoke("echo", b"{}")

    results, after = stage.run(play)

    assert [type(result) for result in results[2:]] == [TooManyRequestsError] * 2
    assert [result.error for result in results[:2]] == [None, None]
    assert after.error is None
    assert len(stage.lines("REPORT")) == 3


def test_the_report_tells_what_was_measured(stage):
    stage.shelf.put(
        "echo",
        """
        import time
        def handler(event, context):
            print("allocating")
            block = bytearray(60_000_000)
            time.sleep(0.2)
        """,
        memory=256,
    )

    async def play(runtime):
        return await runtime.invoke("echo", b"{}"), await runtime.invoke("echo", b"{}")

    cold, warm = stage.run(play)

    cold_report, warm_report = stage.lines("REPORT")
    pattern = (
        r"REPORT RequestId: ([\w-]{36})\tDuration: ([\d.]+) ms\tBilled Duration: (\d+) ms"
        r"\tMemory Size: 256 MB\tMax Memory Used: (\d+) MB(?:\tInit Duration: ([\d.]+) ms)?"
    )
    request_id, duration, billed, memory, init = re.fullmatch(pattern, cold_report).groups()
    assert request_id == cold.request_id
    assert 200 <= float(duration) < 1000
    assert 60 <= int(memory) < 256
    assert float(init) > 10
    assert abs(int(billed) - float(duration) - float(init)) <= 1
    assert re.fullmatch(pattern, warm_report)[5] is None
    assert cold.log.splitlines()[-4:-1] == [
        f"START RequestId: {request_id} Version: $LATEST",
        "allocating",
        f"END RequestId: {request_id}",
    ]
    assert "allocating" in warm.log
    assert cold.request_id not in warm.log


def test_traffic_follows_the_weights_of_an_alias_at_once(stage):
    for number in ("1", "2"):
        stage.shelf.put("echo", f"def handler(e, c): return {number}", number=number)

    async def play(runtime):
        seen = {}
        for weight in (0.0, 0.3, 1.0):
            stage.shelf.aliases["echo", "live"] = {"1": 1 - weight, "2": weight}
            calls = [runtime.invoke("echo", b"{}", qualifier="live") for _ in range(200)]
            seen[weight] = sum(body(outcome) == 2 for outcome in await asyncio.gather(*calls))
        return seen

    seen = stage.run(play)

    assert seen[0.0] == 0
    assert 40 <= seen[0.3] <= 80
    assert seen[1.0] == 200


def test_the_alias_is_in_the_arn_the_function_sees(stage):
    stage.shelf.put(
        "echo",
        "def handler(e, c): return [c.invoked_function_arn, c.function_version]",
        number="4",
    )
    stage.shelf.aliases["echo", "live"] = {"4": 1.0}

    outcome = once(stage, qualifier="live")

    assert body(outcome) == ["arn:aws:lambda:us-east-1:000000000000:function:echo:live", "4"]
    assert outcome.version == "4"


def test_an_unknown_function_is_refused(stage):
    with pytest.raises(FunctionNotFoundError):
        once(stage, name="nobody")


def test_an_answer_above_6_mb_is_an_error(stage):
    stage.shelf.put("echo", "def handler(n, c): return 'x' * n")

    async def play(runtime):
        return [await runtime.invoke("echo", str(n).encode()) for n in (6_000_000, 6_300_000)]

    fits, exceeds = stage.run(play)

    assert len(fits.payload) == 6_000_002
    assert body(exceeds)["errorType"] == "Function.ResponseSizeTooLarge"


def test_an_asynchronous_call_is_tried_three_times(stage):
    stage.shelf.put("echo", "def handler(e, c): raise ValueError")

    async def play(runtime):
        await runtime.send("echo", b"{}")
        while not stage.lines("asynchronous"):
            await asyncio.sleep(0.01)

    stage.run(play)

    assert len(stage.lines("START")) == 3


def test_idle_environments_end(stage):
    stage.shelf.put("echo", ECHO)
    stage.settings = replace(stage.settings, idle_seconds=0.1)

    async def play(runtime):
        reaper = asyncio.create_task(runtime.reap())
        pid = body(await runtime.invoke("echo", b"{}"))["pid"]
        deadline = time.monotonic() + 5
        while running(pid) and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        reaper.cancel()
        return running(pid)

    assert not stage.run(play)


def test_stopping_leaves_no_process_not_even_a_busy_one(stage):
    stage.shelf.put(
        "echo", "import os, time\ndef handler(e, c):\n print(os.getpid())\n time.sleep(60)"
    )
    pids = []

    async def play(runtime):
        call = asyncio.create_task(runtime.invoke("echo", b"{}"))
        while not (pids := [int(line) for _, line in stage.log if line.isdigit()]):
            await asyncio.sleep(0.01)
        call.cancel()
        return pids

    pids = stage.run(play)

    assert pids
    assert not any(running(pid) for pid in pids)
    assert os.getpid() not in pids


def test_the_work_goes_on_when_the_caller_leaves(stage, tmp_path):
    stage.shelf.put(
        "echo",
        f"""
        import pathlib, time
        def handler(event, context):
            time.sleep(0.3)
            pathlib.Path({str(tmp_path)!r}, "done").touch()
        """,
    )

    async def play(runtime):
        await runtime.invoke("echo", b"{}")
        (tmp_path / "done").unlink()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(runtime.invoke("echo", b"{}"), 0.05)
        deadline = time.monotonic() + 5
        while not (tmp_path / "done").exists() and time.monotonic() < deadline:
            await asyncio.sleep(0.01)

    stage.run(play)

    assert (tmp_path / "done").exists()
