"""Who asks, and what the access matrix cannot read from the catalog, each with its reason."""

import hashlib
from dataclasses import dataclass, field
from typing import Any, Final

from tests.access.rows import named

ACCOUNT: Final = named("an account")
USER: Final = named("its owner")
QUOTE: Final = named("a quote")
OTHER: Final = named("another account")
COMMANDS: Final = ("select", "insert", "update", "delete", "move")

# What no rule finds, by table and column: where checks hold columns together.
SAMPLES: Final[dict[tuple[str, str], Any]] = {
    ("app.audit_events", "object_id"): QUOTE,
    ("app.mails", "quote_id"): QUOTE,
    ("app.quotes", "id"): QUOTE,
    ("app.quotes", "status"): "viewed",
    ("app.quotes", "number"): "Q-1",
    ("app.quotes", "sent_at"): "2026-01-01T00:00:00Z",
    ("app.assessment_rules", "kind"): "per_sqft",
    ("app.assessment_rules", "currency"): "USD",
    ("app.batch_chunks", "items"): "[1]",
    ("app.batch_jobs", "total"): 1,
    ("app.stripe_customers", "id"): "cus_1",
    ("app.stripe_customers", "claimed_at"): "2026-01-01T00:00:00Z",
    ("app.billing_history", "customer_id"): "cus_1",  # no foreign key: it may come first
    ("app.payment_methods", "customer_id"): "cus_1",
    ("ops.billing_differences", "ours"): "{}",
    ("ops.tiers", "burst"): 10,
    ("ops.erasures", "status"): "erasing",
    ("ops.erasures", "begun_at"): "2026-01-01T00:00:00Z",
    ("ops.erased_names", "digest"): hashlib.sha256(str(ACCOUNT).encode()).digest(),
}
# Whose a row is where no account_id says it. `app.accounts` is a rule of its own.
KEYS: Final = {
    "app.accounts": ("id", "the account itself"),
    "app.user_roles": ("user_id", "an operator's role is a person's, whatever his account"),
    "app.payment_methods": ("customer_id", "Stripe's, by its customer; so read with its rights"),
    "app.billing_history": ("customer_id", "Stripe's, by its customer; so read with its rights"),
    "ops.revoked_tokens": ("jti", "whoever holds the token is told that it was withdrawn"),
    "ops.erased_names": ("digest", "whoever comes back is told that his account was erased"),
}
# What everybody who is known may read, and which rows of it not.
SHARED: Final = {
    "app.plans": "prices and limits are for all to compare",
    "app.stripe_products": "what can be bought",
    "app.stripe_prices": "what it costs",
    "app.shared_categories": "the house's catalogue, to copy from",
    "app.shared_items": "the house's catalogue, to copy from",
    "app.tours": "what the product shows to newcomers",
    "app.tour_steps": "what the product shows to newcomers",
    "ops.billing_reconciles": "how fresh the figures of billing are: two columns, no account's",
}
HIDDEN: Final[dict[str, tuple[str, Any]]] = {
    "app.shared_categories": ("is_active", False),
    "app.shared_items": ("is_active", False),
    "ops.billing_reconciles": ("dry_run", True),
}
# What in an account only its owners and admins do.
MANAGED: Final = {
    "app.company_settings": ("insert", "update"),
    "app.webhook_endpoints": ("insert", "update", "delete"),
    "app.invitations": COMMANDS,
    "ops.erasures": COMMANDS,
}
# What keeps rows that the house may else delete: they are those of an account under erasure.
KEPT: Final = {"app.audit_events": "update ops.erasures set status = 'waiting', begun_at = null"}
# What a quote's client may do to more than his quote: its page is made with it.
ANY_CLIENT: Final = {
    "app.company_settings": ("select",),
    "app.subscriptions": ("select",),
    "app.connected_accounts": ("select",),  # whether it can charge: two columns
    "app.outbox": ("insert",),
}


@dataclass(frozen=True)
class Caller:
    name: str
    role: str
    claims: dict[str, str] = field(hash=False)


OWNER_CLAIMS: Final = {"sub": str(USER), "account_id": str(ACCOUNT), "jti": "x"}
OWNER: Final = Caller("the owner", "authenticated", OWNER_CLAIMS)
STRANGER: Final = Caller(
    "a stranger",
    "authenticated",
    {"sub": str(named("a stranger")), "account_id": str(OTHER), "jti": "y"},
)
VISITOR: Final = Caller("a token without an account", "authenticated", {"jti": "z"})
SERVICE: Final = Caller("the service", "service_role", {"role": "service_role"})
OPERATOR: Final = Caller("an operator", "ops_admin", {"sub": str(named("an operator"))})
# A function that forgot to become somebody: the best claims do not help it.
NOBODY: Final = Caller("no role", "quotekit_functions", OWNER_CLAIMS | {"quote_id": str(QUOTE)})
MEMBER: Final = Caller("a member", "authenticated", OWNER_CLAIMS | {"sub": str(named("a member"))})
CLIENT: Final = Caller(
    "the quote's client", "quote_client", {"account_id": str(ACCOUNT), "quote_id": str(QUOTE)}
)
NEXT_CLIENT: Final = Caller(
    "another quote's client", "quote_client", CLIENT.claims | {"quote_id": str(OTHER)}
)
STRANGE_CLIENT: Final = Caller(
    "another account's client", "quote_client", CLIENT.claims | {"account_id": str(OTHER)}
)
NO_CLIENT: Final = Caller("no role, a client's claims", "quotekit_functions", CLIENT.claims)
ROLES: Final = (
    *("authenticated", "service_role", "ops_admin"),
    *("quote_client", "quotekit_functions"),
)
CALLERS: Final = (
    *(OWNER, MEMBER, STRANGER, VISITOR, SERVICE, OPERATOR),
    *(CLIENT, NEXT_CLIENT, STRANGE_CLIENT, NOBODY, NO_CLIENT),
)
CLIENTS: Final = (CLIENT, NEXT_CLIENT, STRANGE_CLIENT)
# What a caller may write elsewhere, but not this.
NEVER: Final[dict[str, tuple[Caller, str, Any]]] = {
    "app.quotes": (CLIENT, "status", "superseded"),
}
