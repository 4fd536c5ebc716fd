"""Which handler does what. Each is imported when its first event comes: the door starts light."""

from collections.abc import Sequence
from importlib import import_module
from typing import Final

from quotekit.database import Connection
from quotekit.webhooks.model import Effect, Event, Outcome

EFFECTS: Final = {
    "stripe": ("quotekit.billing.effects", "on_stripe_events"),
    "github": ("quotekit.webhooks.github", "on_github_events"),
    "tiktok-shop": ("quotekit.webhooks.inboxes", "on_shop_events"),
    "carrier": ("quotekit.webhooks.carriers", "on_carrier_events"),
    "easypost": ("quotekit.webhooks.carriers", "on_carrier_events"),
    "shippo": ("quotekit.webhooks.carriers", "on_carrier_events"),
    "standard": ("quotekit.webhooks.inboxes", "on_standard_events"),
}


def effect_of(handler: str) -> Effect:
    """The effect of a handler's name; a name nobody knows ignores, as no event is an error."""
    if handler not in EFFECTS:
        return _ignore
    module, name = EFFECTS[handler]
    effect: Effect = getattr(import_module(module), name)
    return effect


def _ignore(_: Connection, events: Sequence[Event]) -> list[Outcome]:
    return [
        Outcome("ignored", {"reason": f"no handler is called {event.handler[:50]!r}"})
        for event in events
    ]
