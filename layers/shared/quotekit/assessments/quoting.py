"""From an assessment to its price, and to a quote."""

from collections.abc import Sequence
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final
from uuid import UUID

from psycopg.types.json import Jsonb
from pydantic import TypeAdapter
from pydantic_core import to_jsonable_python

from quotekit import audit
from quotekit.assessments import assessments, pricing, properties, rules
from quotekit.assessments.model import (
    Assessment,
    AssessmentQuote,
    Charge,
    Comparison,
    Conditions,
    Pricing,
    Property,
)
from quotekit.assessments.pricing import Explanation
from quotekit.database import Connection
from quotekit.errors import ConflictError, NotFoundError
from quotekit.quotes import basis, repository, service
from quotekit.quotes.model import Draft, DraftLine

QUOTABLE: Final = frozenset({"completed", "reviewed"})
CENT: Final = Decimal("0.01")
NO_ESTIMATE: Final = "the assessment has no manual_estimate"
NO_TOTAL: Final = "there is no calculated total to compare with"


def calculate(connection: Connection, assessment_id: UUID, now: datetime) -> Pricing:
    """What a quote would cost, why, and how far that is from the manual estimate."""
    assessment = assessments.get(connection, assessment_id)
    place, company = properties.get(connection, assessment.property_id), basis.company(connection)
    explained = explain(connection, assessment, place, company.currency)
    calculation = None
    if not explained.missing:
        draft = drafted(connection, assessment, place, company, explained.charges)
        calculation = service.calculation(draft)
    total = None if calculation is None else calculation.total
    comparison, reason = compared(assessment.manual_estimate, total)
    return Pricing(
        assessment_id=assessment_id,
        currency=company.currency,
        charges=explained.charges,
        calculation=calculation,
        total=total,
        missing=explained.missing,
        comparison=comparison,
        comparison_reason=reason,
        calculated_at=now,
    )


def explain(
    connection: Connection, assessment: Assessment, place: Property, currency: str
) -> Explanation:
    return pricing.explain(conditions(assessment, place), rules.in_force(connection), currency)


def conditions(assessment: Assessment, place: Property) -> Conditions:
    """What was found; area and access are the property's where the assessment has none."""
    return Conditions(
        area_sqft=place.lawn_area_sqft if assessment.area_sqft is None else assessment.area_sqft,
        lawn_condition=assessment.lawn_condition,
        soil_condition=assessment.soil_condition,
        weed_percent=assessment.weed_percent,
        complexity=assessment.complexity,
        slope_percent=assessment.slope_percent,
        obstacle_count=assessment.obstacle_count,
        access=place.access if assessment.access is None else assessment.access,
    )


def drafted(
    connection: Connection,
    assessment: Assessment,
    place: Property,
    company: basis.Company,
    charges: Sequence[Charge],
) -> Draft:
    """A quote's draft with a line for each price; what it does not say, the account says."""
    where = place.service_address
    lines = tuple(
        DraftLine(charge.name, Decimal(1), charge.price, description=where) for charge in charges
    )
    said: dict[str, Any] = {"client_id": place.client_id, "line_items": lines}
    if assessment.markup_rate is not None:
        said["markup_rate"] = assessment.markup_rate
    return service.apply(connection, service.blank(company), said)


def compared(
    estimate: Decimal | None, total: Decimal | None
) -> tuple[Comparison | None, str | None]:
    """The total beside the estimate, or why not."""
    if estimate is None or total is None:
        return None, NO_ESTIMATE if estimate is None else NO_TOTAL
    variance = total - estimate
    percent = None
    if estimate:
        percent = (variance * 100 / estimate).quantize(CENT, ROUND_HALF_UP)
    return Comparison(estimate, total, variance, percent), None


def quote(connection: Connection, assessment_id: UUID, **details: str) -> AssessmentQuote:
    """The assessment's quote: a new draft, or the one that was made of it before.

    `details` are for the audit. Raises ConflictError where it is not completed, or something is
    missing for a price."""
    assessment = assessments.hold(connection, assessment_id)
    if assessment.quote_id is not None:
        return quoted(connection, assessment_id)
    if assessment.status not in QUOTABLE:
        raise ConflictError(f"An assessment that is {assessment.status} has no quote yet.")
    place, company = properties.get(connection, assessment.property_id), basis.company(connection)
    explained = explain(connection, assessment, place, company.currency)
    if explained.missing:
        lacks = [{"field": one.input, "message": one.reason} for one in explained.missing]
        raise ConflictError("Something is missing for a price.", lacks)
    draft = drafted(connection, assessment, place, company, explained.charges)
    told: dict[str, Any] = {**details, "assessment": str(assessment_id)}
    made = service.store(connection, draft, action="quote.created", revised=None, **told)
    link(connection, assessment_id, made.id, explained.charges)
    audit.record(connection, "assessment.quoted", assessment_id, details | {"quote": str(made.id)})
    return AssessmentQuote(assessment_id, made, explained.charges, created=True)


LINK: Final = """
insert into app.assessment_quotes (assessment_id, quote_id, charges)
values (%(assessment_id)s, %(quote_id)s, %(charges)s)
"""


def link(
    connection: Connection, assessment_id: UUID, quote_id: UUID, charges: Sequence[Charge]
) -> None:
    stored = Jsonb(to_jsonable_python(charges))
    values = {"assessment_id": assessment_id, "quote_id": quote_id, "charges": stored}
    connection.execute(LINK, values)


LINKED: Final = """
select quote_id, charges from app.assessment_quotes
where account_id = (select auth.account_id()) and assessment_id = %(id)s
"""


def quoted(connection: Connection, assessment_id: UUID) -> AssessmentQuote:
    """The quote that was made of an assessment, as it is now, with its prices' explanation as it
    was. Raises NotFoundError."""
    row = connection.execute(LINKED, {"id": assessment_id}).fetchone()
    if row is None:
        raise NotFoundError("No quote was made of this assessment.")
    quote_id, stored = row
    charges = TypeAdapter(tuple[Charge, ...]).validate_python(stored)
    found = repository.get(connection, quote_id).quote
    return AssessmentQuote(assessment_id, found, charges, created=False)
