"""HTTP /v1/clients, /v1/items, /v1/categories and /v1/company-settings through their door."""

import base64
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from threading import Barrier
from typing import Any, Final
from urllib.parse import quote as url_quote
from uuid import UUID, uuid4

import boto3
import psycopg
import pytest
from psycopg.errors import CheckViolation

from functions.catalog_manager.app import lambda_handler
from functions.quote_processor.app import lambda_handler as quote_handler
from quotekit import auth
from quotekit import database as db
from quotekit.accounts import company
from quotekit.accounts.logo import MOST_BYTES
from quotekit.accounts.requests import CompanyChange
from quotekit.catalog import categories, clients, items
from quotekit.catalog.requests import (
    CategoryChange,
    CategoryCreate,
    ClientChange,
    ClientCreate,
    ItemChange,
)
from quotekit.errors import ConflictError, QuotaExceededError, StaleVersionError
from quotekit.quotes.requests import QuoteCreate
from quotekit.quotes.service import create_quote
from tests import conftest
from tests.conftest import Database
from tests.functions.conftest import (
    ACCOUNT,
    OTHER_USER,
    ROOT,
    UNKNOWN,
    USER,
    Aws,
    Client,
    Issuer,
    LambdaContext,
)
from tests.unit.quotes import samples

PNG: Final = samples.logo(4, 3)
WHOLE: Final[dict[str, dict[str, Any]]] = {
    "clients": {
        "name": "Grace Hopper",
        "email": "grace@example.com",
        "phone": "+1 (555) 010-9999",
        "address": "12 Harbour Street\nNewport",
        "notes": "Rings twice.",
    },
    "items": {
        "name": "Hedge cut",
        "unit": "m",
        "unit_cost": "48.5",
        "description": "Clippings taken away",
        "tax_rate": "8.25",
        "tags": ["garden", "summer"],
        "is_favorite": True,
    },
    "categories": {
        "name": "Lawn Care",
        "colour": "#00aa11",
        "description": "All that is green",
        "sort_order": 3,
    },
}
ONE: Final = {"clients": "client", "items": "item", "categories": "category"}
EVERY: Final = pytest.mark.parametrize("kind", list(WHOLE))
PAGED: Final = pytest.mark.parametrize("kind", ["clients", "items"])


@pytest.fixture
def catalog(database: Database, aws_services: Aws, issuer: Issuer) -> Client:
    return Client(lambda_handler, issuer.token(USER, ACCOUNT), "ANY /v1/clients")


@pytest.fixture
def stranger(catalog: Client, issuer: Issuer) -> Client:
    return Client(lambda_handler, issuer.token(OTHER_USER), catalog.route)


@pytest.fixture
def quotes(catalog: Client) -> Client:
    return Client(quote_handler, catalog.token, "ANY /v1/quotes")


def create(catalog: Client, kind: str, **fields: Any) -> dict[str, Any]:
    body = fields or WHOLE[kind]
    created = catalog("POST", f"/v1/{kind}", body)
    assert created.status == 201, created.text
    thing: dict[str, Any] = created.json
    return thing


def listed(catalog: Client, kind: str, query: str = "") -> list[dict[str, Any]]:
    answer = catalog("GET", f"/v1/{kind}", query=query)
    assert answer.status == 200, answer.text
    rows: list[dict[str, Any]] = answer.json["data"]
    return rows


def select(database: Database, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    with psycopg.connect(database.owner_url, autocommit=True) as connection:
        found = connection.execute(statement.encode(), values)
        return found.fetchall() if found.description else []


def history(database: Database, object_id: str | UUID) -> list[tuple[str, dict[str, Any]]]:
    statement = """select action, details from app.audit_events
        where object_id = %s and actor_id = %s order by occurred_at, id"""
    return [(action, said) for action, said in select(database, statement, object_id, USER)]


@EVERY
def test_what_was_created_is_read_back_whole(catalog: Client, kind: str) -> None:
    created = catalog("POST", f"/v1/{kind}", WHOLE[kind])

    assert created.status == 201, created.text
    assert WHOLE[kind].items() <= created.json.items()
    assert created.json["version"] == 1
    read = catalog("GET", f"/v1/{kind}/{created.json['id']}")
    assert read.json == created.json
    assert read.headers["ETag"] == '"1"'
    assert listed(catalog, kind) == [created.json]


@pytest.mark.parametrize(
    ("kind", "least", "defaults"),
    [
        ("clients", {"name": "Ada"}, dict.fromkeys(("email", "phone", "address", "notes"))),
        (
            "items",
            {"name": "Work", "unit": "h", "unit_cost": 80},
            {"unit_cost": "80", "tax_rate": None, "tags": [], "is_favorite": False},
        ),
        ("categories", {"name": "Trees"}, {"colour": "#3b82f6", "sort_order": 0}),
    ],
)
def test_little_has_to_be_said(
    catalog: Client, kind: str, least: dict[str, Any], defaults: dict[str, Any]
) -> None:
    created = create(catalog, kind, **least)

    assert defaults.items() <= created.items()


@pytest.mark.parametrize(
    ("kind", "emptied"),
    [("clients", "notes"), ("items", "tax_rate"), ("categories", "description")],
)
def test_a_change_keeps_what_it_does_not_name(
    catalog: Client, database: Database, kind: str, emptied: str
) -> None:
    created = create(catalog, kind)
    path = f"/v1/{kind}/{created['id']}"

    changed = catalog("PATCH", path, {"name": " New ", emptied: None, "version": 1})

    assert changed.status == 200, changed.text
    expected = created | {"name": "New", emptied: None, "version": 2}
    assert changed.json == expected | {"updated_at": changed.json["updated_at"]}
    assert changed.json["updated_at"] > created["updated_at"]
    assert catalog("GET", path).json == changed.json
    assert history(database, created["id"])[-1][1] == {"fields": sorted(["name", emptied])}


@EVERY
def test_a_change_made_from_an_old_version_is_refused(catalog: Client, kind: str) -> None:
    path = f"/v1/{kind}/{create(catalog, kind)['id']}"
    first = catalog("PATCH", path, {"name": "First"}, headers={"if-match": '"1"'})

    second = catalog("PATCH", path, {"name": "Second"}, headers={"if-match": '"1"'})
    unmarked = catalog("PATCH", path, {"name": "Third"})

    assert (first.status, second.status, unmarked.status) == (200, 409, 422)
    assert second.json["code"] == "CONFLICT"
    assert unmarked.json["details"][0]["field"] == "version"
    assert catalog("GET", path).json["name"] == "First"


@EVERY
def test_another_account_finds_nothing_of_it(
    catalog: Client, stranger: Client, database: Database, kind: str
) -> None:
    created = create(catalog, kind)
    path = f"/v1/{kind}/{created['id']}"

    answers = [
        stranger("GET", path),
        stranger("PATCH", path, {"name": "Mine", "version": 1}),
        stranger("DELETE", path),
    ]

    assert [answer.status for answer in answers] == [404, 404, 404]
    assert {answer.json["code"] for answer in answers} == {"NOT_FOUND"}
    assert listed(stranger, kind) == []
    assert catalog("GET", path).json == created
    assert [action for action, _ in history(database, created["id"])] == [f"{ONE[kind]}.created"]


@EVERY
def test_what_was_deleted_is_gone(catalog: Client, database: Database, kind: str) -> None:
    path = f"/v1/{kind}/{create(catalog, kind)['id']}"

    answers = [catalog("DELETE", path), catalog("GET", path), catalog("DELETE", path)]

    assert [answer.status for answer in answers] == [204, 404, 404]
    assert answers[0].text == ""
    actions = [action for action, _ in history(database, path.rpartition("/")[2])]
    assert actions == [f"{ONE[kind]}.created", f"{ONE[kind]}.deleted"]


@EVERY
def test_a_repeated_post_creates_one(catalog: Client, kind: str) -> None:
    key = {"idempotency-key": "once"}

    first = catalog("POST", f"/v1/{kind}", WHOLE[kind], headers=key)
    again = catalog("POST", f"/v1/{kind}", WHOLE[kind], headers=key)
    other = catalog("POST", f"/v1/{kind}", WHOLE[kind] | {"name": "Other"}, headers=key)

    assert (first.status, again.status, other.status) == (201, 201, 409)
    assert again.json == first.json
    assert again.headers["Idempotency-Replayed"] == "true"
    assert listed(catalog, kind) == [first.json]


BAD: Final[dict[str, list[tuple[str, Any]]]] = {
    "clients": [
        ("name", ""),
        ("name", "   "),
        ("name", "x" * 201),
        ("name", None),
        ("name", 7),
        ("email", "nobody"),
        ("email", "a@b"),
        ("email", "two@example.com, three@example.com"),
        ("email", "x@example.com\nbcc: y@example.com"),
        ("phone", "5" * 51),
        ("address", "x" * 1001),
        ("notes", "x" * 10_001),
        ("account_id", str(ACCOUNT)),
        ("id", str(UNKNOWN)),
    ],
    "items": [
        ("unit", ""),
        ("unit", "x" * 31),
        ("unit_cost", "-0.01"),
        ("unit_cost", "0.00001"),
        ("unit_cost", "1000000000000"),
        ("unit_cost", "NaN"),
        ("unit_cost", "Infinity"),
        ("unit_cost", "1e400"),
        ("unit_cost", None),
        ("tax_rate", "100.0001"),
        ("tax_rate", -1),
        ("tags", [""]),
        ("tags", ["x" * 51]),
        ("tags", [f"tag {number}" for number in range(51)]),
        ("tags", "garden"),
        ("tags", None),
        ("is_favorite", "perhaps"),
        ("category_id", "lawn"),
        ("category_id", str(UNKNOWN)),
        ("last_used_at", "2026-01-01T00:00:00Z"),
    ],
    "categories": [
        ("name", "x" * 101),
        ("colour", "green"),
        ("colour", "#12345"),
        ("sort_order", 10**10),
        ("sort_order", 1.5),
        ("version", 1),
    ],
}


@EVERY
def test_a_value_that_will_not_do_is_named_and_nothing_is_stored(
    catalog: Client, kind: str
) -> None:
    for field, value in BAD[kind]:
        refused = catalog("POST", f"/v1/{kind}", WHOLE[kind] | {field: value})

        assert refused.status == 422, (field, value, refused.text)
        assert refused.json["code"] == "VALIDATION_ERROR"
        assert refused.json["details"][0]["field"].split(".")[0] == field
    assert listed(catalog, kind) == []


@EVERY
def test_text_no_database_can_hold_is_refused(catalog: Client, kind: str) -> None:
    refused = [
        catalog("POST", f"/v1/{kind}", WHOLE[kind] | {"name": name})
        for name in ("a\0b", "half \ud83d pair")
    ]

    assert [answer.status for answer in refused] == [422, 422]
    assert listed(catalog, kind) == []


@EVERY
def test_a_change_with_an_unknown_field_is_refused(catalog: Client, kind: str) -> None:
    path = f"/v1/{kind}/{create(catalog, kind)['id']}"

    refused = catalog("PATCH", path, {"nmae": "Typo", "version": 1})

    assert refused.status == 422
    assert refused.json["details"][0]["field"] == "nmae"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/clients/nobody", 422),
        ("GET", f"/v1/clients/{UNKNOWN}", 404),
        ("PUT", "/v1/clients", 405),
        ("PUT", "/v1/company-settings", 405),
        ("GET", "/v1/items/a/b", 404),
    ],
)
def test_what_has_no_such_address_is_said_so(
    catalog: Client, method: str, path: str, status: int
) -> None:
    assert catalog(method, path).status == status


def insert_many(database: Database, kind: str, names: list[str]) -> list[str]:
    """Rows of one moment, so that only their ids tell them apart by time."""
    more = {"clients": ("", ""), "items": (", unit, unit_cost", ", 'h', 1")}[kind]
    statement = f"""insert into app.{kind} (id, account_id, name{more[0]})
        select gen_random_uuid(), %s, unnest(%s::text[]){more[1]} returning id"""
    return [str(row[0]) for row in select(database, statement, ACCOUNT, names)]


def pages(catalog: Client, kind: str, query: str) -> Iterator[list[dict[str, Any]]]:
    cursor = ""
    while True:
        answer = catalog("GET", f"/v1/{kind}", query=query + cursor)
        assert answer.status == 200, answer.text
        yield answer.json["data"]
        if answer.json["next_cursor"] is None:
            return
        cursor = f"&cursor={answer.json['next_cursor']}"


@PAGED
@pytest.mark.parametrize("sort", ["name", "-name", "created_at", "-created_at"])
def test_paging_meets_every_row_once_while_others_come(
    catalog: Client, database: Database, kind: str, sort: str
) -> None:
    create(catalog, kind, **WHOLE[kind])
    names = ["same", "Same", "Émile", "émile", "Zoë", "anna", "Åsa", "中村", "a" * 200, "😀" * 200]
    before = set(insert_many(database, kind, names * 2)) | {listed(catalog, kind)[-1]["id"]}
    before |= {row["id"] for row in listed(catalog, kind, "limit=100")}
    seen: list[dict[str, Any]] = []

    for number, rows in enumerate(pages(catalog, kind, f"limit=4&sort={sort}")):
        assert len(rows) <= 4
        seen += rows
        create(catalog, kind, **WHOLE[kind] | {"name": f"{'AZ'[number % 2]} newcomer {number}"})
        assert number < 20

    met = Counter(row["id"] for row in seen)
    assert set(met) >= before
    assert max(met.values()) == 1
    field = sort.removeprefix("-")
    keys = [row[field].lower() if field == "name" else row[field] for row in seen]
    assert keys == sorted(keys, reverse=sort.startswith("-"))


@PAGED
def test_a_cursor_that_is_not_ours_is_refused(catalog: Client, kind: str) -> None:
    forged = base64.urlsafe_b64encode(json.dumps(["\0", str(uuid4())]).encode()).decode()
    queries = ["cursor=x", "cursor=%00", f"cursor={'A' * 4001}", f"sort=name&cursor={forged}"]

    statuses = [catalog("GET", f"/v1/{kind}", query=query).status for query in queries]

    assert statuses == [422, 422, 422, 422]


@PAGED
def test_a_list_nobody_offers_is_refused(catalog: Client, kind: str) -> None:
    queries = ["limit=0", "limit=101", "limit=x", "sort=email", "q=a%00b", "q=" + "x" * 201]

    statuses = [catalog("GET", f"/v1/{kind}", query=query).status for query in queries]

    assert statuses == [422] * len(queries)


FOUND: Final = {
    "grace": ["Grace Hopper"],
    "GRA hop": ["Grace Hopper"],
    "hopper grace": ["Grace Hopper"],
    "race": [],
    "grace@example.com": ["Grace Hopper"],
    "GRACE@exam": ["Grace Hopper"],
    "+1 (555) 010-99": ["Grace Hopper"],
    "newport": ["Grace Hopper"],
    "o'br": ["Seán O'Brien"],
    "SEÁN": ["Seán O'Brien"],
    "smith & s": ["Smith & Sons"],
    "nobody": [],
    "rings": [],
}


def test_clients_are_found_by_the_beginnings_of_words(catalog: Client) -> None:
    create(catalog, "clients")
    create(catalog, "clients", name="Seán O'Brien")
    create(catalog, "clients", name="Smith & Sons")

    found = {
        words: [row["name"] for row in listed(catalog, "clients", f"q={url_quote(words)}")]
        for words in FOUND
    }

    assert found == FOUND


HOSTILE: Final = (
    *("'", '"', "''; drop table app.clients; --", "grace' | 'x", "& | ! ( ) <-> :*", ":*", "a:*b"),
    *("\\", "%", "_", "grace:*:*", "!grace", "<2>", "a" * 200, "( " * 100, "\u202e", "🙂", "^$.*"),
)


@PAGED
def test_hostile_words_are_only_words(catalog: Client, stranger: Client, kind: str) -> None:
    created = create(catalog, kind)

    for words in HOSTILE:
        query = f"q={url_quote(words)}"

        assert listed(catalog, kind, query) in ([], [created])
        assert listed(stranger, kind, query) == []


def test_items_are_filtered_by_category_favour_tag_and_words(catalog: Client) -> None:
    shelf = create(catalog, "categories", name="Lawn")["id"]
    work = {"unit": "h", "unit_cost": "1"}
    create(catalog, "items", name="Mow", category_id=shelf, tags=["a", "b", "a"], **work)
    create(catalog, "items", name="Rake", category_id=shelf, is_favorite=True, **work)
    create(catalog, "items", name="Prune", tags=["b"], description="Rake after it", **work)
    queries = {
        f"category_id={shelf}": ["Mow", "Rake"],
        "favorite=true": ["Rake"],
        "favorite=false": ["Mow", "Prune"],
        "tag=b": ["Mow", "Prune"],
        "tag=B": [],
        "q=rak": ["Prune", "Rake"],
        f"q=rak&category_id={shelf}": ["Rake"],
        f"category_id={uuid4()}": [],
    }

    found = {
        query: [row["name"] for row in listed(catalog, "items", f"{query}&sort=name")]
        for query in queries
    }

    assert found == queries
    assert listed(catalog, "items", "q=mow")[0]["tags"] == ["a", "b"]


def test_an_item_cannot_be_put_on_another_accounts_shelf(catalog: Client, stranger: Client) -> None:
    shelf = create(catalog, "categories")["id"]
    item = create(stranger, "items")

    created = stranger("POST", "/v1/items", WHOLE["items"] | {"category_id": shelf})
    changed = stranger("PATCH", f"/v1/items/{item['id']}", {"category_id": shelf, "version": 1})

    assert (created.status, changed.status) == (422, 422)
    assert changed.json["details"] == [{"field": "category_id", "message": "does not exist"}]


def test_categories_come_in_their_order(catalog: Client) -> None:
    for name, place in [("trees", 2), ("Beds", 1), ("Walls", 2), ("älter", 1), ("Snow", -1)]:
        create(catalog, "categories", name=name, sort_order=place)

    names = [row["name"] for row in listed(catalog, "categories")]

    assert names == ["Snow", "Beds", "älter", "trees", "Walls"]


def test_a_category_name_is_taken_whatever_its_case(catalog: Client, stranger: Client) -> None:
    create(catalog, "categories", name="Éclairage")
    other = create(catalog, "categories", name="Trees")

    twin = catalog("POST", "/v1/categories", {"name": "éclairage"})
    renamed = catalog("PATCH", f"/v1/categories/{other['id']}", {"name": "ÉCLAIRAGE", "version": 1})

    assert (twin.status, renamed.status) == (409, 409)
    assert create(stranger, "categories", name="Éclairage")["version"] == 1


def test_a_deleted_category_leaves_its_items_without_one(catalog: Client) -> None:
    shelf = create(catalog, "categories")["id"]
    item = create(catalog, "items", name="Mow", unit="h", unit_cost="1", category_id=shelf)

    deleted = catalog("DELETE", f"/v1/categories/{shelf}")

    assert deleted.status == 204
    read = catalog("GET", f"/v1/items/{item['id']}").json
    assert read["category_id"] is None
    assert read["name"] == "Mow"


def test_a_client_named_by_quotes_cannot_be_deleted(catalog: Client, quotes: Client) -> None:
    client_id = create(catalog, "clients")["id"]
    body = {
        "client_id": client_id,
        "line_items": [{"name": "Work", "quantity": 1, "unit_cost": 1}],
    }
    drafts = [quotes("POST", "/v1/quotes", body).json["id"] for _ in range(2)]

    refused = catalog("DELETE", f"/v1/clients/{client_id}")

    assert refused.status == 409
    assert refused.json["message"] == "2 quotes name this client."
    quotes("DELETE", f"/v1/quotes/{drafts[0]}")
    assert catalog("DELETE", f"/v1/clients/{client_id}").json["message"].startswith("1 quote ")
    quotes("DELETE", f"/v1/quotes/{drafts[1]}")
    assert catalog("DELETE", f"/v1/clients/{client_id}").status == 204


def test_a_deleted_item_stays_on_the_quotes_that_were_sent(catalog: Client, quotes: Client) -> None:
    item = create(catalog, "items")
    line = {"item_id": item["id"], "name": item["name"], "quantity": 1, "unit_cost": "48.5"}
    quote_id = quotes("POST", "/v1/quotes", {"line_items": [line]}).json["id"]
    assert quotes("POST", f"/v1/quotes/{quote_id}/send", {"channel": "link"}).status == 200
    assert catalog("GET", f"/v1/items/{item['id']}").json["last_used_at"] is not None

    deleted = catalog("DELETE", f"/v1/items/{item['id']}")

    assert deleted.status == 204, deleted.text
    (kept,) = quotes("GET", f"/v1/quotes/{quote_id}").json["line_items"]
    assert (kept["item_id"], kept["name"], kept["line_total"]) == (None, "Hedge cut", "48.50")


@pytest.fixture
def crowd(
    catalog: Client, environment: pytest.MonkeyPatch
) -> Iterator[tuple[ThreadPoolExecutor, db.Actor]]:
    """Sixty threads, each with a connection of its own, for one account."""
    environment.setenv("DATABASE_POOL_MAX", "60")
    conftest.forget()
    assert db.statistics().maximum == 60  # makes the pool, before sixty threads try at once
    actor = auth.principal({"sub": str(USER), "account_id": str(ACCOUNT)}).actor
    with ThreadPoolExecutor(max_workers=60) as threads:
        yield threads, actor


def test_the_free_plan_holds_fifty_clients_when_sixty_come_at_once(
    catalog: Client, database: Database, crowd: tuple[ThreadPoolExecutor, db.Actor]
) -> None:
    threads, actor = crowd

    def come(number: int) -> str:
        try:
            with db.transaction(actor) as connection:
                clients.create(connection, ClientCreate(name=f"Client {number}"))
        except QuotaExceededError as error:
            return error.code
        return "created"

    outcomes = Counter(threads.map(come, range(60)))

    assert outcomes == {"created": 50, "QUOTA_EXCEEDED": 10}
    assert select(database, "select count(*) from app.clients") == [(50,)]
    refused = catalog("POST", "/v1/clients", {"name": "One more"})
    assert refused.status == 402
    assert refused.json["details"] == [{"field": "plan", "message": "limit 50"}]
    statement = "select count(*) from app.audit_events where action = 'client.created'"
    assert select(database, statement) == [(50,)]
    one = listed(catalog, "clients", "limit=1")[0]["id"]
    assert catalog("DELETE", f"/v1/clients/{one}").status == 204
    assert catalog("POST", "/v1/clients", {"name": "One more"}).status == 201


def test_an_account_has_500_categories_at_most(
    catalog: Client, database: Database, crowd: tuple[ThreadPoolExecutor, db.Actor]
) -> None:
    threads, actor = crowd
    create(catalog, "categories")
    fill = """insert into app.item_categories (id, account_id, name)
        select gen_random_uuid(), %s, 'Shelf ' || n from generate_series(1, 497) as n"""
    select(database, fill, ACCOUNT)

    def come(number: int) -> str:
        try:
            with db.transaction(actor) as connection:
                categories.create(connection, CategoryCreate(name=f"New {number}"))
        except ConflictError as error:
            return error.message
        return "created"

    outcomes = Counter(threads.map(come, range(10)))

    assert outcomes == {"created": 2, "An account has 500 categories at most.": 8}
    assert len(listed(catalog, "categories")) == 500


def test_a_client_cannot_be_deleted_while_a_quote_comes_to_name_him(
    catalog: Client, database: Database, crowd: tuple[ThreadPoolExecutor, db.Actor]
) -> None:
    threads, actor = crowd
    client_id = UUID(create(catalog, "clients")["id"])
    line = {"name": "Work", "quantity": 1, "unit_cost": 1}
    quote = QuoteCreate.model_validate({"client_id": client_id, "line_items": [line]})

    def remove() -> None:
        with db.transaction(actor) as connection:
            clients.delete(connection, client_id)

    with db.transaction(actor) as connection:
        create_quote(connection, quote)
        connection.execute("set constraints all immediate")
        removal = threads.submit(remove)
        wait_until_somebody_waits(database)

    with pytest.raises(ConflictError, match="1 quote names this client"):
        removal.result(timeout=20)


def wait_until_somebody_waits(database: Database) -> None:
    statement = "select pid from pg_stat_activity where wait_event_type = 'Lock'"
    until = time.monotonic() + 20
    while not select(database, statement):
        assert time.monotonic() < until


def test_of_changes_made_at_once_from_one_version_one_is_kept(
    catalog: Client, crowd: tuple[ThreadPoolExecutor, db.Actor]
) -> None:
    threads, actor = crowd
    ids = {kind: UUID(create(catalog, kind)["id"]) for kind in WHOLE}
    catalog("PATCH", SETTINGS, {"version": 0})
    renaming: list[Callable[[db.Connection, str], object]] = [
        lambda c, name: clients.change(c, ids["clients"], ClientChange(name=name), version=1),
        lambda c, name: items.change(c, ids["items"], ItemChange(name=name), version=1),
        lambda c, name: categories.change(
            c, ids["categories"], CategoryChange(name=name), version=1
        ),
        lambda c, name: company.change(c, ACCOUNT, CompanyChange(company_name=name), version=1),
    ]

    here = Barrier(60, timeout=20)

    def come(number: int) -> str:
        try:
            with db.transaction(actor) as connection:
                connection.execute("select")
                here.wait()
                renaming[number % 4](connection, f"Name {number}")
        except StaleVersionError as error:
            return error.code
        return f"kept {number % 4}"

    outcomes = Counter(threads.map(come, range(60)))

    assert outcomes == {"kept 0": 1, "kept 1": 1, "kept 2": 1, "kept 3": 1, "CONFLICT": 56}


SETTINGS: Final = "/v1/company-settings"
COMPANY: Final = {
    "company_name": "Ada's Gardens",
    "address": "1 Long Lane",
    "email": "office@example.com",
    "phone": "555",
    "brand_colour": "#aabbcc",
    "currency": "JPY",
    "language": "de-AT",
    "time_zone": "Europe/Vienna",
    "default_tax_rate": "20",
    "default_markup_rate": "12.5",
    "tax_rounding": "line",
    "valid_days": 14,
    "number_pattern": "A{year}/{000}",
    "quote_terms": "Payable in 30 days.",
}


def test_settings_nobody_saved_are_the_defaults(catalog: Client) -> None:
    read = catalog("GET", SETTINGS)

    assert read.status == 200
    expected = {"currency": "USD", "language": "en", "time_zone": "UTC", "version": 0}
    assert expected.items() <= read.json.items()
    assert read.json["number_pattern"] == "Q-{year}-{0000}"
    assert (read.json["logo_url"], read.json["updated_at"]) == (None, None)
    assert read.headers["ETag"] == '"0"'


def test_saved_settings_are_read_back_and_quotes_follow_them(
    catalog: Client, stranger: Client, quotes: Client, database: Database
) -> None:
    saved = catalog("PATCH", SETTINGS, COMPANY | {"version": 0, "brand_colour": "#AABBCC"})

    assert saved.status == 200, saved.text
    assert COMPANY.items() <= saved.json.items()
    assert saved.json["version"] == 1
    assert catalog("GET", SETTINGS).json == saved.json
    assert stranger("GET", SETTINGS).json["version"] == 0
    assert history(database, ACCOUNT) == [("company_settings.changed", {"fields": sorted(COMPANY)})]
    line = {"name": "Work", "quantity": 1, "unit_cost": "80"}
    quote = quotes("POST", "/v1/quotes", {"line_items": [line]}).json
    assert (quote["currency"], quote["language"], quote["total"]) == ("JPY", "de-AT", "108")
    sent = quotes("POST", f"/v1/quotes/{quote['id']}/send", {"channel": "link"}).json
    assert sent["number"].startswith("A20")
    assert sent["number"].endswith("/001")


def test_settings_change_from_the_version_that_was_read(catalog: Client) -> None:
    changes = [
        {"company_name": "First", "version": 0},
        {"company_name": "Twin", "version": 0},
        {"phone": "1", "version": 1},
        {"company_name": "Late", "version": 1},
        {"company_name": "Early", "version": 3},
        {"company_name": "Unmarked"},
    ]

    statuses = [catalog("PATCH", SETTINGS, change).status for change in changes]

    assert statuses == [200, 409, 200, 409, 409, 422]
    read = catalog("GET", SETTINGS).json
    assert (read["company_name"], read["phone"], read["version"]) == ("First", "1", 2)


BAD_SETTINGS: Final[list[tuple[str, Any]]] = [
    ("company_name", None),
    ("company_name", "x" * 201),
    ("email", "nobody"),
    ("brand_colour", "red"),
    ("currency", "XXX"),
    ("currency", "usd"),
    ("currency", "Euro"),
    ("currency", None),
    ("language", "it"),
    ("language", "en_US"),
    ("time_zone", "Mars/Olympus"),
    ("time_zone", "europe/vienna"),
    ("time_zone", "Europe"),
    ("time_zone", "../../etc/passwd"),
    ("time_zone", "/etc/localtime"),
    ("time_zone", "localtime"),
    ("time_zone", "UTC+2"),
    ("time_zone", "a\0b"),
    ("time_zone", ""),
    ("default_tax_rate", "-1"),
    ("default_tax_rate", "100.01"),
    ("default_markup_rate", "1000.0001"),
    ("tax_rounding", "never"),
    ("valid_days", 0),
    ("valid_days", 3651),
    ("quote_terms", "x" * 20_001),
    ("logo_key", "accounts/x/logo"),
    ("updated_at", "2026-01-01"),
    ("account_id", str(OTHER_USER)),
]


def test_a_setting_that_will_not_do_is_named(catalog: Client) -> None:
    for field, value in BAD_SETTINGS:
        refused = catalog("PATCH", SETTINGS, {field: value, "version": 0})

        assert refused.status == 422, (field, value, refused.text)
        assert refused.json["details"][0]["field"] == field
    assert catalog("GET", SETTINGS).json["version"] == 0


PATTERNS: Final = {
    "Q-{year}-{0000}": True,
    "{0}{year}": True,
    "{year}{0}": True,
    "№ {000}/{year} Ü": True,
    "{year}-'{00}'%": True,
    "Q-{0000}": False,
    "Q-{year}": False,
    "Q-{year}-{year}-{000}": False,
    "{year}-{0}-{00}": False,
    "{year}-{}": False,
    "{year}-{01}": False,
    "{year}-{0}}": False,
    "{month}-{year}-{0}": False,
    "{year}\n{0}": False,
    "": False,
    "{year}" + "x" * 32 + "{0}": False,
}


def test_door_and_database_agree_on_number_patterns(catalog: Client, database: Database) -> None:
    catalog("PATCH", SETTINGS, {"version": 0})
    write = "update app.company_settings set number_pattern = %s"

    for pattern, good in PATTERNS.items():
        version = catalog("GET", SETTINGS).json["version"]
        saved = catalog("PATCH", SETTINGS, {"number_pattern": pattern, "version": version})

        assert saved.status == (200 if good else 422), (pattern, saved.text)
        with nullcontext() if good else pytest.raises(CheckViolation):
            select(database, write, pattern)


def test_a_pattern_that_would_give_a_number_again_is_refused(
    catalog: Client, quotes: Client
) -> None:
    def send() -> str:
        line = {"name": "Work", "quantity": 1, "unit_cost": "80"}
        quote_id = quotes("POST", "/v1/quotes", {"line_items": [line]}).json["id"]
        sent = quotes("POST", f"/v1/quotes/{quote_id}/send", {"channel": "link"})
        return str(sent.json["number"])

    def number_by(pattern: str, version: int) -> int:
        return catalog("PATCH", SETTINGS, {"number_pattern": pattern, "version": version}).status

    assert number_by("1{0}-{year}", 0) == 200
    first = send()
    assert first.startswith("11-")

    refused = catalog("PATCH", SETTINGS, {"number_pattern": "{0}-{year}", "version": 1})

    assert refused.status == 409
    assert first in refused.json["message"]
    assert number_by("{00}-{year}", 1) == 409  # the eleventh would be 11- again
    assert number_by("(.*){0}-{year}", 1) == 200
    assert send().startswith("(.*)2-")
    assert number_by("Q-{year}-{0}", 2) == 200
    assert send().endswith("-3")
    assert number_by("Q-{year}-{0000}", 3) == 200  # 3 is past, so Q-…-0003 never comes


LOGO: Final = f"{SETTINGS}/logo"


def offer(catalog: Client, content_type: str = "image/png") -> dict[str, Any]:
    offered = catalog("POST", LOGO, {"content_type": content_type})
    assert offered.status == 201, offered.text
    form: dict[str, Any] = offered.json
    return form


def upload(catalog: Client, content: bytes) -> str:
    """Store what the form would store; returns its key."""
    form = offer(catalog)
    boto3.client("s3").put_object(Bucket="assets", Key=form["fields"]["key"], Body=content)
    return str(form["key"])


def test_the_form_takes_one_image_of_the_named_kind_and_size(catalog: Client) -> None:
    form = offer(catalog, "image/webp")

    assert form["key"].startswith(f"accounts/{ACCOUNT}/logo-")
    assert form["max_bytes"] == MOST_BYTES == 5 * 1024 * 1024
    fields = form["fields"]
    assert (fields["key"], fields["Content-Type"]) == (form["key"], "image/webp")
    assert fields["x-amz-algorithm"] == "AWS4-HMAC-SHA256"  # S3 takes no other with a KMS key
    policy = json.loads(base64.b64decode(fields["policy"]))
    assert ["content-length-range", 1, MOST_BYTES] in policy["conditions"]
    assert {"Content-Type": "image/webp"} in policy["conditions"]
    assert {"key": form["key"]} in policy["conditions"]
    assert policy["expiration"][:16] == form["expires_at"][:16]


@pytest.mark.parametrize("kind", ["image/svg+xml", "text/html", "", None])
def test_no_form_is_made_for_other_kinds(catalog: Client, kind: Any) -> None:
    assert catalog("POST", LOGO, {"content_type": kind}).status == 422


def test_an_uploaded_logo_is_confirmed_shown_and_removed(
    catalog: Client, database: Database
) -> None:
    key = upload(catalog, PNG)

    confirmed = catalog("PUT", LOGO, {"key": key})

    assert confirmed.status == 200, confirmed.text
    assert confirmed.json["version"] == 1
    kept = confirmed.json["logo_key"]
    assert kept.startswith(f"accounts/{ACCOUNT}/logos/")
    assert kept in catalog("GET", SETTINGS).json["logo_url"]
    assert "X-Amz-Expires=900" in confirmed.json["logo_url"]
    found = boto3.client("s3").get_object(Bucket="assets", Key=kept)
    assert (found["Body"].read(), found["ContentType"]) == (PNG, "image/png")
    changed = catalog("PATCH", SETTINGS, {"phone": "1", "version": 1}).json
    assert changed["logo_key"] == kept
    assert catalog("DELETE", LOGO).status == 204
    assert catalog("DELETE", LOGO).status == 404
    after = catalog("GET", SETTINGS).json
    assert (after["logo_key"], after["logo_url"], after["version"]) == (None, None, 3)
    assert [action for action, _ in history(database, ACCOUNT)] == [
        "company_settings.logo_offered",
        "company_settings.logo_set",
        "company_settings.changed",
        "company_settings.logo_removed",
    ]


def test_a_form_used_again_does_not_reach_the_confirmed_logo(catalog: Client) -> None:
    key = upload(catalog, PNG)
    kept = catalog("PUT", LOGO, {"key": key}).json["logo_key"]

    boto3.client("s3").put_object(Bucket="assets", Key=key, Body=b"something else")

    assert boto3.client("s3").get_object(Bucket="assets", Key=kept)["Body"].read() == PNG


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"I am a PNG, believe me.", id="text"),
        pytest.param(b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", id="svg"),
        pytest.param(b"", id="nothing"),
        pytest.param(PNG[:20], id="cut short"),
        pytest.param(PNG.ljust(MOST_BYTES + 1, b"\0"), id="too large"),
    ],
)
def test_what_is_no_image_of_that_size_does_not_become_the_logo(
    catalog: Client, content: bytes
) -> None:
    key = upload(catalog, content)

    refused = catalog("PUT", LOGO, {"key": key})

    assert refused.status == 422, refused.text
    assert refused.json["details"][0]["field"] == "key"
    assert catalog("GET", SETTINGS).json["logo_key"] is None


def test_only_an_upload_of_ones_own_can_be_confirmed(catalog: Client, stranger: Client) -> None:
    theirs = upload(stranger, PNG)
    kept = catalog("PUT", LOGO, {"key": upload(catalog, PNG)}).json["logo_key"]
    keys = [
        theirs,
        theirs.replace(str(OTHER_USER), f"{ACCOUNT}/../{OTHER_USER}"),
        kept,
        offer(catalog)["key"],  # nothing was uploaded
        f"accounts/{ACCOUNT}/logo-{'-' * 36}",
        f"accounts/{ACCOUNT}/logo-{UNKNOWN}\n",
        "",
    ]

    statuses = [catalog("PUT", LOGO, {"key": key}).status for key in keys]

    assert statuses == [422] * len(keys)
    assert catalog("GET", SETTINGS).json["logo_key"] == kept
    assert stranger("GET", SETTINGS).json["logo_key"] is None


def test_a_withdrawn_token_gets_no_form(
    catalog: Client, database: Database, issuer: Issuer
) -> None:
    select(
        database,
        "insert into ops.revoked_tokens (jti, expires_at) values ('gone', now() + '1 hour')",
    )
    withdrawn = Client(lambda_handler, issuer.token(USER, ACCOUNT, jti="gone"), catalog.route)

    statuses = [
        withdrawn("POST", LOGO, {"content_type": "image/png"}).status,
        withdrawn("GET", "/v1/clients").status,
        withdrawn("POST", "/v1/clients", {"name": "Ada"}).status,
    ]

    assert statuses == [401, 401, 401]


def test_the_sample_event_creates_a_client(catalog: Client) -> None:
    event = json.loads((ROOT / "events" / "catalog_manager.json").read_text())
    event["headers"]["authorization"] = f"Bearer {catalog.token}"

    answer = lambda_handler(event, LambdaContext())

    assert answer["statusCode"] == 201, answer["body"]
    assert [row["name"] for row in listed(catalog, "clients")] == ["Grace Hopper"]
