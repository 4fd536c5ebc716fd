"""The rules of routing as rows: listed, checked, replaced as a whole, each time a new version."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from psycopg.rows import class_row
from psycopg.types.json import Jsonb
from pydantic import Field, StringConstraints

from quotekit import audit
from quotekit.auth import Principal
from quotekit.bodies import Body
from quotekit.database import Connection
from quotekit.errors import ConflictError, InvalidInputError, StaleVersionError
from quotekit.webhooks import effects, routing
from quotekit.webhooks.routing import Rule
from quotekit.webhooks.signatures import SCHEMES

ROUTING: Final = UUID("00000000-0000-7000-8000-776562686b73")  # what its audit rows are about
IGNORE: Final = "ignore"  # a handler for events that nobody wants

Pattern = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^*]*\*?$")]


class RuleBody(Body):
    """A rule as an administrator writes it. What is left out holds for everything."""

    source: Annotated[str, StringConstraints(max_length=50)]
    type: Pattern = "*"
    action: Pattern = "*"
    size_band: Literal["*", "light", "heavy"] = "*"
    queue: Literal["critical", "standard", "bulk"]
    handler: Annotated[str, StringConstraints(max_length=50)]
    debounce_seconds: Annotated[int, Field(ge=1, le=routing.LONGEST_DEBOUNCE)] | None = None
    note: Annotated[str, StringConstraints(max_length=500)] = ""

    @property
    def rule(self) -> Rule:
        return Rule(**self.model_dump(exclude={"note"}))

    @property
    def key(self) -> tuple[str, str, str, str]:
        return self.source, self.type, self.action, self.size_band


class Rules(Body):
    """All rules there are to be; `version` is the one they were made from."""

    rules: Annotated[list[RuleBody], Field(min_length=1, max_length=500)]
    version: int | None = Field(default=None, ge=0)


@dataclass(frozen=True, slots=True)
class StoredRule:
    source: str
    type: str
    action: str
    size_band: str
    queue: str
    handler: str
    debounce_seconds: int | None
    note: str


@dataclass(frozen=True, slots=True)
class Version:
    """One state of the rules; `published_at` is null until the handler could read it."""

    version: int
    document: dict[str, Any]
    published_by: UUID | None
    created_at: datetime
    published_at: datetime | None


LIST: Final = """
select source, type, action, size_band, queue, handler, debounce_seconds, note
from ops.webhook_rules
order by source, type, action, size_band
"""


def list_rules(connection: Connection) -> list[StoredRule]:
    """For the service and for operators."""
    with connection.cursor(row_factory=class_row(StoredRule)) as cursor:
        return cursor.execute(LIST).fetchall()


NEWEST: Final = """
select version, document, published_by, created_at, published_at
from ops.webhook_routings
order by version desc
limit 1
"""


def newest(connection: Connection) -> Version | None:
    """The last version there is, published or not; none while the defaults were never changed."""
    with connection.cursor(row_factory=class_row(Version)) as cursor:
        return cursor.execute(NEWEST).fetchone()


def validate(rules: Sequence[RuleBody]) -> None:
    """Raises InvalidInputError that names every wrong rule and field."""
    problems = [
        {"field": f"rules.{place}.{field}", "message": message}
        for place, rule in enumerate(rules)
        for field, message in _problems(rule)
    ]
    seen: set[tuple[str, str, str, str]] = set()
    for place, rule in enumerate(rules):
        if rule.key in seen:
            problems.append({"field": f"rules.{place}", "message": "is there twice"})
        seen.add(rule.key)
    if problems:
        raise InvalidInputError(details=problems)


def _problems(rule: RuleBody) -> list[tuple[str, str]]:
    found = []
    if rule.source not in SCHEMES:
        found.append(("source", f"not one of {', '.join(sorted(SCHEMES))}"))
    if rule.handler not in {*effects.EFFECTS, IGNORE}:
        found.append(("handler", f"not one of {', '.join(sorted({*effects.EFFECTS, IGNORE}))}"))
    for text in routing.wrong(rule.rule):
        field, _, message = text.partition(": ")
        found.append((field, message))
    return found


LOCK: Final = "lock table ops.webhook_rules in share row exclusive mode"
DELETE: Final = "delete from ops.webhook_rules"
INSERT: Final = """
insert into ops.webhook_rules
    (source, type, action, size_band, queue, handler, debounce_seconds, note)
select source, type, action, size_band, queue, handler, debounce_seconds, note
from jsonb_to_recordset(%(rules)s::jsonb) as given (source text, type text, action text,
    size_band text, queue text, handler text, debounce_seconds integer, note text)
"""
INSERT_VERSION: Final = """
insert into ops.webhook_routings (document, published_by)
values (%(document)s, %(by)s)
returning version, document, published_by, created_at, published_at
"""


def replace_rules(connection: Connection, body: Rules, by: Principal) -> Version:
    """Store other rules, for a transaction of the service; `publishing.publish` tells the handler.

    Raises InvalidInputError, or StaleVersionError when they were not made from the newest version.
    """
    validate(body.rules)
    connection.execute(LOCK)  # two at once come one after the other
    known = newest(connection)
    if body.version is not None and body.version != (known.version if known else 0):
        raise StaleVersionError
    connection.execute(DELETE)
    given = [rule.model_dump() for rule in body.rules]
    connection.execute(INSERT, {"rules": Jsonb(given)})
    document = {"rules": [rule.rule._asdict() for rule in body.rules]}
    with connection.cursor(row_factory=class_row(Version)) as cursor:
        values = {"document": Jsonb(document), "by": by.user_id}
        (stored,) = cursor.execute(INSERT_VERSION, values)
    details = {"version": stored.version, "rules": len(given), "by": str(by.user_id)}
    audit.record_for(connection, by.account_id, "webhook_routing.replaced", ROUTING, details)
    return stored


MARK_PUBLISHED: Final = """
update ops.webhook_routings set published_at = now()
where version = %(version)s
returning version, document, published_by, created_at, published_at
"""


def mark_published(connection: Connection, version: int) -> Version:
    with connection.cursor(row_factory=class_row(Version)) as cursor:
        marked = cursor.execute(MARK_PUBLISHED, {"version": version}).fetchone()
    if marked is None:
        raise ConflictError("There is no such version of the routing.")
    return marked
