"""What Stripe refuses, as errors of the house. Its words for developers stay in the log."""

from math import ceil
from typing import TYPE_CHECKING, Final

from quotekit.errors import ConflictError, QuoteKitError, ServiceUnavailableError
from quotekit.resilience import failures

if TYPE_CHECKING:
    from stripe import CardError, StripeError

LONGEST_WAIT: Final = 3600


class PaymentDeclinedError(ConflictError):
    """The payment was declined; nothing was changed."""


class StripeUnavailableError(ServiceUnavailableError):
    """Stripe does not answer; nothing is known to have changed."""

    def __init__(self, seconds: float | None = None) -> None:
        super().__init__()
        if seconds is not None:
            waited = min(max(1, ceil(seconds)), LONGEST_WAIT)
            self.retry_after = waited  # type: ignore[misc]  # each its own


class MisconfiguredError(ServiceUnavailableError):
    """Billing is not set up: Stripe refuses our key."""


def translated(error: "StripeError") -> QuoteKitError:
    """The error a caller gets, with Stripe's own as a note for the log."""
    import stripe  # noqa: PLC0415

    match error:
        case stripe.CardError():
            found: QuoteKitError = PaymentDeclinedError(None, [_declined(error)])
        case stripe.AuthenticationError() | stripe.PermissionError():
            found = MisconfiguredError()
        case stripe.IdempotencyError():
            found = ConflictError("Another request of this account is at work; try again.")
        case stripe.InvalidRequestError():
            found = ConflictError(f"Stripe refuses this: {error.code or 'invalid request'}.")
        case _:
            found = StripeUnavailableError(failures.retry_after(error))
    found.add_note(f"Stripe, request {error.request_id}: {type(error).__name__} {error.code}")
    return found


def _declined(error: "CardError") -> dict[str, str]:
    reason = getattr(error.error, "decline_code", None) or error.code or "declined"
    return {"field": "payment", "message": f"{reason}: {error.user_message or 'declined'}"}
