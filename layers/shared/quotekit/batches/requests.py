"""What may be said of a batch from outside."""

from decimal import Decimal
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import Field, StringConstraints, model_validator

from quotekit.batches.model import LARGEST_INLINE, Priority, Status
from quotekit.bodies import Body, Day, Percent

type Format = Literal["ndjson", "csv"]
type ItemStatus = Literal["succeeded", "failed", "skipped", "pending"]

OperationName = Annotated[str, StringConstraints(min_length=1, max_length=50)]
Rate = Annotated[Decimal, Field(gt=0, max_digits=10, decimal_places=3)]
Key = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[\x20-\x7e]+$")]
Address = Annotated[str, StringConstraints(min_length=1, max_length=2000)]


class Options(Body):
    """How a batch is worked at; `dedupe_key` makes it one, however often it is asked for."""

    priority: Priority = "normal"
    dry_run: bool = False
    stop_on_error_percent: Percent | None = None
    rate_limit_per_second: Rate | None = None
    dedupe_key: Key | None = None
    notify_url: Address | None = None


class BatchCreate(Body):
    """One operation on `items`, or on the lines of an `upload`."""

    operation: OperationName
    items: Annotated[list[Any], Field(min_length=1, max_length=LARGEST_INLINE)] | None = None
    upload: UUID | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)
    options: Options = Field(default_factory=Options)

    @model_validator(mode="after")
    def _items_or_upload(self) -> Self:
        if (self.items is None) == (self.upload is None):
            raise ValueError("give items or upload, and not both")
        return self


class UploadOffer(Body):
    """A file to come: how it is written and how large it is."""

    format: Format
    bytes: Annotated[int, Field(ge=1)]


class Retry(Body):
    """`skipped`: also what was not begun when too many items had failed."""

    skipped: bool = False


class Listing(Body):
    """Which batches; the latest first."""

    status: Status | None = None
    operation: OperationName | None = None
    created_from: Day | None = Field(default=None, alias="from")
    created_to: Day | None = Field(default=None, alias="to")
    limit: Annotated[int, Field(ge=1, le=100)] = 25
    cursor: Annotated[str, StringConstraints(max_length=500)] | None = None


class ItemListing(Body):
    """Which items of a batch, in their order."""

    status: ItemStatus | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    cursor: Annotated[str, StringConstraints(max_length=500)] | None = None
