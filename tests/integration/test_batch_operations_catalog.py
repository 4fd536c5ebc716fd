"""Batches over clients and items: imports, prices, deletion; for an account, in real PostgreSQL."""

from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.conftest import Database, forget
from tests.operating import Account, founded


@pytest.fixture
def account(database: Database) -> Account:
    account = founded(database.owner_url)
    account.plan()
    return account


@pytest.fixture
def stranger(account: Account) -> Account:
    stranger = founded(account.owner_url)
    stranger.plan()
    return stranger


def clients(account: Account) -> list[Mapping[str, Any]]:
    names = ("name", "email", "phone", "address", "notes", "version")
    rows = account.owner(
        f"""select {", ".join(names)} from app.clients
        where account_id = %(id)s order by name, email""",
        {"id": account.id},
    )
    return [dict(zip(names, row, strict=True)) for row in rows]


def costs(account: Account, *items: UUID) -> list[Decimal]:
    rows = dict(account.owner("select id, unit_cost from app.items"))
    return [rows[item].normalize() for item in items]


# --- deletion


def test_clients_whom_quotes_name_stay(account: Account, stranger: Account) -> None:
    free, named, busy = account.client(), account.client("Ada"), account.client("Bob")
    account.quote(client=None, client_id=str(named))
    for _ in range(2):
        account.quote(client=None, client_id=str(busy))
    foreign = stranger.client()

    ran = account.run("delete_clients", [free, named, busy, foreign, free])

    assert ran.codes == ["deleted", "conflict", "conflict", "missing", "conflict"]
    assert ran.outcomes[1].message == "1 quote names this client."
    assert ran.outcomes[2].message == "2 quotes name this client."
    assert [client["name"] for client in clients(account)] == ["Ada", "Bob"]
    assert len(clients(stranger)) == 1
    assert account.events("client.deleted") == {free: {"batch": str(ran.work.job_id)}}


def test_a_dry_run_deletes_no_client(account: Account) -> None:
    client = account.client()

    assert account.run("delete_clients", [client], dry_run=True).codes == ["deleted"]
    assert len(clients(account)) == 1


# --- who comes from elsewhere


def test_an_import_adds_whom_the_account_does_not_know(account: Account, stranger: Account) -> None:
    known = account.client("Grace", email="Grace@Example.com")
    stranger.client("Other", email="ada@example.com")
    rows = [
        {"name": "Grace H.", "email": "grace@example.com", "phone": "1"},
        {"name": "Ada", "email": "ada@example.com", "address": "Street 1", "notes": ""},
        {"name": "Ada again", "email": "ADA@example.com"},
        {"name": "No mail", "phone": "+1 555"},
    ]

    ran = account.run("import_clients", rows)

    assert ran.codes == ["unchanged", "created", "conflict", "created"]
    assert (ran.outcomes[0].data or {})["id"] == str(known)
    assert [client["name"] for client in clients(account)] == ["Ada", "Grace", "No mail"]
    made = [UUID((ran.outcomes[n].data or {})["id"]) for n in (1, 3)]
    details = {"batch": str(ran.work.job_id)}
    events = account.events("client.created")
    assert [events[client] for client in made] == [details, details]
    assert len(clients(stranger)) == 1


def test_the_same_file_twice_adds_nobody(account: Account) -> None:
    rows = [
        {"name": "Ada", "email": "ada@example.com"},
        {"name": "No mail", "phone": "1"},
        {"name": "No mail", "phone": "2"},
    ]
    account.run("import_clients", rows)

    again = account.run("import_clients", rows, on_existing="update")

    assert again.codes == ["unchanged"] * 3
    assert len(clients(account)) == 3


def test_an_update_takes_what_the_row_says_and_keeps_the_rest(account: Account) -> None:
    known = account.client("Ada", email="ada@example.com", phone="1", notes="good")
    row = {"name": "Ada L.", "email": "ada@example.com", "phone": "", "address": "Street 1"}

    ran = account.run("import_clients", [row], on_existing="update")

    assert ran.codes == ["changed"]
    assert clients(account) == [
        {
            "name": "Ada L.",
            "email": "ada@example.com",
            "phone": "1",
            "address": "Street 1",
            "notes": "good",
            "version": 2,
        }
    ]
    said = {"fields": ["name", "address"], "batch": str(ran.work.job_id)}
    assert account.events("client.changed") == {known: said}


def test_nobody_is_updated_where_two_clients_share_an_address(account: Account) -> None:
    for name in ("Ada", "Bea"):
        account.client(name, email="office@example.com")
    row = {"name": "Cora", "email": "office@example.com"}

    skipped = account.run("import_clients", [row])
    updated = account.run("import_clients", [row], on_existing="update")

    assert (skipped.codes, updated.codes) == (["unchanged"], ["conflict"])
    assert [client["name"] for client in clients(account)] == ["Ada", "Bea"]


def test_an_import_fills_the_plan_exactly(account: Account) -> None:
    small = founded(account.owner_url)
    small.plan(clients=4)
    small.client("Known", email="known@example.com")
    rows = [{"name": f"Client {n}", "email": f"c{n}@example.com"} for n in range(5)]
    rows.insert(4, {"name": "Known", "email": "known@example.com"})

    rehearsed = small.run("import_clients", rows, dry_run=True)
    ran = small.run("import_clients", rows)

    assert ran.codes == ["created"] * 3 + ["quota", "unchanged", "quota"]
    assert rehearsed.codes == ran.codes
    assert ran.outcomes[3].message == "The plan allows 4 clients."
    assert len(clients(small)) == 4


def test_imports_at_the_same_time_add_a_client_once(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_POOL_MAX", "4")
    forget()
    rows = [{"name": f"Client {n}", "email": f"c{n}@example.com"} for n in range(200)]

    with ThreadPoolExecutor(4) as threads:
        jobs = [threads.submit(account.run, "import_clients", rows) for _ in range(4)]
    counts = Counter[str]()
    for job in jobs:
        counts.update(job.result().counts)

    assert counts == {"created": 200, "unchanged": 600}
    assert len(clients(account)) == 200


def test_a_thousand_clients_are_imported_in_their_order(account: Account) -> None:
    rows = [{"name": f"Client {n:04}", "email": f"c{n}@example.com"} for n in range(1000)]

    ran = account.run("import_clients", rows)

    assert ran.counts == {"created": 1000}
    assert [client["name"] for client in clients(account)] == [row["name"] for row in rows]
    assert len(account.events("client.created")) == 1000


# --- new items


def test_items_are_created_with_their_category_by_name_or_id(
    account: Account, stranger: Account
) -> None:
    shelves = {owner: uuid4() for owner in (account, stranger)}
    for owner, shelf in shelves.items():
        account.owner(
            "insert into app.item_categories (id, account_id, name) values (%(id)s, %(a)s, 'Soil')",
            {"id": shelf, "a": owner.id},
        )
    base = {"name": "Mulch", "unit": "bag", "unit_cost": "4.25"}
    given = [
        base | {"category": "SOIL", "tags": ["a", "a", "b"], "is_favorite": True},
        base | {"category_id": str(shelves[account]), "tax_rate": "7"},
        base | {"category": "Stone"},
        base | {"category_id": str(shelves[stranger])},
        base | {"description": ""},
    ]

    ran = account.run("bulk_create_items", given)

    assert ran.codes == ["created", "created", "invalid", "invalid", "created"]
    assert ran.outcomes[3].message == "The category does not exist."
    rows = account.owner(
        """select category_id, unit_cost, tax_rate, tags, is_favorite, description
        from app.items where account_id = %(id)s order by id""",
        {"id": account.id},
    )
    cost = Decimal("4.2500")
    assert sorted(rows, key=str) == sorted(
        [
            (shelves[account], cost, None, ["a", "b"], True, None),
            (shelves[account], cost, Decimal("7.0000"), [], False, None),
            (None, cost, None, [], False, None),
        ],
        key=str,
    )
    made = {UUID(outcome.data["id"]) for outcome in ran.outcomes if outcome.data}
    assert set(account.events("item.created")) == made


def test_a_dry_run_creates_no_item(account: Account) -> None:
    ran = account.run(
        "bulk_create_items", [{"name": "Mulch", "unit": "bag", "unit_cost": 1}], dry_run=True
    )

    assert ran.codes == ["created"]
    assert account.owner("select 1 from app.items") == []


# --- prices


def test_prices_rise_by_a_percentage_rounded_to_the_accounts_coin(
    account: Account, stranger: Account
) -> None:
    ten, odd, free = account.item("10"), account.item("0.05"), account.item("0")
    foreign = stranger.item("10")

    ran = account.run("update_item_prices", [ten, odd, free, foreign, uuid4()], percent="10")

    # 0.055 is half a cent: up
    assert ran.codes == ["changed", "changed", "unchanged", "missing", "missing"]
    assert costs(account, ten, odd, free) == [11, Decimal("0.06"), 0]
    assert costs(stranger, foreign) == [10]
    assert account.events("item.changed") == {
        ten: event("10", "11.00", ran.work.job_id),
        odd: event("0.05", "0.06", ran.work.job_id),
    }


def event(old: str, new: str, job: UUID) -> dict[str, Any]:
    return {"fields": ["unit_cost"], "from": old, "to": new, "batch": str(job)}


def test_prices_fall_by_an_amount_and_never_below_nothing(account: Account) -> None:
    ten, two = account.item("10.0375"), account.item("2")

    account.run("update_item_prices", [ten, two], amount="-2.5", round_to="0.05")

    assert costs(account, ten, two) == [Decimal("7.55"), 0]


def test_yen_have_no_cents(account: Account) -> None:
    account.owner(
        "insert into app.company_settings (account_id, currency) values (%(id)s, 'JPY')",
        {"id": account.id},
    )
    item = account.item("105")

    account.run("update_item_prices", [item], percent="10")

    assert costs(account, item) == [116]


def test_a_price_that_does_not_fit_its_column_is_left(account: Account) -> None:
    dear, cheap = account.item("999999999999"), account.item("1")

    ran = account.run("update_item_prices", [dear, cheap], percent="100")

    assert ran.codes == ["conflict", "changed"]
    assert costs(account, dear, cheap) == [999999999999, 2]


def test_the_same_job_never_changes_a_price_twice(account: Account) -> None:
    item, job = account.item("10"), uuid4()

    codes = [
        account.run("update_item_prices", [item], percent="10", job=job).codes for _ in range(2)
    ]

    assert codes == [["changed"], ["unchanged"]]
    assert costs(account, item) == [11]


def test_a_dry_run_tells_new_prices_and_keeps_the_old(account: Account) -> None:
    item = account.item("10")

    ran = account.run("update_item_prices", [item], percent="-33.3333", dry_run=True)

    assert ran.outcomes[0].data == {"from": "10", "to": "6.67"}
    assert costs(account, item) == [10]
    assert account.events("item.changed") == {}
