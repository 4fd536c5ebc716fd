"""Rules of pricing: the house's defaults, and what an account says instead."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final, LiteralString, get_args
from uuid import UUID

import psycopg
from psycopg.rows import class_row

from quotekit import audit, paging
from quotekit.assessments.model import Access, LawnCondition, Rule, SoilCondition
from quotekit.assessments.requests import RuleChange, RuleCreate, RuleListing
from quotekit.catalog import rows
from quotekit.database import Connection
from quotekit.errors import ConflictError, invalid
from quotekit.identifiers import new_id
from quotekit.paging import Page
from quotekit.refusals import translated

WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "lawn_condition": get_args(LawnCondition.__value__),
    "soil_condition": get_args(SoilCondition.__value__),
    "access": get_args(Access.__value__),
}
MONEY: Final = frozenset({"per_sqft", "flat_fee"})
# From above this, to this; the least that is asked keeps every price from falling below zero.
LIMITS: Final[Mapping[str, tuple[int, int]]] = {"multiplier": (0, 100), "percentage": (-100, 1000)}
COLUMNS: Final[LiteralString] = """id, factor, kind, value, trim_scale(range_from) as range_from,
    trim_scale(range_to) as range_to, trim_scale(amount) as amount, currency, label,
    account_id is null as is_default, version, created_at, updated_at"""
INSERT: Final[LiteralString] = (
    """
insert into app.assessment_rules (id, factor, kind, value, range_from, range_to, amount, currency,
    label)
values (%(id)s, %(factor)s, %(kind)s, %(value)s, %(range_from)s, %(range_to)s, %(amount)s,
    %(currency)s, %(label)s)
returning """
    + COLUMNS
)


def create(connection: Connection, body: RuleCreate) -> Rule:
    """Store a rule of the account's. Raises InvalidInputError, or ConflictError where another of
    its rules is about the same values."""
    said = body.model_dump()
    check(said)
    try:
        rule = rows.insert(connection, Rule, INSERT, {"id": new_id(), **said})
    except psycopg.DatabaseError as error:
        raise translated(error) from error
    audit.record(connection, "rule.created", rule.id, {"factor": rule.factor})
    return rule


def check(said: Mapping[str, Any]) -> None:
    """Whether what is said of a rule fits together. Raises InvalidInputError naming the field."""
    factor, kind = said["factor"], said["kind"]
    if factor == "area" and kind != "per_sqft":
        raise invalid("kind", "an area costs by the square foot: per_sqft")
    check_amount(kind, said)
    words = WORDS.get(factor)
    if said["value"] is not None and said["value"] not in (words or ()):
        raise invalid("value", f"is none of {factor}: {', '.join(words or ('it has ranges',))}")
    ends = said["range_from"], said["range_to"]
    if words and ends != (None, None):
        raise invalid("range_from", f"{factor} has values, not ranges")
    if None not in ends and ends[0] >= ends[1]:
        raise invalid("range_to", "must be above range_from")


def check_amount(kind: str, said: Mapping[str, Any]) -> None:
    if (kind in MONEY) != (said["currency"] is not None):
        raise invalid("currency", "is for per_sqft and flat_fee, and needed there")
    if kind in MONEY and said["amount"] < 0:
        raise invalid("amount", "must not be below 0")
    least, most = LIMITS.get(kind, (-1, said["amount"]))
    if not least < said["amount"] <= most:
        raise invalid("amount", f"of a {kind} must be above {least} and {most} at most")


GET: Final[LiteralString] = "select " + COLUMNS + " from app.assessment_rules where id = %(id)s"


def get(connection: Connection, rule_id: UUID) -> Rule:
    """A rule of the account's, or a default."""
    return rows.get(connection, Rule, GET, rule_id)


LIST: Final[LiteralString] = (
    "select "
    + COLUMNS
    + """
from app.assessment_rules
where (account_id is null or account_id = (select auth.account_id()))
  and (%(factor)s::text is null or factor = %(factor)s)
  and (%(after_id)s::uuid is null or (factor, id) > (%(after)s::text, %(after_id)s))
order by factor, id limit %(limit)s"""
)


def page(connection: Connection, wanted: RuleListing) -> Page[Rule]:
    """One page of the account's rules and the defaults, by factor."""
    after, after_id = paging.decode(wanted.cursor, str)
    place = {"after": after, "after_id": after_id, "limit": wanted.limit + 1}
    with connection.cursor(row_factory=class_row(Rule)) as cursor:
        found = cursor.execute(LIST, wanted.model_dump() | place).fetchall()
    return paging.page(found, wanted.limit, lambda rule: (rule.factor, rule.id))


ALL: Final[LiteralString] = (
    "select "
    + COLUMNS
    + """
from app.assessment_rules
where account_id is null or account_id = (select auth.account_id())"""
)


def in_force(connection: Connection) -> list[Rule]:
    """The account's rules and the defaults."""
    with connection.cursor(row_factory=class_row(Rule)) as cursor:
        return cursor.execute(ALL).fetchall()


UPDATE: Final[LiteralString] = (
    """
update app.assessment_rules
set kind = %(kind)s, value = %(value)s, range_from = %(range_from)s, range_to = %(range_to)s,
    amount = %(amount)s, currency = %(currency)s, label = %(label)s, version = version + 1
where account_id = (select auth.account_id()) and id = %(id)s and version = %(version)s
returning """
    + COLUMNS
)


def change(connection: Connection, rule_id: UUID, body: RuleChange, *, version: int) -> Rule:
    """Change a rule of the account's. Raises StaleVersionError, InvalidInputError or
    ConflictError, also for a default."""
    found = own(connection, rule_id)
    check(asdict(found) | body.said())
    try:
        return rows.update(connection, found, UPDATE, body, version=version)
    except psycopg.DatabaseError as error:
        raise translated(error) from error


def own(connection: Connection, rule_id: UUID) -> Rule:
    found = get(connection, rule_id)
    if found.is_default:
        raise ConflictError("A default stays; make a rule of your own for the same values.")
    return found


DELETE: Final = """
delete from app.assessment_rules where account_id = (select auth.account_id()) and id = %(id)s
"""


def delete(connection: Connection, rule_id: UUID) -> None:
    """Delete a rule of the account's; where it was, the default holds again."""
    connection.execute(DELETE, {"id": own(connection, rule_id).id})
    audit.record(connection, "rule.deleted", rule_id)
