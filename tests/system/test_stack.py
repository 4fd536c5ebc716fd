"""The stack's own life: it keeps data, refuses a twin, and leaves nothing behind. Runs last."""

import os
import signal
import time
from pathlib import Path

from tests.stacks import Stack, eventually


def test_data_stay_between_runs_and_no_process_is_left(stack: Stack) -> None:
    with stack.http() as api:
        before = api.get("/v1/quotes").json()["data"]
    stack.stop()
    eventually(lambda: not stack.processes())
    assert not (stack.folder / "stack.json").exists()

    started = time.monotonic()
    stack.start()
    seconds = time.monotonic() - started

    assert seconds <= 30
    with stack.http() as api:
        assert api.get("/v1/quotes").json()["data"] == before
        printed = next(quote for quote in before if quote["number"])
        link = api.post(f"/v1/quotes/{printed['id']}/pdf")
        assert link.status_code == 200


def test_a_second_stack_and_a_reset_are_refused_in_one_line(stack: Stack) -> None:
    for verb in (["run"], ["reset"]):
        refused = stack.command(*verb)

        assert refused.returncode == 1
        assert len(refused.stderr.strip().splitlines()) == 1
        assert "running" in refused.stderr


def test_a_taken_port_is_said_in_one_line(stack: Stack, tmp_path: Path) -> None:
    other = Stack(tmp_path, stack.environment | {"QUOTEKIT_DATA": str(tmp_path)})

    refused = other.command("run")

    assert refused.returncode == 1
    said = refused.stderr.strip().splitlines()
    assert "is taken" in said[0]
    assert "QUOTEKIT_" in said[0]


def test_the_crash_of_a_part_is_said_and_ends_the_rest(stack: Stack) -> None:
    (emulator,) = [
        int(place.name)
        for place in Path("/proc").glob("[0-9]*")
        if b"ministack" in (place / "cmdline").read_bytes()
        and str(stack.folder).encode() in (place / "environ").read_bytes()
    ]

    os.kill(emulator, signal.SIGKILL)

    eventually(lambda: not stack.processes())
    log = "".join(path.read_text(errors="replace") for path in stack.folder.rglob("*.log"))
    assert "emulator" in log
