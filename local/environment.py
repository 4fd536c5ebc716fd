"""One execution environment: a real awslambdaric process behind a Runtime API of its own."""

import asyncio
import json
import math
import os
import signal
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from local.invocation import PAYLOAD_BYTES, REGION, Call, Outcome, Version
from local.processes import bound, peak_memory, signal_group
from local.wire import read_request, reply

INIT_SECONDS: Final = 10.0  # Lambda's own limit on the init phase
TAIL_LINES: Final = 1000

type LogSink = Callable[[str, str], None]


class Environment:
    """Started cold, invoked once at a time, frozen in between, ended by its own faults or by us."""

    def __init__(
        self,
        version: Version,
        python: Path,
        variables: Mapping[str, str],
        log: LogSink,
        *,
        freeze: bool = True,
    ) -> None:
        self.version = version
        self.alive = True
        self.idle_since = time.monotonic()
        self._python = python
        self._variables = variables
        self._log = log
        self._freeze = freeze
        self._lines: deque[str] = deque(maxlen=TAIL_LINES)
        self._partial = b""
        self._ready = asyncio.Event()
        self._runtime: asyncio.StreamWriter | None = None  # waiting in /invocation/next
        self._call: Call | None = None
        self._init_error: Outcome | None = None
        self._init_duration: float | None = None
        self._pipe = -1
        self._watch: asyncio.Task[None] | None = None
        self._peak = 0

    async def start(self) -> Outcome | None:
        """Run the init phase; what is returned is its error."""
        started = time.perf_counter()
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        self._pipe, theirs = os.pipe()
        os.set_blocking(self._pipe, False)
        self._process = await asyncio.create_subprocess_exec(
            *bound(str(self._python), "-m", "awslambdaric", self.version.handler),
            cwd=self.version.task_root,
            env=self._environment(port),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        asyncio.get_running_loop().add_reader(self._pipe, self._read_log)
        self._watch = asyncio.create_task(self._watch_exit(server))
        if not self.alive:  # stopped while it was being made
            self.kill()
        try:
            async with asyncio.timeout(INIT_SECONDS + self.version.timeout):
                await self._ready.wait()
        except TimeoutError:
            self._init_error = Outcome.failure("Sandbox.Timedout", "Init phase timed out")
            self.kill()
        self._init_duration = (time.perf_counter() - started) * 1000
        return await self._failed_init() if self._init_error else None

    async def invoke(self, call: Call) -> Outcome:
        await self._ready.wait()  # after its last answer it may still be on its way to /next
        self._call = call
        self._write(f"START RequestId: {call.request_id} Version: {self.version.number}")
        started = time.perf_counter()
        self._send(call)
        try:
            async with asyncio.timeout(self.version.timeout):
                outcome = await call.answer
            status = ""
        except TimeoutError:
            outcome = self._time_out(call)
            status = "\tStatus: timeout"
        duration = (time.perf_counter() - started) * 1000
        self._read_log()
        if not self.alive and not status:
            status = "\tStatus: error\tError Type: Runtime.ExitError"
        self._write(f"END RequestId: {call.request_id}")
        self._write(self._report(call, duration) + status)
        self._call = None
        self.idle_since = time.monotonic()
        log = "\n".join(self._lines) + "\n"
        self._lines.clear()
        return Outcome(outcome.payload, outcome.error, call.request_id, self.version.number, log)

    def kill(self) -> None:
        self.alive = False
        if self._watch:
            signal_group(self._process.pid, signal.SIGKILL)

    async def stop(self) -> None:
        self.kill()
        if self._watch:
            await self._watch

    async def _failed_init(self) -> Outcome:
        await self.stop()
        assert self._init_error is not None  # noqa: S101  # the caller asked
        kind = json.loads(self._init_error.payload).get("errorType", "Runtime.Unknown")
        self._write(
            f"INIT_REPORT Init Duration: {self._init_duration:.2f} ms\tPhase: init"
            f"\tStatus: error\tError Type: {kind}"
        )
        log = "\n".join(self._lines) + "\n"
        error = self._init_error
        return Outcome(error.payload, error.error, str(uuid.uuid4()), self.version.number, log)

    def _environment(self, port: int) -> dict[str, str]:
        """What Lambda sets; its /opt is a folder here, so its place is told."""
        version, root = self.version, str(self.version.task_root)
        opt = version.layers_root
        modules = [root, f"{opt}/python/lib/python3.13/site-packages", f"{opt}/python"]
        return {
            "PATH": f"{self._python.parent}:{os.environ['PATH']}:{opt}/bin",
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            "PYTHONPATH": ":".join(modules if opt else modules[:1]),
            "LAMBDA_TASK_ROOT": root,
            "LAMBDA_LAYERS_ROOT": str(opt or "/opt"),
            "_HANDLER": version.handler,
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{port}",
            "AWS_LAMBDA_FUNCTION_NAME": version.function,
            "AWS_LAMBDA_FUNCTION_VERSION": version.number,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(version.memory),
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{version.function}",
            "AWS_LAMBDA_LOG_STREAM_NAME": f"{datetime.now(UTC):%Y/%m/%d}/[{version.number}]"
            f"{uuid.uuid4().hex}",
            "AWS_LAMBDA_LOG_FORMAT": version.log_format,
            "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            **self._variables,
            **version.variables,
        }

    def _send(self, call: Call) -> None:
        if self._runtime is None:  # it died between two calls
            call.answer.set_result(self._exited(call))
            return
        deadline = int((time.time() + self.version.timeout) * 1000)
        headers = {
            "Content-Type": "application/json",
            "Lambda-Runtime-Aws-Request-Id": call.request_id,
            "Lambda-Runtime-Deadline-Ms": str(deadline),
            "Lambda-Runtime-Invoked-Function-Arn": call.arn,
            "Lambda-Runtime-Trace-Id": call.trace,
        }
        if call.client_context:
            headers["Lambda-Runtime-Client-Context"] = call.client_context
        if self._freeze:
            signal_group(self._process.pid, signal.SIGCONT)
        reply(self._runtime, "200 OK", headers, call.payload)
        self._runtime = None
        self._ready.clear()

    def _time_out(self, call: Call) -> Outcome:
        self._peak = peak_memory(self._process.pid)
        self.kill()
        message = f"Task timed out after {self.version.timeout:.2f} seconds"
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self._write(f"{now} {call.request_id} {message}")
        return Outcome.failure("Sandbox.Timedout", f"RequestId: {call.request_id} Error: {message}")

    def _report(self, call: Call, duration: float) -> str:
        init, self._init_duration = self._init_duration, None
        self._peak = max(self._peak, peak_memory(self._process.pid))
        parts = [
            f"REPORT RequestId: {call.request_id}",
            f"Duration: {duration:.2f} ms",
            f"Billed Duration: {math.ceil(duration + (init or 0))} ms",
            f"Memory Size: {self.version.memory} MB",
            # a process that ended by itself took its figure along
            f"Max Memory Used: {self._peak} MB" if self._peak else "",
            f"Init Duration: {init:.2f} ms" if init is not None else "",
        ]
        return "\t".join(part for part in parts if part)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """The Runtime API, as far as a runtime for functions uses it."""
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                path, body = await read_request(reader, writer)
                match path.removeprefix("/2018-06-01/runtime/").split("/"):
                    case ["invocation", "next"]:
                        self._await_call(writer)
                    case ["invocation", request_id, "response" | "error" as kind]:
                        self._finish(request_id, body, None if kind == "response" else "Unhandled")
                        reply(writer, "202 Accepted")
                    case ["init", "error"]:
                        self._init_error = Outcome(body, "Unhandled")
                        reply(writer, "202 Accepted")
                    case _:
                        reply(writer, "404 Not Found")
        writer.close()

    def _await_call(self, runtime: asyncio.StreamWriter) -> None:
        self._runtime = runtime
        self._ready.set()
        if self._freeze:
            signal_group(self._process.pid, signal.SIGSTOP)

    def _finish(self, request_id: str, body: bytes, error: str | None) -> None:
        call = self._call
        if call is None or call.request_id != request_id or call.answer.done():
            return
        if len(body) > PAYLOAD_BYTES:
            message = (
                f"Response payload size exceeded maximum allowed payload size ({PAYLOAD_BYTES}"
            )
            call.answer.set_result(
                Outcome.failure("Function.ResponseSizeTooLarge", f"{message} bytes).")
            )
        else:
            call.answer.set_result(Outcome(body, error))

    async def _watch_exit(self, server: asyncio.Server) -> None:
        await self._process.wait()
        self.alive = False
        self._runtime = None
        self._read_log()
        self._init_error = self._init_error or self._exited(None)  # asked for by start() only
        self._ready.set()
        if self._call and not self._call.answer.done():
            self._call.answer.set_result(self._exited(self._call))
        signal_group(self._process.pid, signal.SIGKILL)  # whatever it had started
        asyncio.get_running_loop().remove_reader(self._pipe)
        os.close(self._pipe)
        self._pipe = -1
        server.close()

    def _exited(self, call: Call | None) -> Outcome:
        code = self._process.returncode or 0
        why = "Runtime exited without a reason"
        if code:
            how = f"exit status {code}" if code > 0 else f"signal: {signal.strsignal(-code)}"
            why = f"Runtime exited with error: {how.lower()}"
        about = f"RequestId: {call.request_id} " if call else ""
        return Outcome.failure("Runtime.ExitError", f"{about}Error: {why}")

    def _read_log(self) -> None:
        """Take what is in the pipe now; all a call wrote is there before its answer is."""
        while self._pipe >= 0:
            try:
                data = os.read(self._pipe, 65536)
            except BlockingIOError:
                return
            if not data:
                return
            *lines, self._partial = (self._partial + data.replace(b"\r", b"\n")).split(b"\n")
            for line in lines:
                self._write(line.decode(errors="replace"))

    def _write(self, line: str) -> None:
        self._lines.append(line)
        self._log(self.version.function, line)
