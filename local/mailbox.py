"""The mail page, and the SES address that records what the functions send.

Functions send to this address; each call goes on to the emulator as it came, whose verdict
counts. The emulator alone would keep neither attachments nor, between runs, any mail.
"""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import asdict
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qs

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from local import mail_page, mails
from local.mails import MailNotFoundError, MailStore

DROPPED: Final = frozenset({"host", "content-length", "connection", "expect", "transfer-encoding"})
# A mail is a stranger's page: it may show its own styles and pictures, and do nothing.
MAIL_POLICY: Final = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'"
)
PAGE_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; base-uri 'none'"
)
UNAVAILABLE: Final = {"__type": "ServiceUnavailable", "message": "refused, as PUT /faults asked"}
GUARDED: Final = {"x-content-type-options": "nosniff", "referrer-policy": "no-referrer"}


class Mailbox:
    """The page at /, JSON at /messages, SES at POST / and /v2/email/…."""

    def __init__(self, store: MailStore, emulator: httpx.AsyncClient) -> None:
        self._store = store
        self._emulator = emulator
        self._refusals = 0
        self.application = Starlette(
            routes=[
                Route("/", self.page, methods=["GET"]),
                Route("/", self.ses, methods=["POST"]),
                Route("/v2/email/{rest:path}", self.ses, methods=["GET", "POST", "PUT", "DELETE"]),
                Route("/messages", self.listed, methods=["GET"]),
                Route("/messages", self.cleared, methods=["DELETE"]),
                Route("/messages/{id}", self.shown),
                Route("/messages/{id}/raw", self.raw),
                Route("/messages/{id}/html", self.html),
                Route("/messages/{id}/attachments/{number:int}", self.attachment),
                Route("/faults", self.faults, methods=["PUT"]),
            ],
            exception_handlers={MailNotFoundError: _not_found},
        )

    async def page(self, request: Request) -> Response:
        chosen = request.query_params.get("id")
        mail = self._store.get(chosen) if chosen else None
        body = mail_page.render(self._store.summaries(), chosen, mail)
        return HTMLResponse(body, headers=GUARDED | {"content-security-policy": PAGE_POLICY})

    async def listed(self, _: Request) -> Response:
        return JSONResponse([asdict(summary) for summary in self._store.summaries()])

    async def cleared(self, _: Request) -> Response:
        self._store.clear()
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def shown(self, request: Request) -> Response:
        identity = request.path_params["id"]
        return JSONResponse(mails.details(identity, self._store.get(identity)))

    async def raw(self, request: Request) -> Response:
        content = self._store.raw(request.path_params["id"])
        return Response(content, headers=GUARDED, media_type="text/plain")

    async def html(self, request: Request) -> Response:
        body = mails.html_with_pictures(self._store.get(request.path_params["id"]))
        return HTMLResponse(body, headers=GUARDED | {"content-security-policy": MAIL_POLICY})

    async def attachment(self, request: Request) -> Response:
        found = mails.parts(self._store.get(request.path_params["id"]))
        number = request.path_params["number"]
        if number >= len(found):
            raise MailNotFoundError(f"attachment {number}")
        name = re.sub(r"[^\w.\- ]", "_", found[number].get_filename() or "part", flags=re.ASCII)
        return Response(
            mails.content_of(found[number]),
            headers=GUARDED | {"content-disposition": f'attachment; filename="{name}"'},
            media_type=found[number].get_content_type(),
        )

    async def faults(self, request: Request) -> Response:
        """Refuse the next sends, so that the retry of a mail can be seen: {"next": 2}."""
        self._refusals = int((await request.json())["next"])
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def ses(self, request: Request) -> Response:
        body = await request.body()
        sent = _mail_in(request, body)
        if sent and self._refusals:
            self._refusals -= 1
            return JSONResponse(UNAVAILABLE, HTTPStatus.SERVICE_UNAVAILABLE)
        answer = await self._emulator.request(
            request.method,
            request.url.path,
            params=request.query_params,
            content=body,
            headers={k: v for k, v in request.headers.items() if k.lower() not in DROPPED},
        )
        if sent and answer.is_success:
            self._store.add(sent, _message_id(answer.text))
        kept = {"content-type": answer.headers.get("content-type", "text/xml")}
        return Response(answer.content, answer.status_code, kept)


def _mail_in(request: Request, body: bytes) -> bytes | None:
    """The mail a call sends, if it sends one."""
    if request.url.path == "/v2/email/outbound-emails":
        return _mail_of_v2(json.loads(body))
    if request.url.path == "/" and request.method == "POST":
        return _mail_of_v1({name: values[0] for name, values in parse_qs(body.decode()).items()})
    return None


def _mail_of_v1(call: Mapping[str, str]) -> bytes | None:
    match call.get("Action"):
        case "SendRawEmail":
            return base64.b64decode(call["RawMessage.Data"])
        case "SendEmail":
            to = [v for k, v in call.items() if k.startswith("Destination.ToAddresses.member.")]
            return mails.compose(
                call["Source"],
                to,
                call.get("Message.Subject.Data", ""),
                call.get("Message.Body.Text.Data"),
                call.get("Message.Body.Html.Data"),
            )
    return None


def _mail_of_v2(call: dict[str, Any]) -> bytes | None:
    content = call.get("Content", {})
    if "Raw" in content:
        return base64.b64decode(content["Raw"]["Data"])
    if "Simple" not in content:
        return None
    simple = content["Simple"]
    return mails.compose(
        call.get("FromEmailAddress", ""),
        call.get("Destination", {}).get("ToAddresses", []),
        simple.get("Subject", {}).get("Data", ""),
        simple.get("Body", {}).get("Text", {}).get("Data"),
        simple.get("Body", {}).get("Html", {}).get("Data"),
    )


def _message_id(answer: str) -> str:
    found = re.search(r'(?:<MessageId>|"MessageId":\s*")([^<"]+)', answer)
    return found[1] if found else ""


async def _not_found(_: Request, error: Exception) -> Response:
    return JSONResponse({"message": f"no mail {error}"}, HTTPStatus.NOT_FOUND)
