"""The page behind an accepted quote that says who accepted it, when, from where, and what."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from quotekit.quotes.certificate_words import WORDS
from quotekit.quotes.languages import Language


@dataclass(frozen=True, slots=True)
class Quantity:
    """How much of a line was taken."""

    name: str
    quantity: Decimal
    unit: str


@dataclass(frozen=True, slots=True)
class Certificate:
    """How the client accepted; `total` is with the options he took, `signature` an SVG path,
    `chosen` what he took of each group, `quantities` how much where that was his to say."""

    id: str
    name: str
    signature: str | None
    accepted_at: datetime
    source_ip: str
    user_agent: str
    version_sha256: str
    total: Decimal
    chosen: Sequence[str] = ()
    quantities: Sequence[Quantity] = ()


def certified(given: Certificate | None, currency: str, spoken: Language) -> dict[str, Any] | None:
    """What the template prints, each value a finished string."""
    if given is None:
        return None
    words = WORDS[spoken.locale.language]
    return {
        "title": words.certificate,
        "intro": words.certified,
        "facts": [
            [words.accepted_by, given.name],
            [words.accepted_at, spoken.moment(given.accepted_at)],
            *listed(words.chosen, given.chosen),
            *listed(words.quantities, [amount(one, spoken) for one in given.quantities]),
            [words.accepted_total, spoken.money(given.total, currency)],
            [words.source_ip, given.source_ip],
            [words.user_agent, given.user_agent or words.not_told],
            [words.fingerprint, given.version_sha256],
            [words.certificate_id, given.id],
        ],
        "signature": given.signature,
        "signature-alt": words.signature_of.format(name=given.name),
        "signature-label": words.signature,
        "unsigned": words.not_drawn,
    }


def listed(name: str, told: Sequence[str]) -> list[list[str]]:
    return [[name, "\n".join(told)]] if told else []


def amount(one: Quantity, spoken: Language) -> str:
    return f"{one.name}: {spoken.number(one.quantity)} {one.unit}".strip()


def drawings(given: Certificate | None) -> dict[str, bytes]:
    """The signature as a drawing; the database let nothing but M, L and digits into it."""
    if given is None or given.signature is None:
        return {}
    drawing = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 600 200"><path fill="none" '
        'stroke="#1d2329" stroke-width="3" stroke-linecap="round" stroke-linejoin="round" '
        f'd="{given.signature}"/></svg>'
    )
    return {"signature.svg": drawing.encode()}
