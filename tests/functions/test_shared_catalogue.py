"""HTTP /v1/catalogue through its door: looked through, liked, copied, and kept by admins."""

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any, Final
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege

from functions.catalog_manager.app import lambda_handler as catalog_handler
from functions.shared_catalogue.app import lambda_handler
from quotekit import database as db
from quotekit import settings
from quotekit.catalog.shared import copying
from quotekit.catalog.shared.requests import Copying
from quotekit.database import Actor
from quotekit.errors import ConflictError
from tests.conftest import Database
from tests.functions.conftest import (
    ACCOUNT,
    OTHER_USER,
    UNKNOWN,
    USER,
    Client,
    Issuer,
    LambdaContext,
    load_event,
)

ADMIN: Final = UUID("01900000-0000-7000-8000-0000000000ad")
BASE: Final = "/v1/catalogue"
NEW: Final = {"name": "Moss Removal", "unit": "visit", "suggested_cost": "80", "tier": "free"}
SHELVES: Final = {
    "Lawn Care": 12,
    "Landscaping": 11,
    "Tree Services": 10,
    "Irrigation": 13,
    "Hardscaping": 16,
    "Seasonal Services": 5,
    "Pest Control": 6,
    "Fertilization": 10,
    "Snow Services": 9,
    "Specialty Services": 12,
}


@pytest.fixture
def shared(database: Database, environment: pytest.MonkeyPatch, issuer: Issuer) -> Client:
    return Client(lambda_handler, issuer.token(USER, ACCOUNT), "ANY /v1/catalogue/{proxy+}")


@pytest.fixture
def stranger(shared: Client, issuer: Issuer) -> Client:
    return Client(lambda_handler, issuer.token(OTHER_USER), shared.route)


@pytest.fixture
def admin(shared: Client, issuer: Issuer, database: Database) -> Client:
    execute(database, "insert into app.user_roles (user_id, role) values (%s, 'admin')", ADMIN)
    return Client(lambda_handler, issuer.token(ADMIN), shared.route)


@pytest.fixture
def own(shared: Client) -> Client:
    return Client(catalog_handler, shared.token, "ANY /v1/items")


def execute(database: Database, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    with psycopg.connect(database.owner_url, autocommit=True) as connection:
        found = connection.execute(statement.encode(), values)
        return found.fetchall() if found.description else []


def found(database: Database, account: UUID = ACCOUNT) -> None:
    execute(database, "insert into app.accounts (id) values (%s) on conflict do nothing", account)
    member = "insert into app.members (account_id, user_id) values (%s, %s) on conflict do nothing"
    execute(database, member, account, USER)


def subscribe(database: Database, account: UUID = ACCOUNT) -> None:
    found(database, account)
    statement = """insert into app.subscriptions (account_id, plan_key, status)
        values (%s, 'premium', 'active')"""
    execute(database, statement, account)


def listed(client: Client, query: str = "") -> list[dict[str, Any]]:
    answer = client("GET", f"{BASE}/items", query=f"limit=100&{query}")
    assert answer.status == 200, answer.text
    rows: list[dict[str, Any]] = answer.json["data"]
    return rows


def named(client: Client, name: str) -> dict[str, Any]:
    (found,) = (item for item in listed(client, f"q={name}") if item["name"] == name)
    return found


def copy(client: Client, item: dict[str, Any], **said: Any) -> Any:
    return client("POST", f"{BASE}/items/{item['id']}/copy", said)


def test_the_committed_event_finds_mulch(shared: Client) -> None:
    event = load_event("shared_catalogue")
    event["headers"]["authorization"] = f"Bearer {shared.token}"

    answer = lambda_handler(event, LambdaContext())

    assert answer["statusCode"] == 200
    assert "Mulch Installation" in answer["body"]


def test_ten_shelves_hold_a_hundred_and_four_items_of_which_38_are_free(shared: Client) -> None:
    shelves = shared("GET", f"{BASE}/categories").json["data"]

    assert {shelf["name"]: shelf["items"] for shelf in shelves} == SHELVES
    assert [shelf["name"] for shelf in shelves][:2] == ["Lawn Care", "Landscaping"]
    tiers = Counter(shelf["tier"] for shelf in shelves for _ in range(shelf["items"]))
    assert tiers == {"free": 38, "premium": 66}
    assert len(listed(shared, "tier=free")) == 38
    assert len(listed(shared, "tier=premium")) == 66


def test_every_item_says_something_of_its_own(database: Database) -> None:
    (told,) = execute(
        database,
        """select count(*), count(distinct name), count(distinct description), min(suggested_cost),
            count(*) filter (where cardinality(tags) = 0) from app.shared_items""",
    )

    assert told[:3] == (104, 104, 104)
    assert told[3] > 0
    assert told[4] == 0


@pytest.mark.parametrize("sort", ["shelf", "name", "-name", "popular"])
def test_pages_of_any_order_hold_every_item_once(shared: Client, sort: str) -> None:
    whole = [item["id"] for item in listed(shared, f"sort={sort}")] + [
        item["id"] for item in listed(shared, f"sort={sort}&cursor={cursor_after(shared, sort)}")
    ]
    paged, cursor = [], ""
    while True:
        answer = shared("GET", f"{BASE}/items", query=f"sort={sort}&limit=9{cursor}").json
        paged += [item["id"] for item in answer["data"]]
        if answer["next_cursor"] is None:
            break
        cursor = f"&cursor={answer['next_cursor']}"

    assert len(paged) == len(set(paged)) == 104
    assert paged == whole


def cursor_after(shared: Client, sort: str) -> str:
    answer = shared("GET", f"{BASE}/items", query=f"limit=100&sort={sort}")
    cursor: str = answer.json["next_cursor"]
    return cursor


def test_items_are_found_by_words_shelf_tag_and_tier(shared: Client) -> None:
    shelf = named(shared, "Snow Plowing")["category_id"]

    assert {item["name"] for item in listed(shared, "q=grub")} == {"Grub Control Treatment"}
    assert len(listed(shared, f"category_id={shelf}")) == 9
    assert {item["name"] for item in listed(shared, f"category_id={shelf}&tag=contract")} == {
        "Seasonal Snow Contract"
    }
    assert listed(shared, "q=nothingofthekind") == []


@pytest.mark.parametrize("query", ["sort=price", "tier=gold", "limit=0", "limit=101", "cursor=x"])
def test_what_makes_no_sense_is_refused(shared: Client, query: str) -> None:
    assert shared("GET", f"{BASE}/items", query=query).status == 422


def test_a_favourite_is_the_accounts_own(shared: Client, stranger: Client) -> None:
    item = named(shared, "Edging")
    path = f"{BASE}/items/{item['id']}/favorite"

    liked = [shared("PUT", path) for _ in range(2)]

    assert [answer.json["is_favorite"] for answer in liked] == [True, True]
    assert [one["name"] for one in listed(shared, "favorite=true")] == ["Edging"]
    assert listed(stranger, "favorite=true") == []
    assert shared("DELETE", path).json["is_favorite"] is False
    assert listed(shared, "favorite=true") == []
    assert len(listed(shared, "favorite=false&tier=free")) == 38


def test_a_copy_is_an_own_item_at_the_suggested_cost(shared: Client, own: Client) -> None:
    item = named(shared, "Hedge Trimming")

    answer = copy(shared, item)

    assert answer.status == 201, answer.text
    assert answer.json["unit_cost"] == "65"
    assert answer.json["unit"] == "hour"
    assert own("GET", f"/v1/items/{answer.json['id']}").json == answer.json
    again = named(shared, "Hedge Trimming")
    assert (again["copied_by"], again["copies"], again["item_id"]) == (1, 1, answer.json["id"])


def test_a_copy_may_have_its_own_name_price_and_shelf(shared: Client, own: Client) -> None:
    shelf = own("POST", "/v1/categories", {"name": "Green"}).json["id"]
    item = named(shared, "Edging")

    answer = copy(shared, item, name="Kanten", unit_cost="31.5", category_id=shelf)

    assert answer.status == 201, answer.text
    assert (answer.json["name"], answer.json["unit_cost"]) == ("Kanten", "31.5")
    assert answer.json["category_id"] == shelf
    assert copy(shared, item, category_id=str(uuid4()), again=True).status == 422


def test_the_same_item_twice_is_a_conflict_that_names_the_copy(shared: Client) -> None:
    item = named(shared, "Edging")
    first = copy(shared, item).json

    refused = copy(shared, item)
    second = copy(shared, item, again=True)

    assert refused.status == 409
    assert refused.json["details"] == [{"field": "item_id", "message": first["id"]}]
    assert second.status == 201
    told = named(shared, "Edging")
    assert (told["copied_by"], told["copies"], told["item_id"]) == (1, 2, second.json["id"])


def test_a_copy_that_was_deleted_does_not_stand_in_the_way(shared: Client, own: Client) -> None:
    item = named(shared, "Edging")
    own("DELETE", f"/v1/items/{copy(shared, item).json['id']}")

    assert copy(shared, item).status == 201


@pytest.fixture
def crowd(shared: Client, environment: pytest.MonkeyPatch) -> Iterator[ThreadPoolExecutor]:
    """Threads with a connection each."""
    db.forget()
    environment.setenv("DATABASE_POOL_MAX", "12")
    settings.forget()
    with ThreadPoolExecutor(12) as threads:
        yield threads


def copy_at_once(item: str, here: Barrier, account: UUID, *, again: bool) -> str:
    """Copy in a transaction that begins when all have one."""
    actor = Actor("authenticated", {"sub": str(account), "account_id": str(account)})
    try:
        with db.transaction(actor) as connection:
            connection.execute("select auth.admit()")
            here.wait()
            copying.copy(connection, UUID(item), Copying(again=again))
    except ConflictError:
        return "refused"
    return "copied"


def test_twelve_requests_at_once_make_one_copy(
    shared: Client, database: Database, crowd: ThreadPoolExecutor
) -> None:
    item, here = named(shared, "Edging")["id"], Barrier(12, timeout=20)
    found(database, USER)

    work = [crowd.submit(copy_at_once, item, here, USER, again=False) for _ in range(12)]

    assert Counter(one.result() for one in work) == {"copied": 1, "refused": 11}
    assert execute(database, "select count(*) from app.items") == [(1,)]


def test_accounts_are_counted_once_each_however_many_copy_at_once(
    shared: Client, database: Database, crowd: ThreadPoolExecutor
) -> None:
    item, here = named(shared, "Edging")["id"], Barrier(12, timeout=20)
    accounts = [uuid4() for _ in range(6)]
    for account in accounts:
        execute(database, "insert into app.accounts (id) values (%s)", account)
        member = "insert into app.members (account_id, user_id) values (%s, %s)"
        execute(database, member, account, account)

    work = [crowd.submit(copy_at_once, item, here, one, again=True) for one in accounts * 2]

    assert Counter(one.result() for one in work) == {"copied": 12}
    told = named(shared, "Edging")
    assert (told["copied_by"], told["copies"]) == (6, 0)
    assert listed(shared, "sort=popular")[0]["name"] == "Edging"
    assert execute(database, "select sum(copies) from app.shared_uses") == [(12,)]
    execute(database, "delete from app.accounts where id = %s", accounts[0])
    assert named(shared, "Edging")["copied_by"] == 5


def test_the_database_refuses_premium_items_to_the_free_plan(
    shared: Client, database: Database
) -> None:
    item = named(shared, "Tree Pruning")
    assert item["locked"] is True

    refused = copy(shared, item)

    assert refused.status == 402
    assert refused.json["code"] == "QUOTA_EXCEEDED"
    assert execute(database, "select count(*) from app.shared_uses") == [(0,)]
    subscribe(database)
    assert named(shared, "Tree Pruning")["locked"] is False
    assert copy(shared, item).status == 201


def test_costs_of_another_currency_are_not_taken_for_ones_own(shared: Client, own: Client) -> None:
    version = own("GET", "/v1/company-settings").json["version"]
    own("PATCH", "/v1/company-settings", {"currency": "EUR", "version": version})
    item = named(shared, "Edging")

    refused = copy(shared, item)

    assert refused.status == 422
    assert refused.json["details"][0]["field"] == "unit_cost"
    assert copy(shared, item, unit_cost="20").status == 201


def test_no_account_writes_its_own_count(shared: Client, database: Database) -> None:
    item = named(shared, "Edging")
    actor = Actor("authenticated", {"sub": str(USER), "account_id": str(ACCOUNT)})

    for statement in (
        "insert into app.shared_uses (shared_item_id, copies) values (%s, 9)",
        "update app.shared_items set copied_by = 9 where id = %s",
        "delete from app.shared_items where id = %s",
    ):
        with pytest.raises(InsufficientPrivilege), db.transaction(actor) as connection:
            connection.execute(statement.encode(), [item["id"]])


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "items", NEW | {"category_id": str(UNKNOWN)}),
        ("PATCH", f"items/{UNKNOWN}", {"name": "x", "version": 1}),
        ("DELETE", f"items/{UNKNOWN}", None),
        ("POST", "categories", {"name": "Pools"}),
        ("PATCH", f"categories/{UNKNOWN}", {"name": "x", "version": 1}),
    ],
)
def test_who_is_no_admin_changes_nothing(shared: Client, method: str, path: str, body: Any) -> None:
    assert shared(method, f"{BASE}/{path}", body).status == 403


def test_an_admin_puts_up_a_shelf_and_offers_an_item_on_it(
    admin: Client, shared: Client, database: Database
) -> None:
    shelf = admin("POST", f"{BASE}/categories", {"name": "Pools", "tier": "premium"})
    assert shelf.status == 201, shelf.text
    made = admin("POST", f"{BASE}/items", NEW | {"category_id": shelf.json["id"]})
    assert made.status == 201, made.text
    path = f"{BASE}/items/{made.json['id']}"

    changed = admin("PATCH", path, {"suggested_cost": "95", "version": 1})

    assert changed.status == 200, changed.text
    assert shared("GET", path).json["suggested_cost"] == "95"
    assert admin("PATCH", path, {"suggested_cost": "1", "version": 1}).status == 409
    assert admin("POST", f"{BASE}/items", NEW | {"category_id": shelf.json["id"]}).status == 409
    assert admin("POST", f"{BASE}/items", NEW | {"category_id": str(uuid4())}).status == 422
    actions = "select action from app.audit_events where actor_id = %s order by id"
    assert [action for (action,) in execute(database, actions, ADMIN)] == [
        "shared_category.created",
        "shared_item.created",
        "shared_item.changed",
    ]


def test_a_shelf_that_is_not_active_hides_what_is_on_it(admin: Client, shared: Client) -> None:
    shelf = named(shared, "Snow Plowing")["category_id"]

    admin("PATCH", f"{BASE}/categories/{shelf}", {"is_active": False, "version": 1})

    assert listed(shared, "q=snow plowing") == []
    assert len(shared("GET", f"{BASE}/categories").json["data"]) == 9


def test_what_was_used_is_withdrawn_and_what_was_not_is_deleted(
    admin: Client, shared: Client, database: Database
) -> None:
    used, unused = named(shared, "Edging"), named(shared, "Compost")
    mine = copy(shared, used).json["id"]

    answers = [admin("DELETE", f"{BASE}/items/{item['id']}").status for item in (used, unused)]

    assert answers == [204, 204]
    left = "select name, is_active from app.shared_items where id = any(%s)"
    ids = [UUID(used["id"]), UUID(unused["id"])]
    assert execute(database, left, ids) == [("Edging", False)]
    assert shared("GET", f"{BASE}/items/{used['id']}").status == 404
    assert copy(shared, used, again=True).status == 404
    assert execute(database, "select name from app.items where id = %s", mine) == [("Edging",)]
    assert [item["name"] for item in listed(admin, "is_active=false")] == ["Edging"]
    assert shared("GET", f"{BASE}/items", query="is_active=false").status == 403
    back = admin("PATCH", f"{BASE}/items/{used['id']}", {"is_active": True, "version": 2})
    assert back.json["is_active"] is True


def test_the_database_refuses_a_copy_of_what_is_withdrawn(
    shared: Client, database: Database
) -> None:
    item = named(shared, "Edging")
    execute(database, "update app.shared_items set is_active = false where id = %s", item["id"])
    found(database)
    statement = """insert into app.items (id, account_id, name, unit, unit_cost, shared_item_id)
        values (%s, %s, 'x', 'x', 1, %s)"""

    with pytest.raises(psycopg.DatabaseError) as refused:
        execute(database, statement, uuid4(), ACCOUNT, item["id"])

    assert refused.value.sqlstate == "QK409"


HOSTILE: Final[list[Callable[[str], tuple[str, str, Any]]]] = [
    lambda _: ("GET", "items/not-an-id", None),
    lambda item: ("POST", f"items/{item}/copy", {"unit_cost": "-1"}),
    lambda item: ("POST", f"items/{item}/copy", {"unit_cost": "1e400"}),
    lambda item: ("POST", f"items/{item}/copy", {"name": ""}),
    lambda item: ("POST", f"items/{item}/copy", {"name": "a\x00b"}),
    lambda item: ("POST", f"items/{item}/copy", {"account_id": str(OTHER_USER)}),
    lambda item: ("POST", f"items/{item}/copy", []),
]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_input_is_refused_by_name(shared: Client, hostile: Any) -> None:
    method, path, body = hostile(named(shared, "Edging")["id"])

    assert shared(method, f"{BASE}/{path}", body).status == 422
