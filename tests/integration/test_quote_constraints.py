"""What PostgreSQL itself refuses of a quote, whoever asks: the client's role, past all our code."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.errors import (
    CheckViolation,
    ForeignKeyViolation,
    InsufficientPrivilege,
)

from quotekit.database import Actor, Connection, transaction
from quotekit.quotes import basis, lifecycle, repository, service
from quotekit.quotes.requests import QuoteCreate

ALICE = Actor(
    "authenticated",
    {"sub": "01900000-0000-7000-8000-00000000000a"},
    admission=b"select auth.admit()",
)
BOB = Actor(
    "authenticated",
    {"sub": "01900000-0000-7000-8000-00000000000b"},
    admission=b"select auth.admit()",
)
BODY = QuoteCreate.model_validate(
    {
        "client": {"name": "Grace"},
        "tax_rate": "10",
        "line_items": [{"name": "Work", "quantity": "2", "unit_cost": "50"}],
    }
)


@pytest.fixture
def quote_id(database: Any) -> UUID:
    with transaction(ALICE) as connection:
        return service.create_quote(connection, BODY).id


def run(statement: str, quote_id: UUID, actor: Actor = ALICE) -> int:
    """Run as the client's own role; how many rows it touched."""
    with transaction(actor) as connection:
        return connection.execute(statement.encode(), {"id": quote_id}).rowcount


def send(quote_id: UUID) -> None:
    with transaction(ALICE) as connection:
        found = repository.get(connection, quote_id, lock=True)
        company = basis.company(connection)
        validity = service.validity(found.quote, company, datetime.now(UTC))
        lifecycle.send(connection, found, validity.until, validity.expires_at)


LINE_OF = """insert into app.quote_lines (version_id, position, name, quantity, unit_cost,
    unit_price, gross, discount_amount, line_total, net, tax_amount, quantity_min, quantity_max)
    select id, 2, 'More', 2, 0, 0, 0, 0, 0, 0, 0, {}, {} from app.quote_versions
    where quote_id = %(id)s"""
REFUSED: dict[str, tuple[str, type[Exception]]] = {
    "a total that does not add up": (
        "update app.quote_versions set total = total + 1 where quote_id = %(id)s",
        CheckViolation,
    ),
    "totals that the lines do not add up to": (
        """update app.quote_versions set subtotal = 1, tax_amount = 0, total = 1,
            discount_amount = 0 where quote_id = %(id)s""",
        CheckViolation,
    ),
    "lines that are taken away under the totals": (
        """with gone as (delete from app.quote_lines where version_id in
            (select id from app.quote_versions where quote_id = %(id)s))
        update app.quote_versions set notes = 'touched' where quote_id = %(id)s""",
        CheckViolation,
    ),
    "a range of quantities with no end": (LINE_OF.format(1, "null"), CheckViolation),
    "a range that begins with nothing": (LINE_OF.format(0, 3), CheckViolation),
    "a range the wrong way round": (LINE_OF.format(3, 1), CheckViolation),
    "a range that its quantity is outside of": (LINE_OF.format(3, 5), CheckViolation),
    "a negative total": (
        "update app.quote_versions set subtotal = -1, total = -1 where quote_id = %(id)s",
        CheckViolation,
    ),
    "a tax above 100 percent": (
        "update app.quote_versions set tax_rate = 100.0001 where quote_id = %(id)s",
        CheckViolation,
    ),
    "a number chosen by hand": (
        "update app.quotes set number = 'Q-1' where id = %(id)s",
        InsufficientPrivilege,
    ),
    "a quote moved to another account": (
        "update app.quotes set account_id = gen_random_uuid() where id = %(id)s",
        InsufficientPrivilege,
    ),
    "a draft that is accepted": (
        "update app.quotes set status = 'accepted' where id = %(id)s",
        psycopg.DatabaseError,
    ),
    "a status that does not exist": (
        "update app.quotes set status = 'paid' where id = %(id)s",
        psycopg.DatabaseError,
    ),
    "usage set back": ("update app.usage set used = 0", InsufficientPrivilege),
    "a plan bought for nothing": (
        """insert into app.subscriptions (account_id, plan_key, status)
            values (auth.account_id(), 'premium', 'active')""",
        InsufficientPrivilege,
    ),
    "a role taken": (
        "insert into app.user_roles (user_id, role) values (auth.uid(), 'admin')",
        InsufficientPrivilege,
    ),
    "an audit row changed": (
        "update app.audit_events set action = 'quote.nothing'",
        InsufficientPrivilege,
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_the_database_refuses(quote_id: UUID, name: str) -> None:
    statement, error = REFUSED[name]

    with pytest.raises(error):
        run(statement, quote_id)


def test_a_range_around_its_quantity_is_taken(quote_id: UUID) -> None:
    assert run(LINE_OF.format(1, 3), quote_id) == 1


FROZEN = {
    "what it says": "update app.quote_versions set notes = 'changed' where quote_id = %(id)s",
    "that it is frozen": "update app.quote_versions set frozen_at = null where quote_id = %(id)s",
    "the version itself": "delete from app.quote_versions where quote_id = %(id)s",
    "its lines": """delete from app.quote_lines where version_id in
        (select id from app.quote_versions where quote_id = %(id)s)""",
    "more lines": """insert into app.quote_lines (version_id, position, name, quantity, unit_cost,
        unit_price, gross, discount_amount, line_total, net, tax_amount)
        select id, 2, 'More', 1, 1, 1, 1, 0, 1, 1, 0 from app.quote_versions
        where quote_id = %(id)s""",
    "the range of a quantity": """update app.quote_lines set quantity_min = 1, quantity_max = 9
        where version_id in (select id from app.quote_versions where quote_id = %(id)s)""",
    "the whole quote": "delete from app.quotes where id = %(id)s",
    "its status back": "update app.quotes set status = 'draft' where id = %(id)s",
}


@pytest.mark.parametrize("what", FROZEN)
def test_of_a_sent_quote_nobody_changes(quote_id: UUID, what: str) -> None:
    send(quote_id)

    with pytest.raises(psycopg.DatabaseError) as refused:
        run(FROZEN[what], quote_id)

    assert refused.value.sqlstate in {"QK409", "42501"}


@pytest.mark.parametrize(
    "statement",
    [
        "update app.quotes set title = 'mine' where id = %(id)s",
        "delete from app.quotes where id = %(id)s",
        "update app.quote_versions set notes = 'mine' where quote_id = %(id)s",
        "select from app.quotes where id = %(id)s",
    ],
)
def test_another_account_touches_no_row(quote_id: UUID, statement: str) -> None:
    assert run(statement, quote_id, BOB) == 0


def test_another_accounts_client_cannot_be_quoted(quote_id: UUID) -> None:
    with transaction(BOB) as connection:
        connection.execute(
            "insert into app.clients (id, name) values (%(id)s, 'Bobs')", {"id": quote_id}
        )

    with pytest.raises(ForeignKeyViolation):
        run("update app.quotes set client_id = %(id)s where id = %(id)s", quote_id)


def test_a_first_request_founds_the_account_and_makes_its_owner(database: Any) -> None:
    count: Callable[[Connection], Any] = lambda c: c.execute(  # noqa: E731
        "select role, user_id from app.members"
    ).fetchall()

    with transaction(ALICE) as connection:
        members = count(connection)

    assert members == [("owner", UUID("01900000-0000-7000-8000-00000000000a"))]


STATUSES = ("draft", "sent", "viewed", "accepted", "declined", "expired", "converted", "superseded")
PUT = """
update app.quotes set status = %(status)s, number = case when %(status)s <> 'draft' then 'N-1' end,
    sent_at = case when %(status)s <> 'draft' then now() end
"""


@pytest.mark.parametrize("earlier", STATUSES)
def test_the_database_lets_a_quote_take_the_steps_its_own_function_names_and_no_other(
    database: Any, quote_id: UUID, earlier: str
) -> None:
    with psycopg.connect(database.owner_url, autocommit=True) as owner:
        named = owner.execute(
            "select s from unnest(%s::text[]) as s where app.quote_may_become(%s, s)",
            [list(STATUSES), earlier],
        )
        allowed = {status for (status,) in named}

        taken = {
            status for status in STATUSES if status != earlier and steps(owner, earlier, status)
        }

    assert taken == allowed


def steps(owner: psycopg.Connection, earlier: str, later: str) -> bool:
    """Whether the quote may take this step, past all that led to it."""
    with owner.transaction(force_rollback=True):
        owner.execute("set local session_replication_role = replica")
        owner.execute(PUT, {"status": earlier})
        owner.execute("set local session_replication_role = origin")
        try:
            owner.execute(PUT, {"status": later})
        except psycopg.DatabaseError as error:
            if error.sqlstate != "QK409":
                raise
            return False
    return True
