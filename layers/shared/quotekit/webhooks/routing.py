"""Which queue and handler an event goes to: rules published as one document, kept, never lost.

The document lies in S3 (ROUTING_BUCKET, ROUTING_KEY). When it cannot be read, the last good one
holds; before there was any, the defaults, which are the rows of the migration. Only the standard
library is imported.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from quotekit import exchange
from quotekit.environment import RoutingSettings, WebhookSettings, need

ANY: Final = "*"
BANDS: Final = frozenset({"light", "heavy"})
QUEUES: Final[Mapping[str, str]] = {
    "critical": "WEBHOOKS_CRITICAL_QUEUE_URL",
    "standard": "WEBHOOKS_QUEUE_URL",
    "bulk": "WEBHOOKS_BULK_QUEUE_URL",
}


class Rule(NamedTuple):
    """One row. Patterns are exact, or a beginning followed by *."""

    source: str
    type: str
    action: str
    size_band: str
    queue: str
    handler: str
    debounce_seconds: int | None = None

    @property
    def exactness(self) -> tuple[int, int, int, int, int]:
        """The most exact rule wins: by its type, then its action, then its size band."""
        return (*_exactness(self.type), *_exactness(self.action), int(self.size_band != ANY))

    def fits(self, kind: str, action: str, band: str) -> bool:
        return (
            _fits(self.type, kind) and _fits(self.action, action) and self.size_band in {ANY, band}
        )


class Routing(NamedTuple):
    """The rules of each source, the most exact first; version 0 are the defaults."""

    version: int
    rules: Mapping[str, Sequence[Rule]]

    def rule(self, source: str, kind: str, action: str | None, size: int) -> Rule:
        """The rule for an event; without one the standard queue and the source's own name."""
        band = "light" if size <= WebhookSettings.light_line else "heavy"
        for rule in self.rules.get(source, ()):
            if rule.fits(kind, action or "", band):
                return rule
        return Rule(source, ANY, ANY, ANY, "standard", source)


class RoutingError(Exception):
    """The document is none of ours; the message says where."""


DEFAULTS: Final = (
    Rule("stripe", ANY, ANY, ANY, "critical", "stripe"),
    Rule("stripe", "customer.created", ANY, ANY, "standard", "stripe"),
    Rule("stripe", "customer.updated", ANY, ANY, "standard", "stripe"),
    Rule("stripe", "customer.deleted", ANY, ANY, "standard", "stripe"),
    Rule("stripe", "product.*", ANY, ANY, "standard", "stripe"),
    Rule("stripe", "price.*", ANY, ANY, "standard", "stripe"),
    Rule("github", ANY, ANY, ANY, "bulk", "github"),
    Rule("github", "pull_request", ANY, ANY, "standard", "github", 5),
    Rule("github", "pull_request", "opened", ANY, "standard", "github"),
    Rule("github", "issues", ANY, ANY, "standard", "github", 5),
    Rule("github", "issues", "opened", ANY, "standard", "github"),
    Rule("github", "push", ANY, ANY, "standard", "github", 5),
    Rule("github", "push", ANY, "heavy", "bulk", "github", 5),
    Rule("github", "installation", ANY, ANY, "critical", "github"),
    Rule("github", "installation_repositories", ANY, ANY, "critical", "github"),
    Rule("tiktok-shop", ANY, ANY, ANY, "standard", "tiktok-shop"),
    Rule("tiktok-shop", "1", ANY, ANY, "critical", "tiktok-shop"),
    Rule("easypost", ANY, ANY, ANY, "standard", "carrier"),
    Rule("shippo", ANY, ANY, ANY, "standard", "carrier"),
    Rule("standard", ANY, ANY, ANY, "standard", "standard"),
)


class Kept(NamedTuple):
    routing: Routing
    etag: str = ""
    looked_at: float = 0.0
    error: str = ""


def current(now: float) -> Routing:
    """The published rules, at most WEBHOOK_ROUTING_TTL seconds old while they can be read."""
    kept = _memory.get("kept") or Kept(arranged(0, DEFAULTS))
    if not 0 <= now - kept.looked_at < WebhookSettings.routing_ttl:
        kept = _memory["kept"] = _looked(kept)._replace(looked_at=now)
    return kept.routing


def error() -> str:
    """Why the rules in use are not the published ones; empty when they are."""
    kept = _memory.get("kept")
    return kept.error if kept else ""


def forget() -> None:
    _memory.clear()


_memory: Final[dict[str, Kept]] = {}


def _looked(kept: Kept) -> Kept:
    bucket, key = RoutingSettings.bucket, RoutingSettings.key
    if not bucket or not key:
        return kept
    try:
        answer = exchange.get(bucket, key, kept.etag, timeout=WebhookSettings.timeout)
        if answer.status == NOT_MODIFIED:
            return kept._replace(error="")
        return Kept(parse(answer.body), answer.headers.get("etag", ""))
    except exchange.AwsError as failure:
        unpublished = failure.reason == "404" and kept.routing.version == 0
        return kept._replace(error="" if unpublished else str(failure))
    except RoutingError as failure:
        return kept._replace(error=str(failure))


NOT_MODIFIED: Final = 304


def arranged(version: int, rules: Sequence[Rule]) -> Routing:
    by_source: dict[str, list[Rule]] = {}
    for rule in sorted(rules, key=lambda rule: rule.exactness, reverse=True):
        by_source.setdefault(rule.source, []).append(rule)
    return Routing(version, by_source)


def document(version: int, rules: Sequence[Rule]) -> dict[str, Any]:
    """What is published."""
    return {"version": version, "rules": [rule._asdict() for rule in rules]}


def parse(content: bytes) -> Routing:
    """Read a published document. Raises RoutingError when one part of it is wrong."""
    try:
        found = json.loads(content)
        rules = [Rule(**rule) for rule in found["rules"]]
        version = found["version"]
    except (ValueError, TypeError, KeyError, RecursionError) as failure:
        raise RoutingError(f"no routing document: {type(failure).__name__}") from failure
    problems = [f"rule {place}: {text}" for place, rule in enumerate(rules) for text in wrong(rule)]
    if type(version) is not int or version < 1:
        problems.append("version: not a positive number")
    if problems:
        raise RoutingError("; ".join(problems[:3]))
    return arranged(version, rules)


def wrong(rule: Rule) -> list[str]:
    """What is wrong with a rule, each as `field: why`."""
    texts = {name: getattr(rule, name) for name in ("source", "type", "action", "handler")}
    found = [f"{name}: not a name" for name, text in texts.items() if not _is_name(text)]
    found += [
        f"{name}: * may only end it"
        for name, pattern in (("type", rule.type), ("action", rule.action))
        if isinstance(pattern, str) and ANY in pattern[:-1]
    ]
    if rule.size_band not in (ANY, *BANDS):  # no set: a stranger's list has no hash
        found.append("size_band: not one of *, heavy, light")
    if rule.queue not in tuple(QUEUES):
        found.append("queue: not one of bulk, critical, standard")
    seconds = rule.debounce_seconds
    if seconds is not None and not (type(seconds) is int and 1 <= seconds <= LONGEST_DEBOUNCE):
        found.append(f"debounce_seconds: not from 1 to {LONGEST_DEBOUNCE}")
    return found


LONGEST_DEBOUNCE: Final = 3600
LONGEST_NAME: Final = 200


def _is_name(text: object) -> bool:
    return isinstance(text, str) and 0 < len(text) <= LONGEST_NAME and text.isprintable()


def _exactness(pattern: str) -> tuple[int, int]:
    return int(not pattern.endswith(ANY)), len(pattern)


def _fits(pattern: str, text: str) -> bool:
    if pattern.endswith(ANY):
        return text.startswith(pattern[:-1])
    return text == pattern


def queue_url(queue: str) -> str:
    return need(QUEUES[queue])
