"""Operations of batches for tests: run on an account as the engine runs them, and looked at."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import psycopg
from pydantic_core import to_jsonable_python

from quotekit import database
from quotekit.batches import effects
from quotekit.batches.model import Operation, Outcome, Work
from quotekit.batches.operations import OPERATIONS
from quotekit.catalog import clients, items
from quotekit.catalog.requests import ClientCreate, ItemCreate
from quotekit.database import Actor, Connection
from quotekit.identifiers import new_id
from quotekit.quotes import repository, service
from quotekit.quotes.model import Quote
from quotekit.quotes.requests import QuoteCreate, SendRequest
from quotekit.quotes.sending import Sending

PORTAL: Final = "https://quotes.test"
LINES: Final = [
    {"name": "Mowing", "quantity": "2", "unit_cost": "50"},
    {"name": "Hedge", "quantity": "1.5", "unit_cost": "33.33", "optional": True},
]
CLONE: Final = """
with made as materialized (
    select gen_random_uuid() as quote_id, gen_random_uuid() as version_id, n
    from generate_series(1, %(count)s) as n
), quotes as (
    insert into app.quotes (id, account_id, client_id, title, created_by, status, number, sent_at)
    select quote_id, account_id, client_id, title, created_by, status,
        case when number is not null then number || '-' || quote_id end, sent_at
    from app.quotes, made where id = %(id)s
), versions as (
    insert into app.quote_versions (id, account_id, quote_id, client_name, client_email, currency,
        language, tax_rate, tax_inclusive, tax_rounding, markup_rate, subtotal, markup_amount,
        discount_amount, tax_amount, tax_breakdown, total, deposit_amount)
    select version_id, account_id, made.quote_id, client_name, client_email, currency, language,
        tax_rate, tax_inclusive, tax_rounding, markup_rate, subtotal, markup_amount,
        discount_amount, tax_amount, tax_breakdown, total, deposit_amount
    from app.quote_versions as said, made where said.quote_id = %(id)s
), lines as (
    insert into app.quote_lines (account_id, version_id, position, name, quantity, unit_cost,
        optional, unit_price, gross, discount_amount, line_total, net, tax_amount)
    select line.account_id, made.version_id, position, name, quantity, unit_cost, optional,
        unit_price, gross, line.discount_amount, line_total, net, line.tax_amount
    from app.quote_lines as line join app.quote_versions as said on said.id = line.version_id, made
    where said.quote_id = %(id)s
)
select quote_id from made
"""


@dataclass(frozen=True)
class Ran:
    """What an operation came to; `work` holds what it promised."""

    outcomes: Sequence[Outcome]
    work: Work

    @property
    def codes(self) -> list[str]:
        return [outcome.code for outcome in self.outcomes]

    @property
    def counts(self) -> dict[str, int]:
        return dict(Counter(self.codes))


@dataclass(frozen=True)
class Account:
    """A tenant and his one user."""

    owner_url: str = field(repr=False)
    id: UUID = field(default_factory=new_id)
    user: UUID = field(default_factory=new_id)

    @property
    def actor(self) -> Actor:
        claims = {"sub": str(self.user), "account_id": str(self.id)}
        return Actor("authenticated", claims, admission=b"select auth.admit()")

    def run(
        self,
        name: str,
        things: Sequence[Any],
        *,
        dry_run: bool = False,
        job: UUID | None = None,
        **parameters: Any,
    ) -> Ran:
        """Do all of it in slices; each is one transaction, which acts for this account."""
        operation = OPERATIONS[name]
        asked = operation.parameters.model_validate(parameters)
        work = Work(job or new_id(), self.id, self.user, asked, dry_run, datetime.now(UTC))
        checked = [operation.item.model_validate(to_jsonable_python(thing)) for thing in things]
        outcomes: list[Outcome] = []
        while len(outcomes) < len(checked):
            with database.transaction(work.service) as connection:
                connection.become(work.actor)
                outcomes += effect(connection, work, operation, checked[len(outcomes) :])
                connection.become(work.service)
        return Ran(outcomes, work)

    def quote(self, **said: Any) -> Quote:
        client = {"name": "Grace", "email": "grace@example.com"}
        usual = {"client": client, "tax_rate": "10", "line_items": LINES}
        body = QuoteCreate.model_validate(usual | said)
        with database.transaction(self.actor) as connection:
            return service.create_quote(connection, body)

    def sent(self, **said: Any) -> Quote:
        quote = self.quote(**said)
        with database.transaction(self.actor) as connection:
            sending = Sending(SendRequest(channel="link"), PORTAL, datetime.now(UTC))
            return sending.send(connection, quote.id)

    def get(self, quote_id: UUID) -> Quote:
        with database.reading(self.actor) as connection:
            return repository.get(connection, quote_id).quote

    def client(self, name: str = "Grace", **said: Any) -> UUID:
        with database.transaction(self.actor) as connection:
            return clients.create(connection, ClientCreate(name=name, **said)).id

    def item(self, unit_cost: str = "10", **said: Any) -> UUID:
        body = {"name": "Mulch", "unit": "bag", "unit_cost": unit_cost} | said
        with database.transaction(self.actor) as connection:
            return items.create(connection, ItemCreate.model_validate(body)).id

    def copies(self, quote: Quote, count: int) -> list[UUID]:
        """So many more of a quote, of any status, made by the database."""
        return [row[0] for row in self.owner(CLONE, {"count": count, "id": quote.id})]

    def plan(self, **limits: Any) -> None:
        """Give the account a plan of its own."""
        plan = {"quotes": None, "clients": None} | limits
        key = "test_" + "".join(chr(ord("a") + int(digit, 16)) for digit in self.id.hex[-8:])
        self.owner(
            """insert into app.plans (key, name, quotes_per_month, clients, watermark,
                bulk_operations, analytics, monthly_price, yearly_price)
            values (%(key)s, 'Test', %(quotes)s, %(clients)s, false, true, true, 1, 1)""",
            plan | {"key": key},
        )
        self.owner(
            """insert into app.subscriptions (account_id, plan_key, status)
            values (%(account)s, %(key)s, 'active')""",
            {"account": self.id, "key": key},
        )

    def owner(self, statement: str, values: Mapping[str, Any] | None = None) -> list[Any]:
        """What the database says to its owner."""
        with psycopg.connect(self.owner_url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), values)
            return cursor.fetchall() if cursor.description else []

    def events(self, action: str) -> dict[UUID, dict[str, Any]]:
        """Audit events of that kind, by what they are about; fails when one comes twice."""
        rows = self.owner(
            "select object_id, details, actor_id from app.audit_events "
            "where account_id = %(account)s and action = %(action)s",
            {"account": self.id, "action": action},
        )
        assert len({row[0] for row in rows}) == len(rows)
        assert {row[2] for row in rows} <= {self.user}
        return {row[0]: row[1] for row in rows}


def effect(
    connection: Connection, work: Work, operation: Operation, things: Sequence[Any]
) -> Sequence[Outcome]:
    if operation.apply is not None:
        return effects.together(connection, work, operation.apply, things)
    assert operation.apply_one is not None
    return effects.one_by_one(connection, work, operation.apply_one, things)


def founded(owner_url: str) -> Account:
    """A tenant who is there."""
    account = Account(owner_url)
    with database.transaction(account.actor) as connection:
        look(connection)
    return account


def look(connection: Connection) -> None:
    connection.execute("select 1")
