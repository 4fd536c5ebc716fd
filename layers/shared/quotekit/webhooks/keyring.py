"""The senders' secrets: read once, kept, and read again when a signature fails, but not for every
forger who knocks."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from quotekit import secrets
from quotekit.environment import SecretsSettings, WebhookSettings
from quotekit.errors import ServiceUnavailableError

MOST_STRANGERS: Final = 20  # names nobody has, in so many seconds:
WINDOW: Final = 10
MOST_KEPT: Final = 1000
SILENCE: Final = 2  # seconds without another question after Secrets Manager did not answer

type Document = Mapping[str, Any]


class Kept(NamedTuple):
    """`document` is None when there is no such secret."""

    asked_at: float
    document: Document | None

    def is_fresh(self, now: float) -> bool:
        age = WebhookSettings.renewal if self.document is None else SecretsSettings.ttl
        return 0 <= now - self.asked_at < age


_kept: Final[dict[str, Kept]] = {}
_silent: Final[dict[str, float]] = {}
_strangers: Final[list[float]] = []


def name(source: str, endpoint_id: str | None = None) -> str:
    parts = [WebhookSettings.secrets.rstrip("/"), source]
    return "/".join([*parts, endpoint_id] if endpoint_id else parts)


def held(secret: str, now: float) -> Document | None:
    """A secret, or None when there is none. Raises ServiceUnavailableError when AWS does not say,
    except that a secret once read stays good meanwhile."""
    kept = _kept.get(secret)
    if kept is not None and kept.is_fresh(now):
        return kept.document
    return _ask(secret, kept, now)


def renewed(secret: str, now: float) -> Document | None:
    """The secret, if another one was stored since it was read; asked every WEBHOOK_RENEWAL seconds
    at most."""
    kept = _kept.get(secret)
    if kept is None or 0 <= now - kept.asked_at < WebhookSettings.renewal:
        return None
    try:
        found = _ask(secret, kept, now)
    except ServiceUnavailableError:
        return None
    return found if found != kept.document else None


def _ask(secret: str, kept: Kept | None, now: float) -> Document | None:
    if now < _silent.get(secret, 0) or (kept is None and _is_flooded(now)):
        return _as_before(secret, kept, now)
    try:
        found: Document | None = secrets.read(secret)
    except secrets.SecretNotFoundError:
        found = None
        _strangers.append(now)
    except ServiceUnavailableError:
        _silent[secret] = now + SILENCE
        if kept is None or kept.document is None:
            raise
        return _as_before(secret, kept, now)
    _keep(secret, Kept(now, found), now)
    return found


def _as_before(secret: str, kept: Kept | None, now: float) -> Document | None:
    if kept is None or kept.document is None:
        raise ServiceUnavailableError
    later = now - SecretsSettings.ttl + WebhookSettings.renewal
    _kept[secret] = kept._replace(asked_at=max(kept.asked_at, min(now, later)))
    return kept.document


def _is_flooded(now: float) -> bool:
    """Whether so many unknown names came lately that further ones have to wait."""
    _strangers[:] = [moment for moment in _strangers if 0 <= now - moment < WINDOW]
    return len(_strangers) >= MOST_STRANGERS


def _keep(secret: str, found: Kept, now: float) -> None:
    if len(_kept) >= MOST_KEPT:
        fresh = {name: kept for name, kept in _kept.items() if kept.document and kept.is_fresh(now)}
        _kept.clear()
        _kept.update(fresh if len(fresh) < MOST_KEPT else {})
        _silent.clear()
    _kept[secret] = found


def forget() -> None:
    _kept.clear()
    _silent.clear()
    _strangers.clear()
