"""What may be asked of an account's billing from outside."""

from typing import Annotated, Literal

from pydantic import StringConstraints

from quotekit.bodies import Body

Url = Annotated[str, StringConstraints(min_length=1, max_length=2000)]
PlanKey = Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,40}$")]
Interval = Literal["monthly", "yearly"]


class PlanChange(Body):
    """To pay for a plan; without a name, for the dearest there is."""

    price: Interval
    plan: PlanKey | None = None


class CheckoutRequest(PlanChange):
    """To begin to; the caller is sent back to one of the two addresses."""

    success_url: Url
    cancel_url: Url


class PortalRequest(Body):
    return_url: Url


class Cancellation(Body):
    when: Literal["period_end", "now"] = "period_end"


class ReconcileRequest(Body):
    dry_run: bool = False
