"""A stack of the tests' own beside whatever runs on this machine: own data, own ports."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import boto3
import httpx

ROOT: Final = Path(__file__).parents[1]
PARTS: Final = ("API", "AWS", "MAIL", "DATABASE", "INVOKE", "ISSUER")
START_SECONDS: Final = 240
# Settings of whoever runs the tests, which the stack must not take for its own.
FOREIGN: Final = re.compile(r"AWS_(?!CA_BUNDLE)|DATABASE_|PYTHONDONTWRITEBYTECODE|POWERTOOLS_")


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [taken.getsockname()[1] for taken in sockets]
    for taken in sockets:
        taken.close()
    return ports


@dataclass
class Stack:
    """`python -m local`, and what it wrote into stack.json."""

    folder: Path
    environment: dict[str, str]
    facts: dict[str, str] = field(default_factory=dict)

    @classmethod
    def beside(cls, folder: Path, **settings: str) -> "Stack":
        """One that meets no other: its data in `folder`, its ports free."""
        ports = dict(zip(PARTS, free_ports(len(PARTS)), strict=True))
        environment = {name: value for name, value in os.environ.items() if not FOREIGN.match(name)}
        environment |= {f"QUOTEKIT_{part}_PORT": str(port) for part, port in ports.items()}
        environment |= {"QUOTEKIT_DATA": str(folder), "SAM_CLI_TELEMETRY": "0"}
        return cls(folder, environment | settings)

    def command(self, *arguments: str, seconds: float = 60) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "local", *arguments],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def start(self) -> str:
        """Start it and wait until it is ready; what it said."""
        done = self.command("run", "--detach", seconds=START_SECONDS)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        self.facts = json.loads((self.folder / "stack.json").read_text())
        (self.folder / "start.txt").write_text(done.stdout)
        return done.stdout

    @property
    def is_running(self) -> bool:
        return (self.folder / "stack.json").exists()

    def stop(self) -> None:
        done = self.command("stop")
        assert done.returncode == 0, done.stderr

    def processes(self) -> list[str]:
        """Every process of this stack that is alive: they all know its folder."""
        found = []
        for place in Path("/proc").glob("[0-9]*"):
            try:
                text = (place / "environ").read_bytes() + (place / "cmdline").read_bytes()
                state = (place / "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            if (
                str(self.folder).encode() in text
                and state != "Z"
                and int(place.name) != os.getpid()
            ):
                found.append((place / "cmdline").read_bytes().decode().replace("\0", " "))
        return [line for line in found if "pytest" not in line]

    def http(self, token: str | None = "token") -> httpx.Client:  # noqa: S107
        headers = {"authorization": f"Bearer {self.facts[token]}"} if token else {}
        return httpx.Client(base_url=self.facts["api_url"], headers=headers, timeout=40)

    def aws(self, service: str) -> Any:
        return boto3.client(
            service,  # type: ignore[call-overload]
            endpoint_url=self.facts["aws_endpoint_url"],
            region_name=self.facts["region"],
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    def mails(self, recipient: str) -> list[dict[str, Any]]:
        listed = httpx.get(f"{self.facts['mail_url']}/messages").json()
        return [
            httpx.get(f"{self.facts['mail_url']}/messages/{mail['id']}").json()
            for mail in listed
            if recipient in mail["to"]
        ]


def eventually[T](look: Callable[[], T], *, seconds: float = 30) -> T:
    """The first true thing `look` finds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"nothing within {seconds} seconds")
