"""What may be said of a quote from outside."""

from decimal import Decimal
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import Field, StringConstraints, model_validator

from quotekit.bodies import (
    Address,
    Amount,
    Body,
    Currency,
    Day,
    Email,
    Language,
    Markup,
    Name,
    Percent,
    Phone,
    given,
)
from quotekit.quotes import quantities
from quotekit.quotes.model import DraftLine, Recipient
from quotekit.quotes.pricing import Discount

Text = Annotated[str, StringConstraints(max_length=20_000)]


class Reduction(Body):
    """A discount or a deposit."""

    type: Literal["percent", "amount"]
    value: Amount

    @model_validator(mode="after")
    def _percent_at_most_100(self) -> Self:
        if self.type == "percent" and self.value > Decimal(100):
            raise ValueError("a percentage is 100 at most")
        return self

    def as_discount(self) -> Discount:
        return Discount(self.type, self.value)


class LineItem(Body):
    item_id: UUID | None = None
    name: Name
    description: Annotated[str, StringConstraints(max_length=5000)] = ""
    unit: Annotated[str, StringConstraints(max_length=30)] = ""
    quantity: Amount
    unit_cost: Amount
    tax_rate: Percent | None = None
    discount: Reduction | None = None
    optional: bool = False
    selected: bool = False
    group: Name | None = None
    choice: Name | None = None
    quantity_min: Amount | None = None
    quantity_max: Amount | None = None

    @model_validator(mode="after")
    def _choice_of_a_group(self) -> Self:
        if (self.group is None) != (self.choice is None):
            raise ValueError("group and choice go together")
        return self

    @model_validator(mode="after")
    def _range_to_choose_from(self) -> Self:
        if told := quantities.problem(self):
            raise ValueError(told)
        return self

    def as_line(self) -> DraftLine:
        """In the domain's own types; a line of a group is optional, said or not."""
        values = {name: getattr(self, name) for name in type(self).model_fields}
        values["discount"] = self.discount and self.discount.as_discount()
        values["optional"] = self.optional or self.group is not None
        return DraftLine(**values)


class ClientDetails(Body):
    name: Name
    email: Email | None = None
    phone: Phone | None = None
    address: Address | None = None

    def as_recipient(self) -> Recipient:
        return Recipient(self.name, self.email, self.phone, self.address)


class QuoteFields(Body):
    """Everything that may be said; what is left out keeps its value, or gets the account's
    default."""

    client_id: UUID | None = None
    client: ClientDetails | None = None
    currency: Currency = given()
    language: Language = given()
    line_items: Annotated[list[LineItem], Field(min_length=1, max_length=500)] = given()
    tax_rate: Percent = given()
    tax_inclusive: bool = given(default=False)
    markup_rate: Markup = given()
    discount: Reduction | None = None
    deposit: Reduction | None = None
    notes: Text = given(default="")
    terms: Text = given()
    valid_until: Day | None = None
    is_template: bool = given(default=False)
    template_name: Name | None = None

    @model_validator(mode="after")
    def _one_client(self) -> Self:
        if self.client_id is not None and self.client is not None:
            raise ValueError("give client_id or client, not both")
        return self

    def said(self) -> dict[str, Any]:
        """The given fields in the domain's own types."""
        values = {name: getattr(self, name) for name in self.model_fields_set}
        for name, value in values.items():
            match value:
                case Reduction():
                    values[name] = value.as_discount()
                case ClientDetails():
                    values[name] = value.as_recipient()
        if "line_items" in values:
            values["line_items"] = tuple(line.as_line() for line in self.line_items)
        return values


class QuoteCreate(QuoteFields):
    line_items: Annotated[list[LineItem], Field(min_length=1, max_length=500)]


class QuoteChange(QuoteFields):
    """A change of a draft; `version` (or If-Match) is the one it was made from."""

    version: int | None = Field(default=None, ge=1)

    def said(self) -> dict[str, Any]:
        values = super().said()
        values.pop("version", None)
        return values


class SendRequest(Body):
    """`email` mails the quote to its client; `link` only makes the address he opens."""

    channel: Literal["email", "link"] = "email"
    message: Annotated[str, StringConstraints(max_length=5000)] = ""


class Decision(Body):
    """What the owner records of the client's answer."""

    note: Annotated[str, StringConstraints(max_length=2000)] | None = None


class DuplicateRequest(Body):
    """A copy as a draft; with a name, as a template."""

    template_name: Name | None = None
