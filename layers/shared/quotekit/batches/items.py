"""What the items of several operations look like, and what is said of each."""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from pydantic import model_validator

from quotekit.batches.model import Outcome
from quotekit.bodies import Body

MISSING: Final = Outcome("missing")
REPEATED: Final = Outcome("conflict", "An item before it names the same.")


class ById(Body):
    """One thing by its id: `{"id": "…"}`, or just the id."""

    id: UUID

    @model_validator(mode="before")
    @classmethod
    def bare(cls, given: Any) -> Any:  # noqa: ANN401 - whatever was sent
        return {"id": given} if isinstance(given, str) else given


def by_id(item: ById) -> str:
    return str(item.id)


class Row(Body):
    """A row of a file: a blank cell says nothing, as if its column were not there."""

    @model_validator(mode="before")
    @classmethod
    def without_blanks(cls, given: Any) -> Any:  # noqa: ANN401 - whatever was sent
        if not isinstance(given, Mapping):
            return given
        return {
            name: value
            for name, value in given.items()
            if not isinstance(value, str) or value.strip()
        }


def ids_of(items: Sequence[ById]) -> list[UUID]:
    """Each once."""
    return list(dict.fromkeys(item.id for item in items))


def answered(items: Sequence[ById], outcomes: Mapping[UUID, Outcome]) -> list[Outcome]:
    """One outcome an item, in their order; what has none is not the account's."""
    left = dict(outcomes)
    return [left.pop(item.id, REPEATED if item.id in outcomes else MISSING) for item in items]
