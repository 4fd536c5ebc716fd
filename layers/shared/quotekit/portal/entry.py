"""Who opens a client's page: a request with a token, counted, let in to one quote."""

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address
from typing import Any, Final
from uuid import UUID

from quotekit import database, secrets
from quotekit.database import SERVICE, Actor
from quotekit.portal import limits
from quotekit.quotes import links
from quotekit.settings import portal_settings

# What a mail program, a messenger or a scanner calls itself when it looks at a link for somebody.
MACHINE: Final = re.compile(
    r"bot\b|crawl|spider|preview|scan|fetch|facebookexternalhit|slack|whatsapp"
    r"|telegram|skype|curl|wget|python|java/|okhttp|go-http|libwww|axios",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Visitor:
    """One request: where it came from, and whether a person seems to be looking."""

    source_ip: str
    user_agent: str
    looks: bool


@dataclass(frozen=True, slots=True)
class Guest:
    """A visitor with a link that works."""

    visitor: Visitor
    token: str
    quote_id: UUID
    actor: Actor


def visitor(event: Mapping[str, Any]) -> Visitor:
    """Who sent an API Gateway event (payload format 2.0).

    Raises ServiceUnavailableError when the key of a request that shows one cannot be checked."""
    http, headers = event["requestContext"]["http"], event["headers"]
    looks = http["method"] == "GET" and person(headers)
    source_ip = forwarded(headers) or http["sourceIp"]
    return Visitor(source_ip, headers.get("user-agent", ""), looks)


def forwarded(headers: Mapping[str, str]) -> str | None:
    """The address that web.yaml's distribution saw, believed to nobody who lacks its key."""
    shown, edge_secret = headers.get("x-quotekit-edge"), portal_settings().edge_secret
    if shown is None or edge_secret is None:
        return None
    key: str = secrets.secret(edge_secret)["key"]
    if not hmac.compare_digest(shown.encode(), key.encode()):
        return None
    return str(ip_address(headers["x-quotekit-viewer"]))


def person(headers: Mapping[str, str]) -> bool:
    """Whether a page is opened to be read, as far as the request tells.

    Browsers say what they fetch a page for; older ones are known by their name. A scanner that
    drives a real browser cannot be told from a person."""
    purpose = headers.get("sec-purpose", "") + headers.get("purpose", "") + headers.get("x-moz", "")
    agent = headers.get("user-agent", "")
    if purpose or MACHINE.search(agent) or not agent.startswith("Mozilla/"):
        return False
    return headers.get("sec-fetch-dest", "document") == "document"


def enter(token: str, visitor: Visitor, now: datetime) -> Guest:
    """Let a visitor in to the quote his token leads to, and to nothing else.

    Raises RateLimitedError, NotFoundError or GoneError, each after the request was counted."""
    with database.transaction(SERVICE) as connection:
        counted = limits.count(connection, visitor.source_ip, token)
        found = links.find(connection, token)
    limits.check(counted)
    link = links.require_open(found, now)
    claims = {"account_id": str(link.account_id), "quote_id": str(link.quote_id)}
    return Guest(visitor, token, link.quote_id, Actor("quote_client", claims))
