"""Which statement about an object is the later one, whatever order they come in.

Events of different seconds go by Stripe's clock. Within one second: what Stripe never takes back,
then the kind of event, then the object's own latest time, then the event's id: arbitrary in the
end, but the same for everybody. What a reading of Stripe saw is older than any event of its second.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from quotekit.billing import objects
from quotekit.billing.model import Version
from quotekit.webhooks.model import PermanentError

RANKS: Final = {
    **dict.fromkeys(("created", "attached", "finalized"), 1),
    **dict.fromkeys(("updated", "refunded", "sent"), 2),
    **dict.fromkeys(("payment_failed", "funds_withdrawn", "paused"), 3),
    **dict.fromkeys(
        ("payment_succeeded", "funds_reinstated", "resumed", "marked_uncollectible"), 4
    ),
    **dict.fromkeys(("paid", "voided", "closed"), 5),
    **dict.fromkeys(("deleted", "detached"), 9),
}
TRANSITION: Final = 3  # an update that says from which status: without it, it is from before


@dataclass(frozen=True, slots=True)
class Notice:
    """One of Stripe's events, opened."""

    id: str
    type: str
    created: datetime
    thing: Mapping[str, Any]
    previous: Mapping[str, Any]

    @property
    def verb(self) -> str:
        return self.type.rpartition(".")[2]

    def version(self, *, final: bool = False, latest: datetime | None = None) -> Version:
        rank = RANKS.get(self.verb, 0)
        if self.verb == "updated" and "status" in self.previous:
            rank = TRANSITION
        seconds = 0 if latest is None else max(0, int(latest.timestamp()))
        gone = final or self.verb in {"deleted", "detached"}
        return Version(gone, self.created, rank, f"{seconds:012d} {self.id}")


def opened(payload: Mapping[str, Any]) -> Notice:
    """Raises PermanentError for what is no snapshot event of Stripe's."""
    try:
        data = payload["data"]
        thing, previous = data["object"], data.get("previous_attributes") or {}
        if not isinstance(thing, Mapping) or not isinstance(previous, Mapping):
            raise TypeError("the object is no object")
        kind, name = objects.identifier(payload["type"]), objects.identifier(payload["id"])
        return Notice(name, kind, objects.moment(payload["created"]), thing, previous)
    except objects.UNREADABLE as error:
        raise PermanentError(f"not an event of Stripe's: {error!r}") from error
