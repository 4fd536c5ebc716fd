"""What is invoked and what comes of it."""

import asyncio
import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

REGION: Final = "us-east-1"
ACCOUNT: Final = "000000000000"
PAYLOAD_BYTES: Final = 6 * 1024 * 1024  # of a request and of a response


@dataclass(frozen=True)
class Version:
    """A version of a function as it was deployed, its code unpacked."""

    function: str
    number: str
    handler: str
    task_root: Path
    layers_root: Path | None = None
    timeout: float = 3.0
    memory: int = 128
    variables: Mapping[str, str] = field(default_factory=dict)
    log_format: str = "Text"

    def arn(self, qualifier: str) -> str:
        arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{self.function}"
        return arn if qualifier == "$LATEST" else f"{arn}:{qualifier}"


@dataclass(frozen=True)
class Outcome:
    """What an invocation came to; `error` is Lambda's X-Amz-Function-Error."""

    payload: bytes
    error: str | None = None
    request_id: str = ""
    version: str = ""
    log: str = ""

    @classmethod
    def failure(cls, kind: str, message: str) -> "Outcome":
        return cls(json.dumps({"errorType": kind, "errorMessage": message}).encode(), "Unhandled")


def trace_id() -> str:
    return f"Root=1-{int(time.time()):08x}-{uuid.uuid4().hex[:24]}"


@dataclass
class Call:
    """One event on its way through one environment."""

    payload: bytes
    arn: str
    client_context: str | None = None
    trace: str = field(default_factory=trace_id)
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    answer: asyncio.Future[Outcome] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
