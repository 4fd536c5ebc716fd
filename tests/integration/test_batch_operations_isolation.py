"""Random batches by several accounts, against a plain model of each: nobody touches another's."""

import csv
import io
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quotekit import database
from quotekit.assessments import assessments, properties
from quotekit.assessments.requests import AssessmentChange, AssessmentCreate, PropertyCreate
from quotekit.batches import exports, spreadsheet
from quotekit.batches.model import Work
from quotekit.batches.operations import OPERATIONS
from quotekit.identifiers import new_id
from tests.conftest import Database
from tests.operating import PORTAL, Account, founded

ACCOUNTS: Final = 3
EACH: Final = 3  # quotes, clients and items an account begins with
NEXT: Final = {
    "sent": {"accepted", "declined", "expired"},
    "viewed": {"accepted", "declined", "expired"},
    "accepted": {"converted"},
}


@dataclass
class Quote:
    status: str
    total: Decimal
    item: UUID
    client: UUID | None


@dataclass
class Assessment:
    client: UUID
    has_quote: bool = False


@dataclass
class Shop:
    """What one account has, as plain values; every rule of the operations, once more."""

    account: Account
    quotes: dict[UUID, Quote] = field(default_factory=dict)
    clients: dict[UUID, tuple[str, str]] = field(default_factory=dict)
    items: dict[UUID, Decimal] = field(default_factory=dict)
    added: list[Decimal] = field(default_factory=list)
    assessments: dict[UUID, Assessment] = field(default_factory=dict)
    numbers: int = 0

    def expect(self, step: "Step", ids: Sequence[UUID]) -> list[str]:
        """The codes that this step should give; changes what the account has."""
        own = {*self.quotes, *self.clients, *self.items, *self.assessments}
        seen: set[Any] = set()
        codes = []
        for thing in ids or step.rows:
            key = thing["email"] if isinstance(thing, dict) else thing
            counts_once = step.name == "import_clients" or (key in own and step.is_set_based)
            repeats = key in seen and counts_once
            codes.append("conflict" if repeats else getattr(self, step.name)(step, thing))
            seen.add(key)
        return codes

    def update_quote_status(self, step: "Step", quote_id: UUID) -> str:
        quote = self.quotes.get(quote_id)
        if quote is None:
            return "missing"
        if quote.status == step.status:
            return "unchanged"
        if step.status not in NEXT.get(quote.status, set()):
            return "conflict"
        quote.status = step.status
        return "changed"

    def send_quotes(self, _step: "Step", quote_id: UUID) -> str:
        quote = self.quotes.get(quote_id)
        if quote is None:
            return "missing"
        if quote.status != "draft":
            return "conflict"
        quote.status = "sent"
        self.numbers += 1
        return "sent"

    def delete_quotes(self, _step: "Step", quote_id: UUID) -> str:
        if quote_id not in self.quotes:
            return "missing"
        if self.quotes[quote_id].status != "draft":
            return "conflict"
        del self.quotes[quote_id]
        return "deleted"

    def recalculate_quotes(self, _step: "Step", quote_id: UUID) -> str:
        quote = self.quotes.get(quote_id)
        if quote is None:
            return "missing"
        if quote.status != "draft":
            return "conflict"
        before, quote.total = quote.total, self.items[quote.item]
        return "unchanged" if before == quote.total else "changed"

    def quote_assessments(self, _step: "Step", assessment_id: UUID) -> str:
        if assessment_id not in self.assessments:
            return "missing"
        if self.assessments[assessment_id].has_quote:
            return "unchanged"
        self.assessments[assessment_id].has_quote = True
        return "created"

    def delete_clients(self, _step: "Step", client_id: UUID) -> str:
        if client_id not in self.clients:
            return "missing"
        drafted = [one.client for one in self.assessments.values() if one.has_quote]
        if client_id in {*drafted, *(quote.client for quote in self.quotes.values())}:
            return "conflict"
        del self.clients[client_id]
        self.assessments = {
            key: one for key, one in self.assessments.items() if one.client != client_id
        }
        return "deleted"

    def import_clients(self, step: "Step", row: dict[str, str]) -> str:
        known = [one for one, (_, mail) in self.clients.items() if mail == row["email"].lower()]
        if not known:
            self.clients[new_id()] = (row["name"], row["email"].lower())
            return "created"
        if not step.updates or self.clients[known[0]][0] == row["name"]:
            return "unchanged"
        self.clients[known[0]] = (row["name"], row["email"].lower())
        return "changed"

    def update_item_prices(self, step: "Step", item_id: UUID) -> str:
        if item_id not in self.items:
            return "missing"
        old = self.items[item_id]
        raised = max(old * (100 + step.percent) / 100, Decimal(0))
        self.items[item_id] = raised.quantize(Decimal("0.01"), ROUND_HALF_UP)
        return "unchanged" if old == self.items[item_id] else "changed"

    def bulk_create_items(self, _step: "Step", _row: dict[str, str]) -> str:
        self.added.append(Decimal("1.50"))
        return "created"


@dataclass(frozen=True)
class Step:
    """One batch: by whom, what, and on which things of whom."""

    who: int
    name: str
    picks: list[tuple[int, int]]
    status: str
    percent: int
    updates: bool
    dry_run: bool

    @property
    def is_set_based(self) -> bool:
        """Sent one by one, a quote's second time is one of its own."""
        return self.name not in {"send_quotes", "quote_assessments"}

    @property
    def things(self) -> str | None:
        """On what it works; None where it brings rows of its own."""
        if self.name in {"import_clients", "bulk_create_items"}:
            return None
        kinds = ("assessment", "quote", "client", "item")
        return next(kind for kind in kinds if kind in self.name) + "s"

    @property
    def rows(self) -> list[dict[str, str]]:
        return [
            {"name": f"Name {self.who} {whose}", "email": f"Mail{n}@example.com"}
            for whose, n in self.picks
        ]

    @property
    def parameters(self) -> dict[str, Any]:
        known: dict[str, dict[str, Any]] = {
            "update_quote_status": {"status": self.status},
            "update_item_prices": {"percent": self.percent},
            "recalculate_quotes": {"costs": "catalog"},
            "import_clients": {"on_existing": "update" if self.updates else "skip"},
            "send_quotes": {"channel": "link"},
        }
        return known.get(self.name, {}) | {"dry_run": self.dry_run}


PICKS = st.tuples(st.integers(0, ACCOUNTS - 1), st.integers(0, EACH - 1))
STEPS = st.builds(
    Step,
    who=st.integers(0, ACCOUNTS - 1),
    name=st.sampled_from(sorted(set(OPERATIONS) - {"export_account", "export_quotes"})),
    picks=st.lists(PICKS, min_size=1, max_size=6),
    status=st.sampled_from(["accepted", "declined", "converted", "expired"]),
    percent=st.integers(-100, 50),
    updates=st.booleans(),
    dry_run=st.booleans(),
)


@pytest.fixture
def owner_url(database: Database, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("PORTAL_URL", PORTAL)
    return database.owner_url


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEPS, min_size=1, max_size=8))
def test_whatever_batches_accounts_run_each_has_what_its_own_did(
    owner_url: str, steps: list[Step]
) -> None:
    shops = [opened(owner_url) for _ in range(ACCOUNTS)]
    kinds = ("quotes", "clients", "items", "assessments")
    things = [{kind: list(getattr(shop, kind)) for kind in kinds} for shop in shops]
    for step in steps:
        shop = shops[step.who]
        ids = [things[who][step.things][n] for who, n in step.picks] if step.things else []
        expected = (deepcopy(shop) if step.dry_run else shop).expect(step, ids)

        ran = shop.account.run(step.name, given_items(step, ids), **step.parameters)

        assert ran.codes == expected
        check(shop)
    for shop in shops:
        check(shop)


def given_items(step: Step, ids: list[UUID]) -> list[Any]:
    if step.name == "bulk_create_items":
        return [{"name": row["name"], "unit": "bag", "unit_cost": "1.50"} for row in step.rows]
    return step.rows if step.name == "import_clients" else ids


def opened(owner_url: str) -> Shop:
    """An account with drafts, each of one line of one item, for one client; one of them sent."""
    account = founded(owner_url)
    account.plan()
    shop = Shop(account)
    for n in range(EACH):
        item = account.item("10")
        client = account.client(f"Client {n}", email=f"mail{n}@example.com")
        line = {"name": "Line", "quantity": "1", "unit_cost": "10", "item_id": str(item)}
        said = {"client": None, "client_id": str(client), "tax_rate": "0", "line_items": [line]}
        quote = account.sent(**said) if n == 0 else account.quote(**said)
        shop.quotes[quote.id] = Quote(quote.status, quote.total, item, client)
        shop.clients[client] = (f"Client {n}", f"mail{n}@example.com")
        shop.items[item] = Decimal(10)
        shop.assessments[assessed(account, client)] = Assessment(client)
    shop.numbers = 1
    return shop


def assessed(account: Account, client: UUID) -> UUID:
    """A completed assessment of a place of a client's, with all that a price needs."""
    found = {"lawn_condition": "healthy", "soil_condition": "good", "complexity": 1}
    found |= {"weed_percent": 0, "slope_percent": 0, "obstacle_count": 0, "access": "easy"}
    with database.transaction(account.actor) as connection:
        at = PropertyCreate(client_id=client, service_address="1 Elm", lawn_area_sqft=Decimal(10))
        place = properties.create(connection, at)
        body = AssessmentCreate.model_validate(found | {"property_id": place.id})
        made = assessments.create(connection, body)
        for version, status in enumerate(("in_progress", "completed"), start=1):
            step = AssessmentChange.model_validate({"status": status})
            assessments.change(connection, made.id, step, version=version)
    return made.id


def check(shop: Shop) -> None:
    """What the database says the account has is what the model says."""
    which = {"id": shop.account.id}
    quotes = shop.account.owner(
        """select quote.id, quote.status, said.total from app.quotes as quote
        join app.quote_versions as said on said.quote_id = quote.id
        where quote.account_id = %(id)s and not exists (
            select from app.assessment_quotes as link where link.quote_id = quote.id)""",
        which,
    )
    assert {row[0]: row[1:] for row in quotes} == {
        quote_id: (quote.status, quote.total) for quote_id, quote in shop.quotes.items()
    }
    quoted = shop.account.owner(
        """select link.assessment_id, said.total from app.assessment_quotes as link
        join app.quote_versions as said on said.quote_id = link.quote_id
        where link.account_id = %(id)s""",
        which,
    )
    assert dict(quoted) == {
        key: Decimal(5) for key, one in shop.assessments.items() if one.has_quote
    }
    clients = shop.account.owner(
        "select name, lower(email) from app.clients where account_id = %(id)s", which
    )
    assert sorted(clients) == sorted(shop.clients.values())
    items = shop.account.owner("select unit_cost from app.items where account_id = %(id)s", which)
    assert sorted(row[0] for row in items) == sorted([*shop.items.values(), *shop.added])
    counters = shop.account.owner(
        "select last from app.quote_counters where account_id = %(id)s", which
    )
    assert counters == [(shop.numbers,)]
    assert exported(shop) == set(shop.quotes)


def exported(shop: Shop) -> set[UUID]:
    """Which an export of everybody's quotes shows to this account, without those of
    assessments."""
    statement = """select id from app.quotes where not exists (
        select from app.assessment_quotes as link where link.quote_id = quotes.id)"""
    everybody = [row[0] for row in shop.account.owner(statement)]
    parameters = exports.Parameters(format="csv")
    account = shop.account
    work = Work(new_id(), account.id, account.user, parameters, False, datetime.now(UTC))
    rows = spreadsheet.rows(work, everybody)
    text = io.StringIO("".join(entry.content.decode() for entry in rows.values()), newline="")
    return {UUID(row[0]) for row in csv.reader(text)}
