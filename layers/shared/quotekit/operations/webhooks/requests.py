"""What may be asked of the monitor."""

from typing import Annotated, Final, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field, StringConstraints, model_validator

from quotekit import paging
from quotekit.bodies import Body
from quotekit.webhooks import service
from quotekit.webhooks.model import Category

MOST_IDS: Final = 1000
MOST_PER_MINUTE: Final = 60_000

Source = Annotated[str, StringConstraints(min_length=1, max_length=50, pattern=r"^[^\x00]*$")]
Kind = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
Text = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
Cursor = Annotated[str, StringConstraints(max_length=200)]
Path = Annotated[
    str, StringConstraints(max_length=500, pattern=r"^[^.\x00]{1,100}(\.[^.\x00]{1,100}){0,9}$")
]


class Period(Body):
    days_back: Annotated[int, Field(ge=1, le=90)] = 7


class OfTypes(Period):
    event_type: Kind | None = None
    source: Source | None = None


class Latest(Body):
    limit: Annotated[int, Field(ge=1, le=500)] = 50


class Trail(Period):
    limit: Annotated[int, Field(ge=1, le=500)] = 100


class Search(Body):
    """Which events. `since` and `until` are about when they were recorded. `path` names a value in
    the JSON body by keys and places, joined by dots: `data.object.id`, `items.0.sku`."""

    source: Source | None = None
    type: Kind | None = None
    object_id: Annotated[str, StringConstraints(max_length=255)] | None = None
    event_id: Annotated[str, StringConstraints(max_length=255)] | None = None
    status: Literal["queued", "applied", "stale", "ignored", "failed", "dead"] | None = None
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    error: Text | None = None
    path: Path | None = None
    value: Annotated[str, StringConstraints(max_length=1000, strip_whitespace=False)] | None = None
    limit: Annotated[int, Field(ge=1, le=paging.MOST)] = 25
    cursor: Cursor | None = None

    @model_validator(mode="after")
    def _check(self) -> "Search":
        named = self.type or self.object_id or self.event_id
        if named and self.source is None:
            raise ValueError("type, object_id and event_id go with a source: they are its words")
        if (self.path is None) != (self.value is None):
            raise ValueError("path and value go together")
        return self


class RedriveStart(Body):
    """Which dead events are sent again: those with these ids, those that match, or `all`."""

    ids: Annotated[list[UUID], Field(min_length=1, max_length=MOST_IDS)] | None = None
    source: Source | None = None
    type: Kind | None = None
    category: Category | None = None
    error: Text | None = None
    received_since: AwareDatetime | None = None
    received_until: AwareDatetime | None = None
    all: bool = False
    per_minute: Annotated[int, Field(ge=1, le=MOST_PER_MINUTE)] = service.PER_MINUTE
    reason: Annotated[str, StringConstraints(max_length=500)] = ""
    dry_run: bool = False

    @model_validator(mode="after")
    def _check(self) -> "RedriveStart":
        if self.all == bool(self.chosen.stored):
            raise ValueError("name ids or a filter, or say all: one of them")
        return self

    @property
    def chosen(self) -> service.Filter:
        return service.Filter(
            source=self.source,
            type=self.type,
            category=self.category,
            error=self.error,
            received_since=self.received_since,
            received_until=self.received_until,
            ids=self.ids,
        )


class Resolution(Body):
    """How a dead letter was settled without sending it again."""

    resolution: Annotated[str, StringConstraints(min_length=1, max_length=2000)]


class BreakerDecision(Body):
    """`automatic` ends what was decided, closes the breaker and forgets what it counted."""

    phase: Literal["closed", "open", "automatic"]
    minutes: Annotated[int, Field(ge=1, le=1440)] = 15
    reason: Annotated[str, StringConstraints(min_length=1, max_length=500)]
