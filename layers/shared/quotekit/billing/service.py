"""Who may change an account's billing, from what, and what is noted of it. No network here."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit
from uuid import UUID

from psycopg.rows import class_row

from quotekit import audit, auth
from quotekit.billing import consequences, repository
from quotekit.billing.model import Claim
from quotekit.billing.requests import Interval
from quotekit.bodies import Body
from quotekit.database import Connection
from quotekit.errors import ConflictError, ForbiddenError, invalid
from quotekit.settings import StripeSettings

ADDRESSES: Final = {"success_url", "cancel_url", "return_url", "refresh_url"}
PERIODS: Final = {"monthly": "month", "yearly": "year"}


@dataclass(frozen=True, slots=True)
class Payer:
    """An account as Stripe knows it; nulls where it does not."""

    account_id: UUID
    role: str | None
    customer_id: str | None
    subscription_id: str | None


PAYER: Final = """
select auth.account_id() as account_id,
    (select role from app.members
     where account_id = (select auth.account_id()) and user_id = (select auth.uid())) as role,
    coalesce(
        (select stripe_customer_id from app.subscriptions as held
         join app.stripe_customers as customer on customer.id = held.stripe_customer_id
         where held.account_id = (select auth.account_id()) and not customer.deleted
           and held.status not in ('canceled', 'incomplete_expired')),
        (select id from app.stripe_customers
         where account_id = (select auth.account_id()) and not deleted
         order by claimed_at desc, id collate "C" desc limit 1)) as customer_id,
    (select stripe_subscription_id from app.subscriptions
     where account_id = (select auth.account_id())) as subscription_id
"""


def payer(connection: Connection) -> Payer:
    """The caller's account. Raises ForbiddenError for who does not manage it."""
    with connection.cursor(row_factory=class_row(Payer)) as cursor:
        (found,) = cursor.execute(PAYER)
    if found.role not in auth.MANAGERS:
        raise ForbiddenError("Only an owner or an admin of the account may change its billing.")
    return found


@dataclass(frozen=True, slots=True)
class Offer:
    """A price a plan can be had for; `unit_amount` in minor units."""

    price_id: str
    product_id: str
    plan_key: str
    interval: str
    unit_amount: int
    trial_days: int | None

    @property
    def yearly(self) -> int:
        return self.unit_amount * (12 if self.interval == "month" else 1)


OFFERS: Final = """
select price.id as price_id, price.product_id, product.plan_key, price."interval",
    price.unit_amount, price.trial_days
from app.stripe_prices as price
join app.stripe_products as product on product.id = price.product_id
    and product.active and not product.final
join app.plans as plan on plan.key = product.plan_key
where price.active and not price.final and price.interval_count = 1 and price.unit_amount >= 0
  and price.currency = plan.currency
  and price."interval" = %(interval)s
  and (plan.key = %(plan)s::text or %(plan)s::text is null and plan.monthly_price > 0)
order by plan.monthly_price desc, price.created_at desc, price.id collate "C" desc
limit 1
"""


def offer(connection: Connection, interval: Interval, plan: str | None) -> Offer:
    """The price that Stripe has for a plan. Raises ConflictError while it has none."""
    values = {"interval": PERIODS[interval], "plan": plan}
    with connection.cursor(row_factory=class_row(Offer)) as cursor:
        found = cursor.execute(OFFERS, values).fetchone()
    if found is None:
        raise ConflictError(f"No {interval} price of {plan or 'a paid plan'} is known from Stripe.")
    return found


def remember(connection: Connection, payer: Payer, customer_id: str, now: datetime) -> None:
    """Note whose a customer is that was just made; his own event will say the same."""
    claim = Claim(customer_id, payer.account_id, now, "checkout")
    consequences.settle(connection, repository.meet(connection, claim))


def note(connection: Connection, payer: Payer, what: str) -> None:
    """Write down who asked Stripe for what."""
    audit.record(connection, f"billing.{what}_asked", payer.account_id)


def check_return(settings: StripeSettings, body: Body) -> None:
    """Raise InvalidInputError unless each address is on one of the allowed origins, exactly."""
    allowed = {origin.lower() for origin in settings.return_origins}
    for field in sorted(ADDRESSES & type(body).model_fields.keys()):
        url: str = getattr(body, field)
        if "\\" in url or not url.isprintable() or _origin(url) not in allowed:
            raise invalid(field, "is not on an origin that callers may be sent back to")


def _origin(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.netloc}".lower()
