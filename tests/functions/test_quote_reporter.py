"""HTTP /v1/reports through its door, against the same figures counted again in plain Python."""

import csv
import io
import random
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

import psycopg
import pytest

from functions.quote_reporter.app import lambda_handler
from quotekit.identifiers import new_id
from tests.conftest import Database
from tests.functions.conftest import ACCOUNT, OTHER_USER, USER, Aws, Client, Issuer

ZONE: Final = "America/St_Johns"  # half an hour off, with summer time
SENT: Final = ("sent", "viewed", "accepted", "declined", "expired", "converted", "superseded")
WON: Final = ("accepted", "converted")
FIRST: Final = datetime(2025, 1, 1, tzinfo=UTC)


@dataclass
class Line:
    item: UUID | None
    net: Decimal
    tax: Decimal
    counts: bool = True


@dataclass
class Quote:
    status: str
    currency: str
    client: UUID | None
    made: datetime
    sent: datetime | None
    decided: datetime | None
    tax_inclusive: bool
    lines: list[Line]
    id: UUID = field(default_factory=new_id)

    @property
    def moment(self) -> datetime:
        return self.sent or self.made

    @property
    def total(self) -> Decimal:
        return sum((line_total(self, line) for line in self.lines), Decimal(0))

    @property
    def tax(self) -> Decimal:
        return sum((line.tax for line in self.lines if line.counts), Decimal(0))


def line_total(quote: Quote, line: Line) -> Decimal:
    if not line.counts:
        return Decimal(0)
    return line.net if quote.tax_inclusive else line.net + line.tax


@dataclass
class Shop:
    quotes: list[Quote]
    clients: dict[UUID, str]
    items: dict[UUID, str]


QUOTE_ROW: Final = b"""
insert into app.quotes (id, account_id, client_id, status, number, created_by, created_at, sent_at,
    decided_at, is_template, template_name)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
VERSION_ROW: Final = b"""
insert into app.quote_versions (id, account_id, quote_id, currency, language, tax_rate,
    tax_inclusive, tax_rounding, markup_rate, subtotal, markup_amount, discount_amount, tax_amount,
    tax_breakdown, total, deposit_amount)
values (%s, %s, %s, %s, 'en', 0, %s, 'document', 0, %s, 0, 0, %s, '[]', %s, 0)
"""
LINE_ROW: Final = b"""
insert into app.quote_lines (account_id, version_id, position, item_id, name, quantity, unit_cost,
    optional, unit_price, gross, discount_amount, line_total, net, tax_amount)
values (%s, %s, %s, %s, 'Line', 1, %s, %s, %s, %s, 0, %s, %s, %s)
"""


def store(owner: Any, account: UUID, quote: Quote, *, template: bool = False) -> None:
    number = None if quote.status == "draft" else f"N-{quote.id}"
    name = "Template" if template else None
    times = (quote.made, quote.sent, quote.decided)
    row = (quote.id, account, quote.client, quote.status, number, USER, *times, template, name)
    owner.execute(QUOTE_ROW, row)
    version = new_id()
    subtotal = sum((line.net for line in quote.lines if line.counts), Decimal(0))
    sums = (subtotal, quote.tax, quote.total)
    head = (version, account, quote.id, quote.currency, quote.tax_inclusive)
    owner.execute(VERSION_ROW, (*head, *sums))
    for place, line in enumerate(quote.lines, start=1):
        net, tax = (line.net, line.tax) if line.counts else (0, 0)
        price = (line.net, not line.counts, line.net, line.net, line.net, net, tax)
        owner.execute(LINE_ROW, (account, version, place, line.item, *price))


def quotes(chance: random.Random, clients: list[UUID], items: list[UUID]) -> Iterable[Quote]:
    """Two hundred over two years, many of them close to where days and months change."""
    for _ in range(200):
        made = FIRST + timedelta(days=chance.randrange(730), minutes=chance.randrange(1440))
        if chance.random() < 0.4:
            first = made.astimezone(ZoneInfo(ZONE)).replace(day=1, hour=0, minute=0)
            made = first.astimezone(UTC) + timedelta(seconds=chance.choice([-1, 0, 1]))
        status = chance.choice(("draft", *SENT))
        sent = None if status == "draft" else made
        taken = timedelta(seconds=chance.randrange(1, 40 * 86400))
        answered = status in {*WON, "declined"}
        currency = chance.choice(["USD", "EUR", "JPY"])
        cent = Decimal(1) if currency == "JPY" else Decimal("0.01")
        lines = [
            Line(
                chance.choice([*items, None]),
                (Decimal(chance.randrange(100_000)) * cent),
                Decimal(chance.randrange(1000)) * cent,
                chance.random() < 0.8,
            )
            for _ in range(chance.randrange(1, 4))
        ]
        yield Quote(
            status=status,
            currency=currency,
            client=chance.choice([*clients, None]),
            made=made - timedelta(days=3) if sent else made,
            sent=sent,
            decided=made + taken if answered else None,
            tax_inclusive=chance.random() < 0.3,
            lines=lines,
        )


def premium(owner: Any, account: UUID, user: UUID) -> None:
    """The account pays for analytics, and belongs to the user."""
    owner.execute(
        "insert into app.members (account_id, user_id, role) values (%s, %s, 'owner')",
        [account, user],
    )
    owner.execute(
        "insert into app.subscriptions (account_id, plan_key, status) "
        "values (%s, 'premium', 'active')",
        [account],
    )


@pytest.fixture
def reports(database: Database, aws_services: Aws, issuer: Issuer) -> Client:
    return Client(lambda_handler, issuer.token(USER, ACCOUNT), "ANY /v1/reports/{proxy+}")


@pytest.fixture
def shop(reports: Client, database: Database) -> Shop:
    chance = random.Random(20261122)
    clients = {new_id(): f"Client {n}" for n in range(4)}
    items = {new_id(): f"Item {n}" for n in range(4)}
    made = list(quotes(chance, list(clients), list(items)))
    other = UUID(int=7)
    with psycopg.connect(database.owner_url) as owner:
        for account in (ACCOUNT, other):
            owner.execute("insert into app.accounts (id) values (%s)", [account])
            premium(owner, account, USER)
        owner.execute(
            "insert into app.company_settings (account_id, time_zone) values (%s, %s)",
            [ACCOUNT, ZONE],
        )
        for key, name in clients.items():
            owner.execute(
                "insert into app.clients (id, account_id, name) values (%s, %s, %s)",
                [key, ACCOUNT, name],
            )
        for key, name in items.items():
            owner.execute(
                "insert into app.items (id, account_id, name, unit, unit_cost) "
                "values (%s, %s, %s, 'h', 1)",
                [key, ACCOUNT, name],
            )
        for quote in made:
            store(owner, ACCOUNT, quote)
        # None of these may be in a report.
        for strange in list(quotes(chance, [], []))[:20]:
            strange.client = None
            for line in strange.lines:
                line.item = None
            store(owner, other, strange)
        template = Quote("draft", "USD", None, FIRST, None, None, False, [])
        store(owner, ACCOUNT, template, template=True)
        # Nobody can write lines into what is accepted, so no trigger waits for that.
        owner.execute("select app.count_quotes(array_agg(id)) from app.quotes")
    return Shop(made, clients, items)


RANGES: Final = (
    ("2025-01-01", "2026-12-31"),
    ("2025-03-01", "2025-03-31"),
    ("2025-03-31", "2025-11-01"),
    ("2025-07-15", "2025-07-15"),
    ("2026-02-28", "2026-03-01"),
    ("2000-01-01", "9998-12-31"),
)
EACH: Final = pytest.mark.parametrize("days", RANGES, ids="..".join)


def get(reports: Client, name: str, days: tuple[str, str], query: str = "") -> Any:
    answer = reports("GET", f"/v1/reports/{name}", query=f"from={days[0]}&to={days[1]}{query}")
    assert answer.status == 200, answer.text
    assert answer.json["span"] | {"observed_at": None} == {
        "first_day": days[0],
        "last_day": days[1],
        "time_zone": ZONE,
        "observed_at": None,
    }
    return answer.json


def local(moment: datetime) -> str:
    """The day, at the account's place."""
    return moment.astimezone(ZoneInfo(ZONE)).date().isoformat()


def within(shop: Shop, days: tuple[str, str], at: Callable[[Quote], datetime]) -> list[Quote]:
    return [quote for quote in shop.quotes if days[0] <= local(at(quote)) <= days[1]]


@EACH
def test_quotes_are_counted_by_status_and_month_of_the_account(
    reports: Client, shop: Shop, days: tuple[str, str]
) -> None:
    expected: dict[tuple[str, str, str], list[Decimal]] = defaultdict(list)
    for quote in within(shop, days, lambda quote: quote.moment):
        expected[local(quote.moment)[:7], quote.status, quote.currency].append(quote.total)

    rows = get(reports, "quotes", days)["rows"]

    found = {(row["month"], row["status"], row["currency"]): row for row in rows}
    assert list(found) == sorted(expected)
    for key, totals in expected.items():
        assert found[key]["quotes"] == len(totals)
        assert Decimal(found[key]["total"]) == sum(totals)


@EACH
def test_acceptance_is_of_the_quotes_that_were_sent_in_these_days(
    reports: Client, shop: Shop, days: tuple[str, str]
) -> None:
    sent = [quote for quote in within(shop, days, lambda q: q.moment) if quote.status != "draft"]
    counts = {status: sum(quote.status == status for quote in sent) for status in SENT}
    won = counts["accepted"] + counts["converted"]
    decided = won + counts["declined"] + counts["expired"]
    taken = [
        Decimal((quote.decided - quote.sent).total_seconds())  # type: ignore[operator]
        for quote in sent
        if quote.status in WON
    ]

    told = get(reports, "acceptance", days)

    row = told["row"]
    assert row["sent"] == len(sent)
    assert (row["accepted"], row["superseded"]) == (won, counts["superseded"])
    assert row["open"] == counts["sent"] + counts["viewed"]
    if decided:
        rate = (Decimal(won) / decided).quantize(Decimal("0.0001"), ROUND_HALF_UP)
        assert Decimal(row["acceptance_rate"]) == rate
    else:
        assert row["acceptance_rate"] is None
    if taken:
        assert abs(Decimal(row["average_seconds"]) - statistics.mean(taken)) <= Decimal("0.5")
        assert abs(Decimal(row["median_seconds"]) - statistics.median(taken)) <= Decimal("0.5")
        assert told["reason"] is None
    else:
        assert (row["average_seconds"], row["median_seconds"]) == (None, None)
        assert "no quote of these days" in told["reason"]


def revenue(shop: Shop, days: tuple[str, str], by: str) -> dict[tuple[str, str | None], Any]:
    """Count, total and tax by currency and client or item."""
    found: dict[tuple[str, str | None], list[Any]] = defaultdict(
        lambda: [0, Decimal(0), Decimal(0)]
    )
    for quote in shop.quotes:
        if quote.status not in WON or quote.decided is None:
            continue
        if not days[0] <= local(quote.decided) <= days[1]:
            continue
        parts = [(quote.client, quote.total, quote.tax)]
        if by == "item":
            parts = [(i.item, line_total(quote, i), i.tax) for i in quote.lines if i.counts]
        for key, total, tax in parts:
            row = found[quote.currency, None if key is None else str(key)]
            row[0], row[1], row[2] = row[0] + 1, row[1] + total, row[2] + tax
    return found


@pytest.mark.parametrize("by", ["client", "item"])
@EACH
def test_revenue_is_what_was_accepted_in_these_days_each_currency_by_itself(
    reports: Client, shop: Shop, days: tuple[str, str], by: str
) -> None:
    expected = revenue(shop, days, by)

    told = get(reports, "revenue", days, f"&by={by}&limit=10000")

    names = {str(key): name for key, name in (shop.clients | shop.items).items()}
    found = {(row["currency"], row["id"]): row for row in told["rows"]}
    assert found.keys() == expected.keys()
    for key, (count, total, tax) in expected.items():
        row = found[key]
        assert (row["count"], Decimal(row["total"]), Decimal(row["tax"])) == (count, total, tax)
        assert row["name"] == (None if key[1] is None else names[key[1]])
    totals = [Decimal(row["total"]) for row in told["rows"]]
    assert totals == sorted(totals, reverse=True)
    sums = {one["currency"]: Decimal(one["total"]) for one in told["totals"]}
    for currency, total in sums.items():
        assert total == sum(row[1] for key, row in expected.items() if key[0] == currency)


def test_revenue_by_item_adds_up_to_revenue_by_client(reports: Client, shop: Shop) -> None:
    found = [get(reports, "revenue", RANGES[0], f"&by={by}")["totals"] for by in ("client", "item")]

    by_client, by_item = ({one["currency"]: one["total"] for one in one_of} for one_of in found)
    assert by_client == by_item
    assert by_client.keys() == {"EUR", "JPY", "USD"}


def test_a_deleted_item_counts_with_the_lines_that_name_none(
    reports: Client, shop: Shop, database: Database
) -> None:
    gone = next(iter(shop.items))
    for quote in shop.quotes:
        for line in quote.lines:
            line.item = None if line.item == gone else line.item
    with psycopg.connect(database.owner_url) as owner:
        owner.execute("delete from app.items where id = %s", [gone])

    told = get(reports, "revenue", RANGES[0], "&by=item")

    found = {
        (row["currency"], row["id"]): [row["count"], Decimal(row["total"]), Decimal(row["tax"])]
        for row in told["rows"]
    }
    assert found == revenue(shop, RANGES[0], "item")


def test_a_deleted_quote_is_in_no_report(reports: Client, shop: Shop, database: Database) -> None:
    with psycopg.connect(database.owner_url) as owner:
        owner.execute("delete from app.quotes where status = any(%s)", [list(WON)])

    told = [get(reports, "revenue", RANGES[0], f"&by={by}")["rows"] for by in ("client", "item")]

    assert told == [[], []]
    assert get(reports, "acceptance", RANGES[0])["row"]["accepted"] == 0


def test_what_a_limit_leaves_out_is_counted_and_in_the_totals(reports: Client, shop: Shop) -> None:
    whole = get(reports, "revenue", RANGES[0], "&limit=10000")

    cut = get(reports, "revenue", RANGES[0], "&limit=3")

    assert cut["rows"] == whole["rows"][:3]
    assert cut["omitted"] == len(whole["rows"]) - 3
    assert cut["totals"] == whole["totals"]


@EACH
def test_the_pipeline_is_the_value_of_open_quotes(
    reports: Client, shop: Shop, days: tuple[str, str]
) -> None:
    expected: dict[tuple[str, str], list[Decimal]] = defaultdict(list)
    for quote in within(shop, days, lambda quote: quote.moment):
        if quote.status in {"sent", "viewed"}:
            expected[quote.currency, quote.status].append(quote.total)

    told = get(reports, "pipeline", days)

    found = {(row["currency"], row["status"]): row for row in told["rows"]}
    assert {key: (row["quotes"], Decimal(row["total"])) for key, row in found.items()} == {
        key: (len(totals), sum(totals)) for key, totals in expected.items()
    }


def test_money_has_the_decimals_of_its_currency(reports: Client, shop: Shop) -> None:
    decimals = {
        row["currency"]: len(row["total"].partition(".")[2])
        for row in get(reports, "quotes", RANGES[0])["rows"]
    }

    assert decimals == {"USD": 2, "EUR": 2, "JPY": 0}


@pytest.mark.parametrize("name", ["quotes", "acceptance", "revenue", "pipeline"])
def test_every_report_comes_as_a_table_too(reports: Client, shop: Shop, name: str) -> None:
    told = get(reports, name, RANGES[0])
    query = f"from={RANGES[0][0]}&to={RANGES[0][1]}"

    answer = reports("GET", f"/v1/reports/{name}", query=query, headers={"accept": "text/csv"})

    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    rows = told.get("rows") or [told["row"]]
    found = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    expected = [{k: "" if v is None else str(v) for k, v in row.items()} for row in rows]
    assert found == expected


def test_a_name_that_looks_like_a_formula_is_text_in_the_table(
    reports: Client, shop: Shop, database: Database
) -> None:
    with psycopg.connect(database.owner_url) as owner:
        owner.execute("update app.clients set name = '=HYPERLINK(\"https://evil.test\")'")

    answer = reports(
        "GET", "/v1/reports/revenue", headers={"accept": "text/csv"}, query="from=2025-01-01"
    )

    assert "'=HYPERLINK" in answer.text
    assert not any(
        line.startswith("=") or ",=" in line or ',"=' in line for line in answer.text.splitlines()
    )


def test_without_days_it_is_the_last_twelve_months(reports: Client, shop: Shop) -> None:
    span = reports("GET", "/v1/reports/quotes").json["span"]

    today = datetime.now(ZoneInfo(ZONE)).date()
    assert span["last_day"] == today.isoformat()
    first = datetime.fromisoformat(span["first_day"]).date()
    assert first.day == 1
    assert (today.year - first.year) * 12 + today.month - first.month == 11


@pytest.mark.parametrize(
    "query",
    [
        *("from=2026-02-30", "from=1999-12-31", "to=9999-12-31", "from=2026-02-02&to=2026-02-01"),
        *("from=9000-01-01", "from=infinity", "by=month", "limit=0", "limit=10001"),
    ],
)
def test_days_that_make_no_sense_are_refused(reports: Client, shop: Shop, query: str) -> None:
    answer = reports("GET", "/v1/reports/revenue", query=query)

    assert answer.status == 422, answer.text


@pytest.mark.parametrize("name", ["quotes", "acceptance", "revenue", "pipeline"])
def test_a_plan_without_analytics_has_no_reports(
    reports: Client, issuer: Issuer, name: str
) -> None:
    free = Client(lambda_handler, issuer.token(OTHER_USER), reports.route)

    answer = free("GET", f"/v1/reports/{name}")

    assert (answer.status, answer.json["code"]) == (403, "FORBIDDEN")
    assert "The plan Free has no analytics." in answer.text


def test_an_account_without_quotes_has_empty_reports(
    reports: Client, shop: Shop, issuer: Issuer, database: Database
) -> None:
    with psycopg.connect(database.owner_url) as owner:
        owner.execute("insert into app.accounts (id) values (%s)", [OTHER_USER])
        premium(owner, OTHER_USER, OTHER_USER)
    empty = Client(lambda_handler, issuer.token(OTHER_USER), reports.route)

    for name in ("quotes", "revenue", "pipeline"):
        assert empty("GET", f"/v1/reports/{name}").json["rows"] == []
    told = empty("GET", "/v1/reports/acceptance").json
    assert told["row"]["sent"] == 0
    assert told["reason"] == "no quote of these days was accepted, declined or expired"
