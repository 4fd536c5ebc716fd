"""Random lives of quotes in two accounts, alone and at once, against a plain model of DESIGN 5.3.

After every step PostgreSQL says what the model says: statuses, chains, numbers without gap, the
month's quota, one audit event for each step, the facts that reports add up; and what was sent
has not changed by a byte.
QUOTEKIT_EXAMPLES=200 lives longer than CI has time for, with new lives each time.

Broken by hand, each found within the usual run: accepted may become declined; begin_revision
without its look at the status; send_revision that supersedes nothing, or numbers from the whole
number; a revision that takes quota; quota unchecked; a number skipped; quotes_revised_once and
quote_versions_frozen dropped; no event for what is superseded; a sent quote changed, deleted; a
quote decided twice, or without its lock; declined quotes expired. Not found, since the guard of
statuses refuses the same later: send_revision without its own look at the status.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any, Final, Literal
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from quotekit import database as databases
from quotekit.errors import ConflictError, NotFoundError, QuotaExceededError
from quotekit.quotes import repository, revising, service
from quotekit.quotes.requests import QuoteChange, SendRequest
from quotekit.quotes.sending import Sending
from tests import recount
from tests.conftest import Database
from tests.conftest import forget as forget_settings
from tests.operating import PORTAL, Account, founded

MANY: Final = os.environ.get("QUOTEKIT_EXAMPLES")
QUOTAS: Final = (2, None)
NEXT: Final[dict[str, set[str]]] = {
    "draft": {"sent"},
    "sent": {"viewed", "accepted", "declined", "expired", "superseded"},
    "viewed": {"accepted", "declined", "expired", "superseded"},
    "accepted": {"converted"},
    "declined": {"superseded"},
    "expired": {"superseded"},
    "converted": set(),
    "superseded": set(),
}
STATUSES: Final = sorted(NEXT)
DECISIONS: Final = ("viewed", "accepted", "declined", "expired", "converted")
STEPS: Final = (*DECISIONS, "send", "revise", "change", "duplicate", "template", "delete")
type Outcome = Literal["done", "conflict", "quota", "missing"]
ERRORS: Final[dict[type[Exception], Outcome]] = {
    ConflictError: "conflict",
    QuotaExceededError: "quota",
    NotFoundError: "missing",
}


@dataclass
class Known:
    """What the model knows of a quote."""

    status: str = "draft"
    template: bool = False
    revision: int = 1
    revises: UUID | None = None
    number: str | None = None


@dataclass
class Shop:
    """One account, as plain values; every rule of a quote's life, once more."""

    quota: int | None
    quotes: dict[UUID, Known] = field(default_factory=dict)
    numbers: int = 0
    audit: Counter[tuple[UUID, str]] = field(default_factory=Counter)

    def take(self, step: str, quote_id: UUID, made: UUID | None) -> Outcome:
        """What a step should come to; `made` is the quote that it made, if it did."""
        quote = self.quotes.get(quote_id)
        if quote is None:
            return "missing"
        match step:
            case "duplicate" | "template":
                return self.make(made, "quote.duplicated", Known(template=step == "template"))
            case "revise":
                return self.revise(quote_id, quote, made)
            case "send":
                return self.send(quote_id, quote)
            case "change" | "delete":
                return self.edit(quote_id, quote, step)
        return self.move(quote_id, quote, step)

    def edit(self, quote_id: UUID, quote: Known, step: str) -> Outcome:
        if quote.status != "draft":
            return "conflict"
        if step == "delete":
            del self.quotes[quote_id]
        self.audit[quote_id, f"quote.{step}d"] += 1
        return "done"

    def make(self, made: UUID | None, action: str, known: Known) -> Outcome:
        if made is not None:
            self.quotes[made] = known
            self.audit[made, action] += 1
        return "done"

    def revise(self, quote_id: UUID, quote: Known, made: UUID | None) -> Outcome:
        is_revised = any(one.revises == quote_id for one in self.quotes.values())
        if "superseded" not in NEXT[quote.status] or is_revised:
            return "conflict"
        revision = Known(revision=quote.revision + 1, revises=quote_id)
        return self.make(made, "quote.revised", revision)

    def send(self, quote_id: UUID, quote: Known) -> Outcome:
        if quote.template or quote.status != "draft":
            return "conflict"
        if quote.revises is not None:
            old = self.quotes[quote.revises]
            if self.move(quote.revises, old, "superseded") == "conflict":
                return "conflict"
            quote.number = f"{(old.number or '').partition('-R')[0]}-R{quote.revision}"
        elif self.numbers == self.quota:
            return "quota"
        else:
            self.numbers += 1
            quote.number = f"{self.numbers:04}"
        return self.move(quote_id, quote, "sent")

    def move(self, quote_id: UUID, quote: Known, status: str) -> Outcome:
        if status not in NEXT[quote.status]:
            return "conflict"
        quote.status = status
        self.audit[quote_id, f"quote.{status}"] += 1
        return "done"


@dataclass(frozen=True)
class Happened:
    """What a step came to."""

    outcome: Outcome
    made: UUID | None = None


def attempt(account: Account, step: str, quote_id: UUID) -> Happened:
    try:
        with databases.transaction(account.actor) as connection:
            made = WORK[step](connection, quote_id)
    except tuple(ERRORS) as error:
        return Happened(next(said for kind, said in ERRORS.items() if isinstance(error, kind)))
    return Happened("done", made)


def send(connection: databases.Connection, quote_id: UUID) -> None:
    Sending(SendRequest(channel="link"), PORTAL, datetime.now(UTC)).send(connection, quote_id)


def change(connection: databases.Connection, quote_id: UUID) -> None:
    version = repository.get(connection, quote_id, lock=True).quote.version
    # A total of its own each time, and the same in every run.
    body = QuoteChange.model_validate({"notes": f"Change {version}", "tax_rate": version % 99})
    service.change_quote(connection, quote_id, body, version=version)


def decision(status: Any) -> Callable[[databases.Connection, UUID], None]:
    def decide(connection: databases.Connection, quote_id: UUID) -> None:
        service.decide(connection, quote_id, status, None)

    return decide


WORK: Final[dict[str, Callable[[databases.Connection, UUID], UUID | None]]] = {
    "send": send,
    "change": change,
    "delete": service.delete_quote,
    "revise": lambda c, quote_id: revising.revise(c, quote_id).id,
    "duplicate": lambda c, quote_id: service.duplicate_quote(c, quote_id, None).id,
    "template": lambda c, quote_id: service.duplicate_quote(c, quote_id, "Spring").id,
    **{status: decision(status) for status in DECISIONS},
}
QUOTES: Final = """
select quote.id, quote.status, quote.is_template, quote.revision, quote.revises, quote.number,
    (select md5(string_agg(said::text || coalesce((select string_agg(line::text, ';'
            order by line.position) from app.quote_lines as line where line.version_id = said.id),
            ''), ';' order by said.id))
     from app.quote_versions as said where said.quote_id = quote.id) as said
from app.quotes as quote where quote.account_id = %(account)s
"""
EVENTS: Final = """
select object_id, action, count(*) from app.audit_events
where account_id = %(account)s and action like 'quote.%%' group by object_id, action
"""
COUNTS: Final = """
select coalesce((select sum(used) from app.usage
        where account_id = %(account)s and metric = 'quotes_sent'), 0),
    coalesce((select sum(last) from app.quote_counters where account_id = %(account)s), 0)
"""
TAMPER: Final = """
update app.quote_versions set notes = notes || '!'
where account_id = (select auth.account_id()) and quote_id = %(id)s
"""
FORCE: Final = "update app.quotes set status = %(status)s where id = %(id)s"


class Lives(RuleBasedStateMachine):
    """Steps of both accounts in any order; `quotes` are all that ever were."""

    database: Database

    def __init__(self) -> None:
        super().__init__()
        self.owner = psycopg.connect(self.database.owner_url, autocommit=True)
        self.accounts = [founded(self.database.owner_url) for _ in QUOTAS]
        self.shops = [Shop(quota) for quota in QUOTAS]
        self.quotes: list[tuple[int, UUID]] = []
        self.sealed: dict[UUID, str] = {}
        for account, quota in zip(self.accounts, QUOTAS, strict=True):
            account.plan(quotes=quota)
        self.create(0)

    def teardown(self) -> None:
        self.owner.close()

    def one(self, pick: int) -> tuple[int, UUID]:
        """One of the quotes, new ones first, so that lives grow long."""
        return self.quotes[-1 - pick % len(self.quotes)]

    def enter(self, whose: int, happened: Iterable[Happened]) -> None:
        self.quotes += [(whose, one.made) for one in happened if one.made is not None]

    @rule(whose=st.integers(0, 1))
    def create(self, whose: int) -> None:
        made = self.accounts[whose].quote().id
        self.shops[whose].make(made, "quote.created", Known())
        self.quotes.append((whose, made))

    @rule(step=st.sampled_from(STEPS), pick=st.integers(0, 5))
    def step(self, step: str, pick: int) -> None:
        whose, quote_id = self.one(pick)

        happened = attempt(self.accounts[whose], step, quote_id)

        expected = self.shops[whose].take(step, quote_id, happened.made)
        assert happened.outcome == expected, step
        self.enter(whose, [happened])

    @rule(steps=st.lists(st.sampled_from(("send", "revise", "send", "declined")), min_size=2))
    def live_on(self, steps: list[str]) -> None:
        for step in steps:
            self.step(step, 0)

    @rule(step=st.sampled_from(STEPS), pick=st.integers(0, 5))
    def step_of_a_stranger(self, step: str, pick: int) -> None:
        whose, quote_id = self.one(pick)

        assert attempt(self.accounts[1 - whose], step, quote_id).outcome == "missing"

    @rule(
        steps=st.lists(st.sampled_from(STEPS[:8]), min_size=2, max_size=3),
        picks=st.lists(st.integers(0, 2), min_size=3, max_size=3),
    )
    def at_once(self, steps: list[str], picks: list[int]) -> None:
        """Steps of one account at the same time come to what they would one after the other."""
        whose, _ = self.one(picks[0])
        own = [quote_id for owner, quote_id in self.quotes if owner == whose]
        wanted = [
            (step, own[-1 - pick % len(own)]) for step, pick in zip(steps, picks, strict=False)
        ]

        with ThreadPoolExecutor(len(wanted)) as pool:
            running = [pool.submit(attempt, self.accounts[whose], *one) for one in wanted]
            happened = [one.result() for one in running]

        self.shops[whose] = self.explained(whose, wanted, happened)
        self.enter(whose, happened)

    def explained(
        self, whose: int, wanted: list[tuple[str, UUID]], happened: list[Happened]
    ) -> Shop:
        """The shop after an order of the steps that comes to what happened."""
        stored = self.stored(whose)
        for order in permutations(range(len(wanted))):
            shop = deepcopy(self.shops[whose])
            came = [
                shop.take(*wanted[at], happened[at].made) == happened[at].outcome for at in order
            ]
            if all(came) and shop.quotes == stored:
                return shop
        raise AssertionError(f"in no order do {wanted} come to {happened} and {stored}")

    @rule(days=st.sampled_from((-1, 400)))
    def the_schedule_expires(self, days: int) -> None:
        with databases.transaction(databases.SERVICE) as connection:
            service.expire_quotes(connection, now=datetime.now(UTC) + timedelta(days=days))
        for shop in self.shops:
            for quote_id, quote in shop.quotes.items():
                if days > 0 and "expired" in NEXT[quote.status]:
                    shop.move(quote_id, quote, "expired")

    @rule(whose=st.integers(0, 1), status=st.sampled_from(("accepted", "declined", "converted")))
    def a_batch_changes_statuses(self, whose: int, status: str) -> None:
        ids = [quote_id for _, quote_id in self.quotes[-6:]]

        ran = self.accounts[whose].run(
            "update_quote_status", [{"id": quote_id} for quote_id in ids], status=status
        )

        shop = self.shops[whose]
        before = {quote_id: quote.status for quote_id, quote in shop.quotes.items()}
        taken = [shop.take(status, quote_id, None) for quote_id in ids]
        told = ["changed" if one == "done" else one for one in taken]
        expected = [
            "unchanged" if before.get(quote_id) == status else said
            for quote_id, said in zip(ids, told, strict=True)
        ]
        assert ran.codes == expected

    @precondition(lambda self: self.sealed)
    @rule(pick=st.integers(0, 5), status=st.sampled_from(STATUSES))
    def postgresql_refuses(self, pick: int, status: str) -> None:
        """What no code of ours asks for, from the account's own role."""
        whose, quote_id = self.one(pick)
        known = self.shops[whose].quotes.get(quote_id)
        if known is None or known.status == "draft":
            return
        if status not in {known.status, *NEXT[known.status]}:
            with pytest.raises(psycopg.DatabaseError, match="cannot become"):
                self.run(whose, FORCE, {"id": quote_id, "status": status})
        with pytest.raises(psycopg.DatabaseError, match="a sent version cannot be changed"):
            self.run(whose, TAMPER, {"id": quote_id})

    def run(self, whose: int, statement: Any, values: dict[str, Any]) -> None:
        with databases.transaction(self.accounts[whose].actor) as connection:
            connection.execute(statement, values)

    def stored(self, whose: int) -> dict[UUID, Known]:
        """What PostgreSQL has; fails where a sent version is not what was sent."""
        rows = self.owner.execute(QUOTES, {"account": self.accounts[whose].id}).fetchall()
        for quote_id, status, *_, said in rows:
            if status != "draft":
                assert self.sealed.setdefault(quote_id, said) == said, "a sent version changed"
        return {row[0]: known(*row[1:-1]) for row in rows}

    @invariant()
    def postgresql_says_what_the_model_says(self) -> None:
        for whose, shop in enumerate(self.shops):
            account = {"account": self.accounts[whose].id}
            events = {row[:2]: row[2] for row in self.owner.execute(EVENTS, account)}
            (counts,) = self.owner.execute(COUNTS, account).fetchall()

            assert self.stored(whose) == shop.quotes
            assert events == shop.audit
            assert counts == (shop.numbers, shop.numbers)
            assert shop.quota is None or shop.numbers <= shop.quota

    @invariant()
    def reports_count_what_is_stored(self) -> None:
        assert recount.differences(self.owner) == []


def known(
    status: str, is_template: bool, revision: int, revises: UUID | None, number: str | None
) -> Known:
    """A row as the model has it; of a number, what follows the year."""
    prefix = f"Q-{datetime.now(UTC).year}-"
    assert number is None or number.startswith(prefix)
    return Known(status, is_template, revision, revises, number and number.removeprefix(prefix))


def test_every_life_of_a_quote_is_one_that_the_design_allows(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_POOL_MAX", "4")  # steps at once need a connection each
    forget_settings()

    class LivesHere(Lives):
        pass

    LivesHere.database = database

    run_state_machine_as_test(
        LivesHere,
        settings=settings(
            max_examples=int(MANY or 25),
            stateful_step_count=30,
            derandomize=MANY is None,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
