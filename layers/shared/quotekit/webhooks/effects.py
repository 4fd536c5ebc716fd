"""Which handler does what. Each is imported when its first event comes: the door starts light."""

from collections.abc import Container
from importlib import import_module
from typing import Any, Final

from quotekit.webhooks.model import Effect, Event

# Module, effect, and the types it reads; without them it reads all.
EFFECTS: Final = {
    "stripe": ("quotekit.billing.effects", "on_stripe_events", "TYPES"),
    "github": ("quotekit.webhooks.github", "on_github_events", "READERS"),
    "tiktok-shop": ("quotekit.webhooks.inboxes", "on_shop_events", "SHOP_TYPES"),
    "carrier": ("quotekit.webhooks.carriers", "on_carrier_events", "READERS"),
    "easypost": ("quotekit.webhooks.carriers", "on_carrier_events", "READERS"),
    "shippo": ("quotekit.webhooks.carriers", "on_carrier_events", "READERS"),
    "standard": ("quotekit.webhooks.inboxes", "on_standard_events", None),
}


def effect_of(handler: str) -> Effect:
    module, name, _ = EFFECTS[handler]
    effect: Effect = getattr(import_module(module), name)
    return effect


def unread(event: Event) -> dict[str, Any] | None:
    """Why nobody reads an event: it is stored as ignored, as no event is an error."""
    if event.handler not in EFFECTS:
        return {"reason": f"no handler is called {event.handler[:50]!r}"}
    module, _, name = EFFECTS[event.handler]
    types: Container[str] | None = name and getattr(import_module(module), name)
    if types is None or event.type in types:
        return None
    return {"reason": "nobody reads this type"}
