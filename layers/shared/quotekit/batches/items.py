"""What the items of several operations look like."""

from typing import Any
from uuid import UUID

from pydantic import model_validator

from quotekit.bodies import Body


class ById(Body):
    """One thing by its id: `{"id": "…"}`, or just the id."""

    id: UUID

    @model_validator(mode="before")
    @classmethod
    def bare(cls, given: Any) -> Any:  # noqa: ANN401 - whatever was sent
        return {"id": given} if isinstance(given, str) else given


def by_id(item: ById) -> str:
    return str(item.id)
