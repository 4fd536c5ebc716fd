"""MiniStack, the AWS emulator, as a child process that keeps its state between runs."""

import asyncio
import os
import signal
from contextlib import suppress

import httpx

from local.clients import CREDENTIALS
from local.invocation import REGION
from local.processes import bound, signal_group
from local.settings import TOOLS, Settings

START_SECONDS = 60
STOP_SECONDS = 20  # it writes its state on SIGTERM


class EmulatorError(Exception):
    """The emulator did not start."""


class Emulator:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._log = settings.data / "emulator.log"
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        folder = self._settings.data / "emulator"
        (folder / "tmp").mkdir(parents=True, exist_ok=True)
        environment = {
            **CREDENTIALS,
            "AWS_DEFAULT_REGION": REGION,
            "PATH": os.environ["PATH"],
            "BIND_HOST": "127.0.0.1",
            "MINISTACK_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(self._settings.ports["AWS"]),
            "PERSIST_STATE": "1",
            "STATE_DIR": str(folder / "state"),
            "S3_PERSIST": "1",
            "S3_DATA_DIR": str(folder / "s3"),
            "TMPDIR": str(folder / "tmp"),
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "LOG_LEVEL": "WARNING",
        }
        python = TOOLS / "emulator" / "bin" / "python"
        with self._log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *bound(str(python), "-m", "ministack", death="TERM"),
                env=environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        await self._await_ready()

    async def wait(self) -> str:
        """Wait until it ends by itself; what is returned says so."""
        assert self._process is not None  # noqa: S101  # it was started
        code = await self._process.wait()
        return f"the AWS emulator ended with exit code {code}; see {self._log}"

    async def stop(self) -> None:
        if self._process is None or self._process.returncode is not None:
            return
        self._process.send_signal(signal.SIGTERM)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), STOP_SECONDS)
        signal_group(self._process.pid, signal.SIGKILL)
        await self._process.wait()

    async def _await_ready(self) -> None:
        assert self._process is not None  # noqa: S101  # just started
        async with httpx.AsyncClient(base_url=self._settings.aws_url, trust_env=False) as http:
            for _ in range(START_SECONDS * 20):
                if self._process.returncode is not None:
                    break
                with suppress(httpx.HTTPError):
                    if (await http.get("/_ministack/ready")).is_success:
                        return
                await asyncio.sleep(0.05)
        raise EmulatorError(f"the AWS emulator did not start; see {self._log}")
