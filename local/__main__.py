"""The stack's command line: python -m local run, stop, reset, invoke, build or deploy."""

import argparse
import asyncio
import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import uvloop
from rich.console import Console

from local import building, stack
from local.clients import client
from local.emulator import EmulatorError
from local.postgres import PostgresError
from local.serving import PortTakenError
from local.settings import ROOT, STACK_NAME, Settings, SettingsError, read
from local.stack import Stack, StackError

STOP_SECONDS: Final = 60
SAID: Final = (
    *(StackError, SettingsError, PortTakenError, PostgresError, EmulatorError),
    building.CommandError,
)


def main() -> int:
    arguments = _arguments()
    try:
        settings = read()
        missing = building.missing_tools()
        if missing:
            raise StackError(missing)
        verbs: dict[str, Callable[[], None]] = {
            "run": lambda: _detach(settings) if arguments.detach else _run(settings),
            "stop": lambda: _stop(settings),
            "reset": lambda: _reset(settings),
            "invoke": lambda: _invoke(settings, arguments.name),
            "build": _build,
            "deploy": lambda: _deploy(settings),
        }
        verbs[arguments.verb]()
    except SAID as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 1
    except KeyboardInterrupt:
        pass
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m local", description="The local stack.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    run = verbs.add_parser("run", help="start the stack and stay until Ctrl-C")
    run.add_argument("--detach", action="store_true", help="return when it is ready")
    verbs.add_parser("stop", help="end a detached stack")
    verbs.add_parser("reset", help="delete all data of the stack")
    invoke = verbs.add_parser("invoke", help="send events/NAME.json to a function")
    invoke.add_argument("name")
    verbs.add_parser("build", help="sam build for AWS (QUOTEKIT_ARCHITECTURE, default arm64)")
    verbs.add_parser("deploy", help="build and deploy again to the running stack")
    return parser.parse_args()


def _run(settings: Settings) -> None:
    with stack.only_one(settings):
        uvloop.run(_until_signalled(Stack(settings, Console(soft_wrap=False))))


async def _until_signalled(whole: Stack) -> None:
    """Run; SIGINT and SIGTERM end it in order, and only once."""
    task = asyncio.ensure_future(whole.run())
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        return
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from group


def _detach(settings: Settings) -> None:
    """Start the stack in a session of its own and show what it says until it is ready."""
    if process := stack.running(settings):
        raise StackError(f"a stack is running already (process {process})")
    settings.data.mkdir(parents=True, exist_ok=True)
    (settings.local / "stack.json").unlink(missing_ok=True)  # of a run that was killed
    log = settings.data / "stack.log"
    with log.open("wb") as output:
        child = subprocess.Popen(
            [sys.executable, "-m", "local", "run"],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    with log.open(encoding="utf-8", errors="replace") as shown:
        while child.poll() is None and not (settings.local / "stack.json").exists():
            sys.stdout.write(shown.read())
            time.sleep(0.05)
        sys.stdout.write(shown.read())
    if child.poll() is not None:
        raise StackError("the stack did not start")


def _stop(settings: Settings) -> None:
    process = stack.running(settings)
    if process is None:
        print("no stack is running")  # noqa: T201
        return
    os.kill(process, signal.SIGTERM)
    if not stack.await_end(settings, STOP_SECONDS):
        os.kill(process, signal.SIGKILL)
        raise StackError(f"the stack (process {process}) did not end by itself and was killed")


def _reset(settings: Settings) -> None:
    if process := stack.running(settings):
        raise StackError(f"a stack is running (process {process}); end it first with: make stop")
    shutil.rmtree(settings.data, ignore_errors=True)


def _invoke(settings: Settings, name: str) -> None:
    """Send the event through our runtime; the answer goes to stdout, the log to stderr."""
    file = ROOT / "events" / f"{name}.json"
    if not file.exists():
        names = ", ".join(sorted(path.stem for path in file.parent.glob("*.json")))
        raise StackError(f"there is no events/{name}.json; there are: {names}")
    if stack.running(settings) is None:
        raise StackError("no stack is running; start one with: make run")
    answer = client("lambda", settings.invoke_url).invoke(
        FunctionName=f"{STACK_NAME}-{name.replace('_', '-')}",
        Qualifier="live",
        Payload=_with_token(file, settings),
        LogType="Tail",
    )
    sys.stderr.write(base64.b64decode(answer["LogResult"]).decode(errors="replace"))
    result = json.loads(answer["Payload"].read())
    print(json.dumps(result, indent=2, ensure_ascii=False))  # noqa: T201
    if "FunctionError" in answer:
        raise StackError(f"the function failed ({answer['FunctionError']})")


def _with_token(file: Path, settings: Settings) -> bytes:
    """The event; no token in a file is valid here, so a request gets the demo user's."""
    contract = json.loads((settings.local / "stack.json").read_text(encoding="utf-8"))
    event = json.loads(file.read_text(encoding="utf-8"))
    if isinstance(event, dict) and "http" in event.get("requestContext", {}):
        event.setdefault("headers", {})["authorization"] = f"Bearer {contract['token']}"
    return json.dumps(event).encode()


def _build() -> None:
    target = os.environ.get("QUOTEKIT_ARCHITECTURE", "arm64")
    log = building.BUILD / "aws.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    asyncio.run(building.build_for_aws(log, target))
    print(log.read_text(encoding="utf-8").strip().partition("Commands you can use")[0])  # noqa: T201


def _deploy(settings: Settings) -> None:
    """Bring the sources as they are now into the running stack; data and processes stay."""
    process = stack.running(settings)
    if process is None:
        raise StackError("no stack is running; start one with: make run")

    async def bring() -> None:
        log = settings.data / "sam.log"
        await building.build(log)
        await building.deploy(settings, log)

    asyncio.run(bring())
    os.kill(process, signal.SIGHUP)


if __name__ == "__main__":
    sys.exit(main())
