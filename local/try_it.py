"""The API to read and to try at /docs, before the gateway's own routes: Swagger UI as Powertools
ships it, docs/openapi.json, and the demo user's token already filled in."""

import importlib.util
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from local.settings import ROOT

HERE: Final = Path(__file__).parent
# Swagger UI sets styles from its script and keeps its icons in data: URLs; nothing else is let in.
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
GUARDED: Final = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}


class TryIt:
    """Answers /docs and what is below it; all else is `gateway`'s."""

    def __init__(self, gateway: ASGIApp, token: Callable[[], str]) -> None:
        self._gateway = gateway
        self._token = token
        files = {
            "": HERE / "try_it.html",
            "/try_it.js": HERE / "try_it.js",
            "/try_it.css": HERE / "try_it.css",
            "/openapi.json": ROOT / "docs/openapi.json",
            "/swagger-ui.js": swagger_ui() / "swagger-ui-bundle.min.js",
            "/swagger-ui.css": swagger_ui() / "swagger-ui.min.css",
        }
        self._pages = Starlette(
            routes=[
                *(Route(f"/docs{place}", file_of(file)) for place, file in files.items()),
                Route("/docs/token", self.token),
            ]
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        ours = path == "/docs" or path.startswith("/docs/")
        await (self._pages if ours else self._gateway)(scope, receive, send)

    async def token(self, _: Request) -> Response:
        return JSONResponse({"token": self._token()}, headers=GUARDED)


def file_of(file: Path) -> Callable[[Request], Response]:
    def answer(_: Request) -> Response:
        return FileResponse(file, headers=GUARDED)

    return answer


@cache
def swagger_ui() -> Path:
    """Where the installed Powertools keep it; they are not imported for that."""
    found = importlib.util.find_spec("aws_lambda_powertools")
    assert found  # noqa: S101  # the functions need it
    assert found.submodule_search_locations  # noqa: S101
    return Path(found.submodule_search_locations[0], "event_handler/openapi/swagger_ui")
