"""What a client may send from his page: forms, read strictly."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Final
from urllib.parse import parse_qs

from pydantic import Field, StringConstraints, ValidationError

from quotekit.bodies import Body
from quotekit.errors import BadRequestError, InvalidInputError

MOST_FIELDS: Final = 1100
LISTS: Final = frozenset({"option"})
KEYED: Final = re.compile(r"(choice|quantity)\[([0-9]{1,3})\]")
# Strokes on a field of 600 by 200: digits, blanks, M and L, so that it can be drawn and do no harm.
SIGNATURE: Final = r"^(M[0-9]{1,3} [0-9]{1,3}(L[0-9]{1,3} [0-9]{1,3})+)+$"

Position = Annotated[int, Field(ge=1, le=500)]
OneLine = Annotated[
    str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")
]
LongText = Annotated[str, StringConstraints(max_length=2000)]
Typed = Annotated[str, StringConstraints(max_length=40)]
Total = Annotated[Decimal, Field(ge=0, max_digits=24, decimal_places=4)]
Signature = Annotated[str, StringConstraints(max_length=20_000, pattern=SIGNATURE)]


class Choice(Body):
    """Which optional lines are taken, and how much, of which version."""

    revision: int = Field(ge=1, le=1_000_000)
    option: list[Position] = Field(default_factory=list, max_length=500)
    choice: dict[Position, Position] = Field(
        default_factory=dict,
        max_length=250,
        description="Of each group, by its first line, the choice taken, by its own first line.",
    )
    quantity: dict[Position, Typed] = Field(
        default_factory=dict,
        max_length=500,
        description="How much of each line that lets the client choose it.",
    )


class Draft(Choice):
    """A form that is not finished: only what is ticked counts, the rest is shown again."""

    name: Annotated[str, StringConstraints(max_length=200)] = ""
    total: Annotated[str, StringConstraints(max_length=40)] = ""
    signature: Annotated[str, StringConstraints(max_length=20_000)] = ""


class Agreement(Choice):
    """The client accepts; `total` is the one he was shown."""

    name: OneLine
    total: Total
    signature: Signature | None = None


class Refusal(Body):
    reason: LongText = ""


class Question(Body):
    question: Annotated[str, StringConstraints(min_length=1, max_length=2000)]


def form[T: Body](model: type[T], text: str) -> T:
    """A form's fields as a model; a field left empty counts as not sent.

    Raises BadRequestError for what is no form, InvalidInputError for wrong fields."""
    try:
        found = parse_qs(text, strict_parsing=bool(text), max_num_fields=MOST_FIELDS)
    except ValueError as error:
        raise BadRequestError("The form could not be read.") from error
    try:
        return model.model_validate(fields(found))
    except ValidationError as error:
        details = [
            {"field": ".".join(map(str, item["loc"])) or "form", "message": item["msg"]}
            for item in error.errors(include_input=False, include_context=False, include_url=False)
        ]
        raise InvalidInputError(details=details) from error


def fields(found: Mapping[str, list[str]]) -> dict[str, Any]:
    """The fields by name; those named as `choice[4]` is together, by their keys."""
    told: dict[str, Any] = {}
    for name, given in found.items():
        if keyed := KEYED.fullmatch(name):
            told.setdefault(keyed[1], {})[keyed[2]] = value(name, given)
        else:
            told[name] = value(name, given)
    return told


def value(name: str, given: list[str]) -> Any:  # noqa: ANN401 - a model checks it
    return given if name in LISTS or len(given) > 1 else given[0]
