"""The invoice as it stands at Stripe: what Stripe says of it, and our row, which only moves on."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from quotekit.billing import objects
from quotekit.billing.client import Answer
from quotekit.billing.model import Version
from quotekit.billing.objects import Json
from quotekit.database import Connection
from quotekit.invoices.connecting import columns

STATUSES: Final = {"draft": 0, "open": 1, "uncollectible": 3, "void": 5, "paid": 5}
SETTLED: Final = {"paid", "void"}


@dataclass(frozen=True, slots=True)
class Theirs:
    """Amounts in minor units; `invoice_id` is the invoice of ours that its metadata names."""

    id: str
    customer_id: str | None
    status: str
    currency: str
    total: int
    lines: int
    url: str | None
    invoice_id: UUID | None

    def read(self, at: datetime) -> Version:
        """The version of what was read, at a moment of Stripe's clock."""
        return Version(self.status in SETTLED, at, STATUSES[self.status])


@objects.checked
def invoice(thing: Json) -> Theirs:
    status = thing["status"]
    if status not in STATUSES:
        raise ValueError(f"status {status!r} is not known")
    said = (thing.get("metadata") or {}).get("invoice_id")
    return Theirs(
        id=objects.identifier(thing["id"]),
        customer_id=objects.reference(thing.get("customer")),
        status=status,
        currency=str(thing["currency"]).upper(),
        total=int(thing["total"]),
        lines=len(thing["lines"]["data"]),
        url=objects.word(thing.get("hosted_invoice_url")),
        invoice_id=identified(said),
    )


def identified(said: object) -> UUID | None:
    """An id of ours in metadata, which the contractor can write as well."""
    try:
        return UUID(said) if isinstance(said, str) else None
    except ValueError:
        return None


FOLLOW: Final = """
update app.stripe_invoices as kept
set id = %(id)s, customer_id = coalesce(%(customer_id)s, customer_id), status = %(status)s,
    url = coalesce(%(url)s, url), reason = null,
    payment_failed_at = coalesce(%(failed_at)s, payment_failed_at),
    final = %(final)s, as_of = %(as_of)s, as_of_rank = %(rank)s, as_of_tie = %(tie)s
where invoice_id = %(invoice_id)s
  and (final, as_of, as_of_rank, as_of_tie) < (%(final)s, %(as_of)s, %(rank)s, %(tie)s)
returning invoice_id
"""


def follow(
    connection: Connection,
    invoice_id: UUID,
    said: Theirs,
    version: Version,
    *,
    failed_at: datetime | None = None,
) -> bool:
    """Whether the row of an invoice moved to what Stripe says."""
    values: dict[str, Any] = {
        "invoice_id": invoice_id,
        "id": said.id,
        "customer_id": said.customer_id,
        "status": said.status,
        "url": said.url,
        "failed_at": failed_at,
        **columns(version),
    }
    return connection.execute(FOLLOW, values).fetchone() is not None


def answered(answer: Answer) -> tuple[Theirs, Version]:
    said = invoice(answer.body)
    return said, said.read(answer.read_at)
