"""What a client's page shows."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Literal
from uuid import UUID

from quotekit.quotes.acceptances import Acceptance
from quotekit.quotes.basis import Company
from quotekit.quotes.model import Quote

type State = Literal["open", "accepted", "declined", "expired", "superseded"]
type Standing = Literal["none", "due", "waiting", "paid"]


@dataclass(frozen=True, slots=True)
class Deposit:
    """`amount` is what was paid, else what is asked for; `checkout` is the status of the one that
    is under way at Stripe."""

    standing: Standing
    amount: Decimal
    paid_on: date | None
    checkout: str | None


@dataclass(frozen=True, slots=True)
class Offer:
    """A quote as its client finds it; `accepted` where he accepted on the page,
    `deposit` where one is asked for and the quote is accepted."""

    quote: Quote
    account_id: UUID
    version_id: UUID
    company: Company
    watermark: bool
    accepted: Acceptance | None
    state: State
    deposit: Deposit | None


@dataclass(frozen=True, slots=True)
class AskedQuestion:
    """A client's question; the answer goes to his mail address."""

    id: UUID
    question: str
    asked_at: datetime
