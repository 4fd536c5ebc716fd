"""What may be said of invoices and payments from outside."""

from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import Field, StringConstraints, model_validator

from quotekit.billing.requests import Url
from quotekit.bodies import Amount, Body, Day, Email
from quotekit.invoices.model import Status


class InvoiceCreate(Body):
    """When it is due, 30 days from today where nothing is said; with `stripe`, the client gets it
    from the account's own account at Stripe, at `email` or the quote's address."""

    due_days: Annotated[int, Field(ge=0, le=365)] | None = None
    due_date: Day | None = None
    stripe: bool = False
    email: Email | None = None

    @model_validator(mode="after")
    def _one_due_date(self) -> Self:
        if self.due_days is not None and self.due_date is not None:
            raise ValueError("give due_days or due_date, not both")
        return self


class PaymentCreate(Body):
    """Money that came in by another way than Stripe."""

    amount: Annotated[Amount, Field(gt=0)]
    method: Literal["cash", "check", "bank_transfer", "card", "other"]
    received_on: Day | None = None
    note: Annotated[str, StringConstraints(max_length=2000)] = ""


class Listing(Body):
    """What a list of invoices is narrowed to; the days are those of issue."""

    status: Status | None = None
    client_id: UUID | None = None
    quote_id: UUID | None = None
    issued_from: Annotated[Day | None, Field(alias="from")] = None
    issued_to: Annotated[Day | None, Field(alias="to")] = None
    limit: Annotated[int, Field(ge=1, le=100)] = 25
    cursor: Annotated[str, StringConstraints(max_length=500)] | None = None


class ConnectRequest(Body):
    """Where Stripe sends the contractor afterwards, and where when the link is used up."""

    return_url: Url
    refresh_url: Url


class DepositRequest(Body):
    """Where Stripe sends the payer back to."""

    return_url: Url
