"""The doors behind the local API Gateway, in this process: HTTP in, HTTP out, no server."""

import asyncio
import json
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

import requests

from local.front import Front
from local.invocation import Outcome
from local.routes import Route, RouteTable
from tests.functions.conftest import Answer, LambdaContext
from tests.house.conftest import read
from tests.house.rules import functions, snake


def routes() -> list[Route]:
    """Those of the template, each leading to its function's name."""
    return [
        Route(given["Method"].upper(), given["Path"], snake(name).replace("_", "-"))
        for name, function in functions(read("template.yaml")).items()
        for event in function.get("Events", {}).values()
        if event["Type"] == "HttpApi" and (given := event["Properties"])
    ]


class Doors:
    """Invokes the handler of functions/<name>/app.py with what would travel as JSON."""

    async def invoke(self, function: str, payload: bytes, **_: str) -> Outcome:
        door = import_module(f"functions.{function.replace('-', '_')}.app")
        return Outcome(
            json.dumps(door.lambda_handler(json.loads(payload), LambdaContext())).encode()
        )


@dataclass
class Gateway:
    front: Front = field(default_factory=lambda: Front(Doors(), RouteTable(routes())))
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)

    def send(self, request: requests.PreparedRequest) -> Answer:
        url = urlsplit(str(request.url))
        given = request.body or b""
        body = given.encode() if isinstance(given, str) else given
        headers = [
            (as_bytes(name).lower(), as_bytes(value)) for name, value in request.headers.items()
        ]
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": request.method,
            "scheme": "http",
            "raw_path": url.path.encode("latin-1"),
            "query_string": url.query.encode("latin-1"),
            "headers": headers,
            "client": ("192.0.2.1", 1),
        }
        sent: list[MutableMapping[str, Any]] = []

        async def receive() -> MutableMapping[str, Any]:
            return {"type": "http.request", "body": body}

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message)

        self.loop.run_until_complete(self.front(scope, receive, send))
        start, rest = sent
        answered = {name.decode(): value.decode("latin-1") for name, value in start["headers"]}
        return Answer(start["status"], answered, rest["body"].decode())


def as_bytes(value: str | bytes) -> bytes:
    return value.encode("latin-1") if isinstance(value, str) else value
