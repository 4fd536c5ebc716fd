"""What may be asked of a report."""

from datetime import date
from typing import Annotated, Self

from pydantic import Field, model_validator

from quotekit.bodies import Body, Day
from quotekit.reports.model import By


class Asked(Body):
    """Days of the account's time zone; without them the last twelve months."""

    first_day: Day | None = Field(default=None, alias="from")
    last_day: Annotated[Day | None, Field(alias="to", le=date(9998, 12, 31))] = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.first_day and self.last_day and self.first_day > self.last_day:
            raise ValueError("from must not be after to")
        return self


class RevenueAsked(Asked):
    by: By = "client"
    limit: Annotated[int, Field(ge=1, le=10_000)] = 100
