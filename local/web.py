"""Static files of web/ in front of the API, on one address: what a content network does on AWS."""

from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from local.settings import ROOT

FOLDER: Final = ROOT / "web"
PREFIX: Final = "/assets"


class Web:
    """Leads /assets/ to the files and all else to the API."""

    def __init__(self, api: ASGIApp, folder: Path = FOLDER) -> None:
        self._api = api
        files = StaticFiles(directory=folder)
        self._files = Starlette(routes=[Mount(PREFIX, files)])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        ours = scope.get("path", "").startswith(f"{PREFIX}/")
        await (self._files if ours else self._api)(scope, receive, send)
