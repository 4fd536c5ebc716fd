"""An account with a row in every table that may hold something of one, each marked as its own.

Tables, columns and keys are read from the catalog, so a new table is furnished by itself. Triggers
and foreign keys sleep meanwhile; the rows agree with their keys all the same.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final
from uuid import NAMESPACE_URL, UUID, uuid5

import psycopg

from quotekit.batches import parts
from tests.access.declared import SAMPLES
from tests.access.rows import Column, NoRowError, Rows, insertion, raw

# What hangs on webhooks, whose rows say no account.
OF_EVENTS: Final = ("ops.webhook_attempts", "ops.webhook_dead_letters", "ops.webhook_redrive_items")
# Worlds' own: not of an account, and there once.
SHARED: Final = ("app.plans", "app.tours", "app.tour_steps", "ops.tiers")
APART: Final = {"app.accounts", "app.members", "ops.erasures"}
OURS: Final = {
    ("app.audit_events", "object_id"),
    ("app.mails", "quote_id"),
    ("app.quotes", "id"),
    ("app.stripe_customers", "id"),
    ("app.billing_history", "customer_id"),
    ("app.payment_methods", "customer_id"),
}
SAID: Final = {("app.quote_versions", "frozen_at")}
SEARCH: Final = "select count(*) from {} as kept where strpos(kept::text, %s) > 0"
DUMP: Final = "select kept::text from {} as kept order by 1"


@dataclass(frozen=True)
class Furnished(Rows):
    """The rows of one account; every text that may be anything says whose it is."""

    mark: str = ""

    def value(self, column: Column) -> Any:
        place = (column.table, column.name)
        known = self.samples.get(place, self._said(column))
        if known is None and column.type == "uuid" and not column.refers:
            if column.name in {"account_id", "user_id"} or column.otherwise == "auth.uid()":
                return super().value(column)
            return self.named(f"{place}")
        return super().value(column) if known is None else known

    def _said(self, column: Column) -> Any:
        """What no rule of the catalog finds."""
        place = (column.table, column.name)
        if column.name == "customer_id" or place == ("app.stripe_customers", "id"):
            return f"cus_{self.mark}"
        if place in {("app.connected_accounts", "id"), ("app.payments", "stripe_account_id")}:
            return f"acct_{self.mark}"
        if column.type == "bytea":
            return hashlib.sha256(f"{self.mark} {place}".encode()).digest()
        return {
            ("ops.webhook_events", "body"): f'{{"customer": "cus_{self.mark}"}}',
            ("app.quote_versions", "frozen_at"): "2026-01-01T00:00:00Z",
        }.get(place)

    def named(self, name: str) -> UUID:
        return uuid5(NAMESPACE_URL, f"{self.mark} {name}")

    def full(self, table: str) -> dict[str, Any]:
        """The row with all keys, and with all that texts may say, as far as each by itself may."""
        row = self.row(table)
        for column in self.tables[table]:
            place = (table, column.name)
            if column.generated or place in self.samples or column.name in row:
                continue
            said = f"{self.mark} {column.name}"
            if column.refers or column.name == "customer_id" or place in SAID:
                row[column.name] = self.value(column)
            elif column.type == "text" and all(
                self._passes(column, c, said) for c in column.checks
            ):
                row[column.name] = said
        return row | {
            column.name: f"{self.mark} {column.name}"
            for column in self.tables[table]
            if column.name in row and self._is_free(column, row[column.name])
        }

    def _is_free(self, column: Column, value: Any) -> bool:
        """Whether a text that had to be there may be any other."""
        said = f"{self.mark} {column.name}"
        return (
            column.type == "text"
            and not column.refers
            and (column.table, column.name) not in self.samples
            and self.mark not in str(value)
            and all(self._passes(column, check, said) for check in column.checks)
        )

    def fill(self, table: str) -> None:
        """As full as the checks between columns allow."""
        row = self.row(table)
        for name, said in self.full(table).items():
            if row.get(name) != said and self._fits(table, row | {name: said}):
                row[name] = said
        try:
            self.connection.execute(insertion(table, row), list(row.values()))
        except psycopg.Error as error:
            raise NoRowError(f"{table}: {error.diag.message_primary}: {row}") from error

    def _fits(self, table: str, row: dict[str, Any]) -> bool:
        try:
            with self.connection.transaction(force_rollback=True):
                self.connection.execute(insertion(table, row), list(row.values()))
        except psycopg.errors.CheckViolation:
            return False
        return True


@dataclass
class World:
    """A database with furnished accounts in it."""

    owner_url: str
    furnished: dict[str, Furnished] = field(default_factory=dict)

    @cached_property
    def connection(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.owner_url, autocommit=True)

    def tables(self) -> list[str]:
        return list(Rows(self.connection, UUID(int=0), UUID(int=0), {}).tables)

    def account(self, mark: str) -> Furnished:
        """A furnished account, whose owner is there."""
        account, user = (uuid5(NAMESPACE_URL, f"{mark} {name}") for name in ("account", "user"))
        samples = {place: said for place, said in SAMPLES.items() if place not in OURS}
        made = Furnished(self.connection, account, user, samples, mark=mark)
        with self.connection.transaction():
            self.connection.execute("set local session_replication_role = replica")
            insert = "insert into app.accounts (id, name) values (%s, %s)"
            self.connection.execute(insert, [account, f"{mark} Gardens"])
            self.connection.execute("insert into app.members values (%s, %s)", [account, user])
            for table in self.furnishable():
                made.fill(table)
            for table in ("app.subscriptions", "app.stripe_subscriptions"):
                self.connection.execute(raw(f"update {table} set status = 'canceled'"))
        self.furnished[mark] = made
        return made

    def furnishable(self) -> Iterator[str]:
        owned = [name for name in parts.tables(self.connection) if name not in APART]  # type: ignore[arg-type]
        yield from owned
        yield from OF_EVENTS

    def naming(self, text: str) -> dict[str, int]:
        """In how many rows of which tables a text stands."""
        found = {
            table: self.connection.execute(raw(SEARCH.format(table)), [text]).fetchone()
            for table in self.tables()
        }
        return {table: row[0] for table, row in found.items() if row and row[0]}

    def dump(self, without: str = "\0") -> dict[str, list[str]]:
        """Every row of every table as text, but those that name something."""
        return {
            table: [
                row
                for (row,) in self.connection.execute(raw(DUMP.format(table)))
                if without not in row
            ]
            for table in self.tables()
            if table not in {"ops.erasures", "ops.erased_names"}
        }
