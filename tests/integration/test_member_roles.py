"""What each role may write, asked of the database itself, table by table."""

from typing import Any, Final, LiteralString
from uuid import UUID, uuid4

import psycopg
import pytest

from quotekit import auth, database
from quotekit.database import Actor
from quotekit.errors import ForbiddenError
from tests.conftest import Database

ACCOUNT: Final = uuid4()
PEOPLE: Final[dict[str, UUID]] = {
    role: uuid4() for role in ("owner", "admin", "member", "viewer", "stranger")
}
MANAGERS: Final = {"owner", "admin"}
WORKERS: Final = MANAGERS | {"member"}
INVITATION: Final[LiteralString] = """
insert into app.invitations (id, email, role, token_hash, expires_at)
values (gen_random_uuid(), 'ada@example.com', 'member', sha256('x'), now())
"""
# A statement that changes one row, and who may: without the doors' own looks.
WRITES: Final[dict[str, tuple[LiteralString, set[str]]]] = {
    "accounts": ("update app.accounts set name = 'Mine'", MANAGERS),
    "company_settings, saved": (
        "insert into app.company_settings (account_id) values (auth.account_id())",
        MANAGERS,
    ),
    "company_settings, changed": ("update app.company_settings set valid_days = 9", MANAGERS),
    "webhook_endpoints, made": (
        """insert into app.webhook_endpoints (id, name, scheme)
        values (gen_random_uuid(), 'CRM', 'hmac')""",
        MANAGERS,
    ),
    "webhook_endpoints, changed": ("update app.webhook_endpoints set name = 'x'", MANAGERS),
    "webhook_endpoints, removed": ("delete from app.webhook_endpoints", MANAGERS),
    "invitations, made": (INVITATION, MANAGERS),
    "invitations, revoked": ("update app.invitations set revoked_at = now()", MANAGERS),
    "members, made": (
        """insert into app.members (account_id, user_id, role)
        values (auth.account_id(), gen_random_uuid(), 'admin')""",
        set(),
    ),
    "members, changed": ("update app.members set role = 'admin'", set()),
    "members, removed": ("delete from app.members", set()),
    "clients": ("insert into app.clients (id, name) values (gen_random_uuid(), 'G')", WORKERS),
    "item_categories": (
        "insert into app.item_categories (id, name) values (gen_random_uuid(), 'G')",
        WORKERS,
    ),
}


def actor(role: str) -> Actor:
    return auth.principal({"sub": str(PEOPLE[role]), "account_id": str(ACCOUNT)}).actor


@pytest.fixture
def owner(database: Database) -> Any:
    with psycopg.connect(database.owner_url, autocommit=True) as connection:
        connection.execute("insert into app.accounts (id) values (%s)", [ACCOUNT])
        for role, user in PEOPLE.items():
            if role != "stranger":
                values = [ACCOUNT, user, role]
                connection.execute("insert into app.members values (%s, %s, %s)", values)
        yield connection


def fill(owner: psycopg.Connection, table: str) -> None:
    """A row to change, where the statement does not make one."""
    if table == "company_settings, changed":
        owner.execute("insert into app.company_settings (account_id) values (%s)", [ACCOUNT])
    if table.startswith("webhook_endpoints") and not table.endswith("made"):
        owner.execute(
            "insert into app.webhook_endpoints (id, account_id, name, scheme)"
            " values (gen_random_uuid(), %s, 'CRM', 'hmac')",
            [ACCOUNT],
        )
    if table == "invitations, revoked":
        owner.execute(
            "insert into app.invitations"
            " (id, account_id, email, role, token_hash, invited_by, expires_at)"
            " values (gen_random_uuid(), %s, 'a@b.de', 'member', sha256('y'), %s, now())",
            [ACCOUNT, PEOPLE["owner"]],
        )


def written(role: str, statement: LiteralString) -> bool:
    """Whether the database let a person of that role change a row, and kept it."""
    try:
        with database.transaction(actor(role)) as connection:
            return connection.execute(statement).rowcount == 1
    except (ForbiddenError, psycopg.errors.InsufficientPrivilege):
        return False


@pytest.mark.parametrize("table", WRITES)
@pytest.mark.parametrize("role", PEOPLE)
def test_a_role_writes_what_is_its_and_nothing_else(
    owner: psycopg.Connection, role: str, table: str
) -> None:
    statement, allowed = WRITES[table]
    fill(owner, table)

    assert written(role, statement) == (role in allowed)


LOOSENED: Final[dict[str, LiteralString]] = {
    "company_settings, saved": (
        "drop policy company_settings_made_by_managers on app.company_settings"
    ),
    "company_settings, changed": (
        "drop policy company_settings_changed_by_managers on app.company_settings"
    ),
    "webhook_endpoints, made": (
        "drop policy webhook_endpoints_made_by_managers on app.webhook_endpoints"
    ),
    "webhook_endpoints, changed": (
        "drop policy webhook_endpoints_changed_by_managers on app.webhook_endpoints"
    ),
    "webhook_endpoints, removed": (
        "drop policy webhook_endpoints_deleted_by_managers on app.webhook_endpoints"
    ),
    "accounts": "drop trigger accounts_managed on app.accounts",
}


@pytest.mark.parametrize("table", LOOSENED)
def test_each_of_these_rules_is_what_keeps_members_out(
    owner: psycopg.Connection, table: str
) -> None:
    fill(owner, table)
    owner.execute(LOOSENED[table])

    assert written("member", WRITES[table][0])
    assert not written("viewer", WRITES[table][0])  # whose transaction is read-only


def test_a_viewer_cannot_make_his_transaction_write_again(owner: psycopg.Connection) -> None:
    again = "select set_config('transaction_read_only', 'off', true)"

    def undo() -> None:
        with database.transaction(actor("viewer")) as connection:
            connection.execute("select 1")
            connection.execute(again)

    with pytest.raises(psycopg.errors.ActiveSqlTransaction):
        undo()


@pytest.mark.parametrize("role", ["owner", "viewer"])
def test_one_read_by_a_member_is_one_round_trip(
    owner: psycopg.Connection, proxy: Any, role: str
) -> None:
    for _ in range(2):  # the first opens the connection
        proxy.flights = 0
        with database.reading(actor(role)) as connection:
            found = connection.execute("select auth.member_role()").fetchone()

    assert found == (role,)
    assert proxy.flights == 1


def test_removed_he_is_refused_by_the_next_statement(owner: psycopg.Connection) -> None:
    statement = WRITES["clients"][0]

    before = written("member", statement)
    owner.execute("delete from app.members where user_id = %s", [PEOPLE["member"]])

    assert (before, written("member", statement)) == (True, False)
    with pytest.raises(ForbiddenError), database.reading(actor("member")) as connection:
        connection.execute("select from app.clients")
