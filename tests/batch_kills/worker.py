"""The real worker in a process of its own for each ticket, which may end itself at a named step.

Nothing in the product knows of this: functions are wrapped after the process was forked. Queues
are lines on stdout; the buckets are a folder.
"""

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from functions.batch_worker import app
from functions.outbox_sweeper import app as sweeper
from quotekit import connection, outbox, queues, storage
from quotekit.batches import claims, engine, laying, settling, slices, sweeping
from tests.batch_kills import operations
from tests.batching import register, ticket

BEFORE: Final = "before"
AFTER: Final = "after"

# Where a worker can die: what is called there, and the side of it.
STEPS: Final[Mapping[str, tuple[Any, str, str]]] = {
    "before a claim": (claims, "claim", BEFORE),
    "after a claim": (claims, "claim", AFTER),
    "before the job is started": (engine, "start", BEFORE),
    "after the job is started": (engine, "start", AFTER),
    "with the chunk held": (claims, "hold", AFTER),
    "after the effect, before it is written down": (slices, "effect", AFTER),
    "before the commit of a slice": (slices, "checkpoint", AFTER),
    "after the commit of a slice": (slices, "note", BEFORE),
    "before a part is stored": (slices, "store", BEFORE),
    "after a part is stored": (slices, "store", AFTER),
    "before a job is settled": (settling, "settle", BEFORE),
    "before a job's end": (settling, "end", BEFORE),
    "after a job's end, before its news is promised": (settling, "announce", BEFORE),
    "after its news is promised, before the commit": (settling, "announce", AFTER),
    "after the commit, before its news is sent": (outbox, "deliver", BEFORE),
    "after its news is sent": (outbox, "deliver", AFTER),
    "before a result is put together": (engine, "finish", BEFORE),
    "before a result is noted": (settling, "finish", BEFORE),
    "after a result is noted": (settling, "finish", AFTER),
    "before chunks are laid": (laying, "lay", BEFORE),
    "after chunks are laid": (laying, "lay", AFTER),
    "before a job is prepared to its end": (laying, "finish", BEFORE),
    "before any commit": (connection.Connection, "rest", BEFORE),
    "after any commit": (connection.Connection, "rest", AFTER),
    "before the message is deleted": (app, "lambda_handler", AFTER),
}
SWEEPER_STEPS: Final[Mapping[str, tuple[Any, str, str]]] = {
    "after leases are reaped": (sweeping, "reap", AFTER),
    "before tickets are promised": (sweeping, "waiting", AFTER),
    "before tickets are sent": (outbox, "deliver", BEFORE),
}


class Context:
    """Lambda's context, whose time stands still."""

    function_name = "quotekit-test-batch-worker"
    memory_limit_in_mb = 1769
    invoked_function_arn = "arn:aws:lambda:us-east-1:000000000000:function:batch-worker:live"
    aws_request_id = "00000000-0000-4000-8000-000000000000"

    def get_remaining_time_in_millis(self) -> int:
        """For two leases a dead worker's job is not finished by another."""
        return round(float(os.environ["BATCH_LEASE_SECONDS"]) * 2_000)


def end_at(step: str, occurrence: int, with_signal: int) -> None:
    """Wrap what the step names, to end this process there the so-manieth time it is come by."""
    owner, name, side = {**STEPS, **SWEEPER_STEPS}[step]
    original: Callable[..., Any] = getattr(owner, name)
    left = [occurrence]

    def come_by() -> None:
        left[0] -= 1
        if left[0] == 0:
            say({"dies": step})
            os.kill(os.getpid(), with_signal)

    @wraps(original)
    def wrapped(*given: Any, **named: Any) -> Any:
        if side == BEFORE:
            come_by()
        answer = original(*given, **named)
        if side == AFTER:
            come_by()
        return answer

    setattr(owner, name, wrapped)


def say(line: Mapping[str, Any]) -> None:
    os.write(1, (json.dumps(line) + "\n").encode())


def take_the_place_of_aws(folder: Path) -> None:
    """Queues as lines on stdout, which take everything; buckets as files."""

    def send(queue_url: str, messages: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
        for name, message in messages.items():
            say({"queue": queue_url, "message": message, "after": 0})
            yield name

    def send_later(queue_url: str, message: Mapping[str, Any], seconds: int) -> None:
        say({"queue": queue_url, "message": message, "after": seconds})

    def put(_bucket: str, key: str, content: bytes, _kind: str) -> None:
        path = folder / key.replace("/", "_")
        path.with_suffix(f".{os.getpid()}").write_bytes(content)
        path.with_suffix(f".{os.getpid()}").rename(path)

    def part(_bucket: str, key: str, start: int, size: int, *, etag: str) -> bytes:
        return (folder / key.replace("/", "_")).read_bytes()[start : start + size]

    def replace(module: ModuleType, **functions: Callable[..., Any]) -> None:
        for name, function in functions.items():
            setattr(module, name, function)

    replace(queues, send=send, send_later=send_later, url=lambda topic: topic)

    def get(_bucket: str, key: str) -> bytes:
        return (folder / key.replace("/", "_")).read_bytes()

    replace(storage, put=put, part=part, get=get)


def child(order: Mapping[str, Any]) -> None:
    """Do one order, and end without a word or at the step that was named."""
    for owner, name in {(owner, name) for owner, name, _ in STEPS.values()}:
        getattr(owner, name)  # a step that is not there any more is an error, not silence
    if order.get("step"):
        end_at(order["step"], order["occurrence"], order["signal"])
    if "job_id" in order:
        answer = app.lambda_handler(ticket(order["job_id"], order["queue"]), Context())
        say({"answer": answer})
    else:
        say({"swept": sweeper.lambda_handler({}, Context())})


def main() -> None:
    """Fork a process for each order that comes on stdin; say how it ended."""
    register(*operations.ALL)
    vars(engine)["LEAST_TIME"] = 0.5
    take_the_place_of_aws(Path(os.environ["BUCKETS"]))
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            sys.stdin.close()
            try:
                child(order)
            except BaseException as error:  # noqa: BLE001 - said, and the process ended
                say({"error": repr(error)})
                os._exit(1)
            os._exit(0)
        say({"started": pid})
        while True:
            _, status = os.waitpid(pid, os.WUNTRACED)
            if not os.WIFSTOPPED(status):
                break
            say({"stopped": pid})
        say({"ended": -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)})


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    main()
