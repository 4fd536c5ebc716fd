"""An account erased: asked for by its owner, done by a worker that resumes, shown by a receipt."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

import boto3
import psycopg
import pytest

from functions.account_eraser.app import lambda_handler
from functions.account_manager.app import lambda_handler as account_manager
from functions.catalog_manager.app import lambda_handler as catalog_manager
from functions.quote_processor.app import lambda_handler as quote_processor
from quotekit import aws, database, secrets, storage
from quotekit.accounts import logo
from quotekit.batches import uploads
from quotekit.errors import ForbiddenError
from quotekit.operations.erasure import asking, catalogue, objects, receipts, rows, working
from quotekit.webhooks import applying
from quotekit.webhooks.model import Event
from quotekit.webhooks.repository import Delivery
from tests.conftest import Database, forget
from tests.erasing import Furnished, World
from tests.functions.conftest import (
    ACCOUNT,
    OTHER_USER,
    USER,
    Aws,
    Client,
    Issuer,
    LambdaContext,
    load_event,
)
from tests.vendors import aws as amazon
from tests.vendors import ses as mail_service
from tests.vendors.ses import Ses

type As = Callable[..., Client]

ERASE: Final = "/v1/account/erase"
NAME: Final = "Green Gardens"
OWNER: Final = "owner@example.com"
LATER: Final = 85  # minutes after the beginning, when nothing new can come
CUSTOMER: Final = (
    "insert into app.stripe_customers (id, account_id, claimed_at) values (%s, %s, now())"
)
SUBSCRIBED: Final = """
insert into app.subscriptions (account_id, plan_key, status, stripe_subscription_id,
    cancel_at_period_end)
values (%s, 'premium', %s, 'sub_1', %s)
"""
QUOTE: Final = {
    "client": {"name": "Grace", "email": "grace@example.com"},
    "line_items": [{"name": "Mowing", "quantity": "1", "unit_cost": "10"}],
}


class KilledError(Exception):
    """The worker's end, as far as what it has not committed is concerned."""


@pytest.fixture
def services(
    database: Database, aws_services: Aws, environment: pytest.MonkeyPatch
) -> Iterator[amazon.Aws]:
    """Versioned buckets as in the template, and the secrets of webhook endpoints."""
    for bucket in ("documents", "assets"):
        boto3.client("s3").put_bucket_versioning(
            Bucket=bucket, VersioningConfiguration={"Status": "Enabled"}
        )
    with amazon.serve() as server:
        environment.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", server.url)
        environment.setenv("AWS_REGION", amazon.REGION)
        environment.setenv("AWS_ACCESS_KEY_ID", amazon.KEY)
        environment.setenv("AWS_SECRET_ACCESS_KEY", amazon.SECRET_KEY)
        environment.setenv("WEBHOOK_SECRETS", "webhooks")
        secrets.forget()
        yield server
        secrets.forget()


@pytest.fixture
def ses(environment: pytest.MonkeyPatch, services: amazon.Aws) -> Iterator[Ses]:
    with mail_service.serve() as server:
        environment.setenv("AWS_ENDPOINT_URL_SESV2", server.url)
        aws.forget()
        yield server


@pytest.fixture
def world(database: Database) -> Iterator[World]:
    world = World(database.owner_url)
    yield world
    world.connection.close()


@pytest.fixture
def owner(database: Database) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database.owner_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def calls(services: amazon.Aws, issuer: Issuer) -> As:
    """A client of a door for a person in an account."""

    def client(
        user: UUID = USER, account: UUID = ACCOUNT, *, door: Any = lambda_handler, **claims: Any
    ) -> Client:
        return Client(door, issuer.token(user, account, **claims), "ANY /v1/account/erase")

    return client


@pytest.fixture
def gardens(calls: As) -> Client:
    """An account that is there, by its owner."""
    assert calls(door=quote_processor)("POST", "/v1/quotes", QUOTE).status == 201
    named = {"name": NAME, "version": 1}
    assert calls(door=account_manager)("PATCH", "/v1/account", named).status == 200
    return calls(email=OWNER, email_verified=True)


def request(account: UUID, recipient: str | None = OWNER) -> UUID:
    """An erasure whose days of grace are over."""
    erasure, moment = uuid4(), datetime.now(UTC) - timedelta(days=8)
    values = {"id": erasure, "account": account, "user": uuid4(), "recipient": recipient}
    moments = {"now": moment, "due_at": moment, "digest": asking.digest(account)}
    with database.transaction(database.SERVICE) as connection:
        connection.execute(asking.ASK, values | moments)
    return erasure


def tick(minutes: float, seconds: float = 60) -> dict[UUID, str]:
    """What a schedule would begin so many minutes from now."""
    now = datetime.now(UTC) + timedelta(minutes=minutes)
    return working.work(now, until=time.monotonic() + seconds)


def erase(account: UUID, recipient: str | None = OWNER) -> dict[str, Any]:
    """Erase an account from beginning to end: the row that stays."""
    erasure = request(account, recipient)
    stages = [tick(minutes)[erasure] for minutes in (0, 5, LATER)]
    assert stages == ["erasing", "erasing", "done"]
    return stored(erasure)


def stored(erasure: UUID) -> dict[str, Any]:
    with database.reading(database.SERVICE) as connection:
        query = "select to_jsonb(one) from ops.erasures as one where id = %(id)s"
        (row,) = connection.execute(query, {"id": erasure}).fetchone() or ({},)
    return dict(row)


def put(bucket: str, key: str, *contents: bytes) -> None:
    for content in contents:
        boto3.client("s3").put_object(Bucket=bucket, Key=key, Body=content)


def kept(bucket: str) -> list[str]:
    """The keys of all versions and markers in a bucket."""
    answer = boto3.client("s3").list_object_versions(Bucket=bucket)
    found = [*answer.get("Versions", ()), *answer.get("DeleteMarkers", ())]
    return sorted(item["Key"] for item in found)


# ---- asking --------------------------------------------------------------------------------------


def test_the_committed_event_finds_nothing_to_do(services: amazon.Aws) -> None:
    assert lambda_handler(load_event("account_eraser"), LambdaContext()) == {}


def test_an_owner_asks_looks_and_takes_it_back(gardens: Client, owner: Any) -> None:
    asked = gardens("POST", ERASE, {"confirm": NAME})
    seen = gardens("GET", ERASE)
    taken_back = gardens("DELETE", ERASE)

    assert asked.status == 202
    assert asked.json == seen.json
    assert asked.json["receipt_to"] == OWNER
    due_at = datetime.fromisoformat(asked.json["due_at"])
    assert due_at - datetime.fromisoformat(asked.json["requested_at"]) == timedelta(days=7)
    assert taken_back.status == 204
    assert gardens("GET", ERASE).status == 404
    assert gardens("DELETE", ERASE).status == 404
    actions = owner.execute("select action from app.audit_events where action like 'erasure%'")
    assert sorted(actions.fetchall()) == [("erasure.asked",), ("erasure.taken_back",)]


@pytest.mark.parametrize("confirm", [str(ACCOUNT), "Gardens Ltd"])
def test_the_id_or_the_companys_name_confirms_as_well(
    gardens: Client, owner: Any, confirm: str
) -> None:
    insert = "insert into app.company_settings (account_id, company_name) values (%s, %s)"
    owner.execute(insert, [ACCOUNT, "Gardens Ltd"])

    assert gardens("POST", ERASE, {"confirm": confirm}).status == 202


@pytest.mark.parametrize("confirm", ["green gardens", "", " ", "yes"])
def test_anything_else_does_not_confirm(gardens: Client, owner: Any, confirm: str) -> None:
    answer = gardens("POST", ERASE, {"confirm": confirm})

    assert answer.status == 422
    assert owner.execute("select from ops.erasures").fetchall() == []


def test_an_account_without_a_name_is_not_confirmed_by_none(calls: As) -> None:
    calls(door=quote_processor)("POST", "/v1/quotes", QUOTE)

    assert calls()("POST", ERASE, {"confirm": " "}).status == 422


@pytest.mark.parametrize("role", ["admin", "member", "viewer"])
def test_nobody_but_the_owner_asks_looks_or_takes_back(
    gardens: Client, calls: As, owner: Any, role: str
) -> None:
    owner.execute("insert into app.members values (%s, %s, %s)", [ACCOUNT, OTHER_USER, role])
    gardens("POST", ERASE, {"confirm": NAME})
    other = calls(OTHER_USER)

    answers = [
        other("POST", ERASE, {"confirm": NAME}),
        other("GET", ERASE),
        other("DELETE", ERASE),
    ]

    assert [answer.status for answer in answers] == [403, 403, 403]
    assert gardens("GET", ERASE).status == 200


def test_it_is_asked_for_once(gardens: Client) -> None:
    gardens("POST", ERASE, {"confirm": NAME})

    assert gardens("POST", ERASE, {"confirm": NAME}).status == 409


@pytest.mark.parametrize(
    ("status", "ends", "answer"),
    [
        *(("active", False, 409), ("past_due", False, 409)),
        *(("active", True, 202), ("canceled", False, 202)),
    ],
)
def test_a_subscription_that_is_charged_for_is_cancelled_first(
    gardens: Client, owner: Any, status: str, ends: bool, answer: int
) -> None:
    owner.execute(SUBSCRIBED, [ACCOUNT, status, ends])

    assert gardens("POST", ERASE, {"confirm": NAME}).status == answer


def test_who_subscribes_in_the_days_of_grace_is_not_erased(
    gardens: Client, owner: Any, calls: As
) -> None:
    gardens("POST", ERASE, {"confirm": NAME})
    owner.execute(SUBSCRIBED, [ACCOUNT, "active", False])
    owner.execute("update ops.erasures set due_at = now()")

    states = tick(1)

    assert list(states.values()) == ["waiting"]
    assert gardens("GET", ERASE).json["reason"] == asking.PAID_FOR
    assert calls(door=quote_processor)("GET", "/v1/quotes").status == 200


def test_nothing_happens_before_the_days_of_grace_are_over(gardens: Client, world: World) -> None:
    gardens("POST", ERASE, {"confirm": NAME})
    before = world.dump()

    states = tick(60 * 24 * 7 - 1)

    assert states == {}
    assert world.dump() == before


def test_no_address_at_all_is_said(calls: As) -> None:
    calls(door=quote_processor)("POST", "/v1/quotes", QUOTE)

    assert calls()("POST", ERASE, {"confirm": str(ACCOUNT)}).json["receipt_to"] is None


# ---- what goes -----------------------------------------------------------------------------------


def names(account: Furnished) -> list[str]:
    """What may stand nowhere afterwards: ids of the account and its people, and its mark."""
    return [str(account.account), str(account.user), account.mark]


def counted(world: World, account: Furnished) -> Counter[str]:
    """The account's rows by table, found by their text."""
    found = Counter[str]()
    for table, texts in world.dump().items():
        found[table] = sum(any(name in text for name in names(account)) for text in texts)
    return +found


def test_of_an_erased_account_no_row_of_any_table_is_left(
    world: World, services: amazon.Aws, ses: Ses
) -> None:
    mine, other = world.account("mine42"), world.account("other7")
    before, theirs = counted(world, mine), world.dump(without="mine42")
    gone = {str(mine.account), str(mine.user)}
    others = {
        table: [row for row in texts if not any(name in row for name in gone)]
        for table, texts in theirs.items()
    }
    tables = {table.name for table in doomed()} | {"ops.webhook_events", "app.accounts"}
    assert len(tables) > 50
    assert tables <= before.keys() | {"ops.webhook_redrive_items"}

    done = erase(mine.account)

    assert {name: world.naming(name) for name in names(mine)} == {name: {} for name in names(mine)}
    assert world.naming(OWNER) == {}
    deleted = Counter(done["receipt"]["rows"])
    assert +deleted == before | {"ops.webhook_redrive_items": 1}
    left = world.dump()
    items = "ops.webhook_redrive_items"  # rows of two ids, neither of the account
    assert len(others.pop(items)) - 1 == len(left.pop(items)) == 1
    assert left == others
    assert counted(world, other) == before


def doomed() -> list[catalogue.Doomed]:
    with database.reading(database.SERVICE) as connection:
        return catalogue.doomed(connection)


REFERRING: Final = """
select distinct near.relname, far.relname from pg_constraint
join pg_class as near on near.oid = conrelid join pg_class as far on far.oid = confrelid
where contype = 'f' and connamespace = any(array['app', 'ops']::regnamespace[])
"""


def test_whatever_refers_to_something_of_an_account_says_whose_it_is(
    database: Database, owner: Any
) -> None:
    known = {table.name.partition(".")[2] for table in doomed()}
    known |= {"accounts", "erasures", *(name.partition(".")[2] for name in rows.OF_EVENTS)}

    referring = owner.execute(REFERRING).fetchall()

    assert len(referring) > 60
    assert [pair for pair in referring if pair[1] in known and pair[0] not in known] == []


def test_a_new_table_is_in_the_next_erasure(world: World, services: amazon.Aws, ses: Ses) -> None:
    world.connection.execute("create table app.novelties (account_id uuid primary key, name text)")
    world.connection.execute("grant select, delete on app.novelties to service_role")
    mine = world.account("mine42")

    done = erase(mine.account)

    assert done["receipt"]["rows"]["app.novelties"] == 1
    assert world.naming("mine42") == {}


def test_killed_anywhere_it_resumes_and_counts_each_row_once(
    world: World, services: amazon.Aws, ses: Ses, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = world.account("mine42")
    before = counted(world, mine)
    monkeypatch.setattr(rows, "BATCH", 1)
    executed, deletions = rows.counted, iter(range(100_000))

    def dying(connection: Any, statement: Any, values: Any) -> int:
        """Dies in every third transaction, after the statement and before the commit."""
        count = executed(connection, statement, values)
        if next(deletions) % 3 == 2:
            raise KilledError
        return count

    monkeypatch.setattr(rows, "counted", dying)
    erasure = request(mine.account)
    deaths = 0
    for minute in range(1000):
        monkeypatch.setattr(rows, "BATCH", 1 if stored(erasure)["emptied_at"] is None else 1000)
        try:
            tick(minute)
        except KilledError:
            deaths += 1
        if deaths == 150 or stored(erasure)["status"] == "done":
            monkeypatch.setattr(rows, "counted", executed)
            monkeypatch.setattr(rows, "BATCH", 1000)
        if stored(erasure)["status"] == "done":
            break

    done = stored(erasure)
    assert deaths > 20
    assert done["status"] == "done"
    assert Counter(done["receipt"]["rows"]) == before | {"ops.webhook_redrive_items": 1}
    assert world.naming("mine42") == {}


WAITING: Final = """
select count(*) from pg_stat_activity
where datname = current_database() and wait_event_type = 'Lock'
"""


def test_of_two_workers_at_once_the_later_finds_what_the_earlier_leaves(
    gardens: Client, calls: As, owner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("Ada", "Alan"):
        calls(door=catalog_manager)("POST", "/v1/clients", {"name": name})
    monkeypatch.setenv("DATABASE_POOL_MAX", "2")
    forget()
    erasure = request(ACCOUNT)
    tick(0)
    statement = next(table for table in doomed() if table.name == "app.clients").deleting
    values = catalogue.values(erasure, ACCOUNT, 1)

    with ThreadPoolExecutor() as pool:
        with database.transaction(database.SERVICE) as connection:
            rows.counted(connection, statement, values)
            later = pool.submit(rows.delete, statement, values)
            while owner.execute(WAITING).fetchone() == (0,):
                time.sleep(0.01)
        assert later.result() == 1

    assert stored(erasure)["deleted_rows"]["app.clients"] == 2


def test_without_time_left_it_does_a_part_and_the_next_call_goes_on(
    world: World, services: amazon.Aws, ses: Ses, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = world.account("mine42")
    before = counted(world, mine)
    erasure = request(mine.account)
    tick(0)

    with monkeypatch.context() as patched:
        patched.setattr(rows, "BATCH", 1)
        later = datetime.now(UTC) + timedelta(minutes=5)
        working.advance(working.load(erasure), later, 0)  # collects
        went_on = working.advance(working.load(erasure), later, 0)
    part = sum(stored(erasure)["deleted_rows"].values())

    assert not went_on
    assert 0 < part < sum(before.values())


def test_a_real_account_goes_with_what_was_sent_and_its_chain_of_revisions(
    gardens: Client, calls: As, world: World, ses: Ses
) -> None:
    quotes = calls(door=quote_processor)
    sent = []
    for _ in range(2):
        quote = quotes("POST", "/v1/quotes", QUOTE).json["id"]
        assert quotes("POST", f"/v1/quotes/{quote}/send", {"channel": "email"}).status == 200
        sent.append(quote)
    from functions.quote_versions.app import lambda_handler as quote_versions

    revised = calls(door=quote_versions)("POST", f"/v1/quotes/{sent[0]}/revise").json["id"]
    quotes("POST", f"/v1/quotes/{revised}/send", {"channel": "link"})
    quotes("POST", f"/v1/quotes/{sent[1]}/accept", {})

    done = erase(ACCOUNT)

    counts = done["receipt"]["rows"]
    assert counts["app.quotes"] == 4
    assert counts["app.quote_versions"] == 4
    assert counts["app.audit_events"] > 4
    assert {name: world.naming(name) for name in (str(ACCOUNT), str(USER), NAME)} == {
        str(ACCOUNT): {},
        str(USER): {},
        NAME: {},
    }


def test_objects_go_with_all_their_versions_and_secrets_with_their_endpoints(
    world: World, services: amazon.Aws, ses: Ses, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, other = world.account("mine42"), world.account("other7")
    endpoint, job = (mine.named(str(place)) for place in (
        ("app.webhook_endpoints", "id"), ("app.batch_jobs", "id")
    ))  # fmt: skip
    services.give(f"webhooks/standard/{endpoint}", {"secrets": ["whsec_a"]})
    services.give("webhooks/standard/another", {"secrets": ["whsec_b"]})
    put("documents", f"accounts/{mine.account}/quotes/a.pdf", b"old", b"new")
    put("documents", f"accounts/{mine.account}/quotes/b.pdf", b"b")
    boto3.client("s3").delete_object(
        Bucket="documents", Key=f"accounts/{mine.account}/quotes/b.pdf"
    )
    put("documents", f"uploads/{mine.account}/{uuid4()}", b"c")
    put("documents", f"batches/{job}/result-1", b"d")
    put("assets", f"accounts/{mine.account}/logos/e", b"e")
    for key in (f"accounts/{other.account}/quotes/a.pdf", f"batches/{uuid4()}/result-1"):
        put("documents", key, b"theirs")

    def killed(bucket: str, page: Any) -> None:
        raise KilledError

    erasure = request(mine.account)
    tick(0)
    tick(5)
    with monkeypatch.context() as patched:
        patched.setattr(storage, "erase", killed)
        with pytest.raises(KilledError):
            tick(LATER)

    assert tick(LATER + 5) == {erasure: "done"}
    assert stored(erasure)["receipt"]["objects"] == {
        "documents/accounts": 3,
        "documents/uploads": 1,
        "assets/accounts": 1,
        "documents/batches": 1,
    }
    assert len(kept("documents")) == 2
    assert not any(str(mine.account) in key or str(job) in key for key in kept("documents"))
    assert kept("assets") == []
    assert list(services.secrets) == ["webhooks/standard/another"]


def test_nothing_can_be_uploaded_any_more_when_objects_are_deleted() -> None:
    forms = max(uploads.FORM_SECONDS, logo.UPLOAD_SECONDS)

    assert timedelta(seconds=forms) < working.SETTLED


def test_objects_that_another_worker_counts_are_left_to_it(
    world: World, services: amazon.Aws, ses: Ses
) -> None:
    mine = world.account("mine42")
    put("documents", f"accounts/{mine.account}/quotes/a.pdf", b"a")
    erasure = request(mine.account)
    tick(0)
    tick(5)
    mine_to_do = working.load(erasure)
    first = next(objects.places(mine_to_do))
    assert objects.note(mine_to_do, first, 1, "", f"{first.prefix}quotes/a.pdf")

    went_on = objects.clear(mine_to_do, time.monotonic() + 60)

    assert not went_on
    assert len(kept("documents")) == 1
    assert tick(LATER) == {erasure: "done"}
    assert stored(erasure)["receipt"]["objects"]["documents/accounts"] == 1


def test_thousands_of_versions_are_counted_once(
    world: World, services: amazon.Aws, ses: Ses
) -> None:
    mine = world.account("mine42")
    for number in range(1203):
        put("documents", f"accounts/{mine.account}/quotes/{number}.pdf", b"x")

    done = erase(mine.account)

    assert done["receipt"]["objects"]["documents/accounts"] == 1203
    assert kept("documents") == []


# ---- what cannot come back -----------------------------------------------------------------------


def test_its_tokens_are_refused_and_do_not_found_it_anew(
    gardens: Client, calls: As, owner: Any, ses: Ses
) -> None:
    quotes = calls(door=quote_processor)
    request(ACCOUNT)
    tick(0)
    while_erasing = [quotes("GET", "/v1/quotes"), quotes("POST", "/v1/quotes", QUOTE)]
    tick(5)
    tick(LATER)

    afterwards = [quotes("GET", "/v1/quotes"), quotes("POST", "/v1/quotes", QUOTE)]
    stranger = calls(OTHER_USER, door=quote_processor)("POST", "/v1/quotes", QUOTE)

    assert [answer.status for answer in while_erasing] == [403, 403]
    assert [answer.status for answer in afterwards] == [403, 403]
    assert afterwards[1].json["message"] == "This account was erased."
    assert stranger.status == 403
    assert owner.execute("select from app.accounts where id = %s", [ACCOUNT]).fetchall() == []


def test_nobody_joins_an_account_under_erasure(
    gardens: Client, calls: As, owner: Any, ses: Ses
) -> None:
    request(ACCOUNT)
    tick(0)

    join = "insert into app.members values (%(account)s, %(user)s, 'member')"
    with (
        pytest.raises(ForbiddenError, match="is being erased"),
        database.transaction(database.SERVICE) as connection,
    ):
        connection.execute(join, {"account": ACCOUNT, "user": OTHER_USER})


def stripe_event(body: dict[str, Any], **said: Any) -> Event:
    given = {"source": "stripe", "handler": "stripe", "type": "customer.updated"} | said
    return Event(
        event_id=f"evt_{uuid4().hex}", received_at=datetime.now(UTC), body=json.dumps(body), **given
    )


def test_what_is_told_of_it_later_is_dropped(world: World, services: amazon.Aws, ses: Ses) -> None:
    mine, other = world.account("mine42"), world.account("other7")
    endpoint = mine.named(str(("app.webhook_endpoints", "id")))
    erase(mine.account)
    said = {"object": "customer", "metadata": {"account_id": str(mine.account)}}
    customer = {"id": "cus_mine42"} | said
    events = [
        stripe_event({"type": "customer.updated", "data": {"object": customer}}),
        stripe_event({"type": "x", "account": "acct_mine42"}, type="x"),
        stripe_event({}, source="standard", endpoint_id=endpoint, account_id=mine.account),
        stripe_event({"data": {"object": {"customer": "cus_other7"}}}, type="x"),
    ]

    came = []
    for event in events:
        delivery = Delivery("webhooks", 1, datetime.now(UTC))
        with database.transaction(database.SERVICE) as connection:
            came.append(applying.apply(connection, event, delivery))

    assert came == ["duplicate", "duplicate", "duplicate", "ignored"]
    assert world.naming("mine42") == world.naming(str(mine.account)) == {}
    assert world.naming("cus_other7")["ops.webhook_events"] == 2
    assert other.mark in str(world.dump()["app.stripe_customers"])


def test_what_stripe_still_has_is_not_taken_over_again(
    world: World, services: amazon.Aws, ses: Ses
) -> None:
    mine = world.account("mine42")
    erase(mine.account)

    world.connection.execute("insert into app.stripe_customers (id) values ('cus_mine42')")
    world.connection.execute(
        """insert into app.stripe_subscriptions (id, customer_id, status, items, product_ids,
            cancel_at_period_end, created_at)
        values ('sub_1', 'cus_mine42', 'active', '[]', '{}', false, now())"""
    )
    world.connection.execute(
        """insert into app.payment_methods (id, customer_id, created_at)
        values ('pm_1', 'cus_mine42', now())"""
    )

    assert world.naming("cus_mine42") == {}


# ---- guards --------------------------------------------------------------------------------------

FROZEN: Final = "update app.quote_versions set frozen_at = now()"
GUARDED: Final = {
    "delete from app.quote_versions": "a sent version cannot be changed",
    "delete from app.quote_lines": "a sent version cannot be changed",
    "delete from app.members": "has an owner at any time",
}


@pytest.mark.parametrize("statement", GUARDED)
def test_the_guards_hold_for_the_house_where_nothing_is_erased(
    gardens: Client, owner: Any, statement: str
) -> None:
    owner.execute(FROZEN)
    gardens("POST", ERASE, {"confirm": NAME})  # waiting is not erasing

    with (
        pytest.raises(psycopg.DatabaseError, match=GUARDED[statement]),
        database.transaction(database.SERVICE) as connection,
    ):
        connection.execute(statement.encode())


def test_audit_rows_of_an_account_that_is_not_erased_stay(gardens: Client, owner: Any) -> None:
    gardens("POST", ERASE, {"confirm": NAME})
    other = uuid4()
    owner.execute(
        """insert into ops.erasures (id, account_id, account_sha256, status, requested_at, due_at,
            begun_at) values (%s, %s, repeat('0', 64), 'erasing', now(), now(), now())""",
        [uuid4(), other],
    )
    query = "select count(*) from app.audit_events where account_id = %s"
    before = owner.execute(query, [ACCOUNT]).fetchone()

    with database.transaction(database.SERVICE) as connection:
        connection.execute("delete from app.audit_events")

    assert before[0] > 0
    assert owner.execute(query, [ACCOUNT]).fetchone() == before


def test_the_owner_of_an_account_under_erasure_cannot_delete_what_was_sent(
    gardens: Client, owner: Any
) -> None:
    owner.execute(FROZEN)
    request(ACCOUNT)
    owner.execute("update ops.erasures set status = 'erasing', begun_at = now()")

    with (
        pytest.raises(psycopg.DatabaseError, match="a sent version cannot be changed"),
        database.transaction(
            database.Actor("authenticated", {"sub": str(USER), "account_id": str(ACCOUNT)})
        ) as connection,
    ):
        connection.execute("delete from app.quote_versions")


# ---- the receipt ---------------------------------------------------------------------------------


def test_the_owner_is_mailed_a_receipt_whose_digest_anybody_can_compute(
    gardens: Client, ses: Ses
) -> None:
    done = erase(ACCOUNT)

    (letter,) = ses.mails
    text = letter.get_body(("plain",)).get_content().replace("\r\n", "\n")
    receipt = json.loads(text.rstrip("\n").rpartition("\n")[2])
    assert letter["To"] == OWNER
    assert str(ACCOUNT) in text
    assert done["receipt_sha256"] in text
    assert receipt == done["receipt"]
    assert receipts.digest(receipt) == done["receipt_sha256"]
    assert receipt["account_sha256"] == asking.digest(ACCOUNT)
    assert receipt["not_erased"].keys() >= {"mails", "stripe", "backups", "logs"}
    assert done["mailed_at"] is not None
    assert (done["recipient"], done["account_id"], done["requested_by"]) == (None, None, None)


def test_a_mail_that_is_refused_ends_it_and_one_that_is_delayed_is_sent_later(
    gardens: Client, ses: Ses
) -> None:
    ses.failures = [(400, "TooManyRequestsException"), (400, "MessageRejected")]
    erasure = request(ACCOUNT)

    states = [tick(minutes)[erasure] for minutes in (0, 5, LATER, LATER + 5)]

    assert states == ["erasing", "erasing", "erasing", "done"]
    assert stored(erasure)["mail_reason"] == "SES: MessageRejected"
    assert stored(erasure)["mailed_at"] is None


def test_a_mail_service_that_is_away_is_not_waited_for_longer_than_a_day(
    gardens: Client, ses: Ses
) -> None:
    ses.failures = [(400, "TooManyRequestsException")] * 2
    erasure = request(ACCOUNT)

    states = [tick(minutes)[erasure] for minutes in (0, 5, LATER, LATER + 24 * 60)]

    assert states[2:] == ["erasing", "done"]
    assert stored(erasure)["mail_reason"] == "SES: TooManyRequestsException"


def test_without_an_address_the_receipt_says_so(gardens: Client, ses: Ses) -> None:
    done = erase(ACCOUNT, recipient=None)

    assert done["mail_reason"] == working.NO_ADDRESS
    assert ses.mails == []


def test_admins_read_receipts_and_nobody_else(
    gardens: Client, calls: As, owner: Any, ses: Ses
) -> None:
    done = erase(ACCOUNT)
    admin = uuid4()
    owner.execute("insert into app.user_roles (user_id, role) values (%s, 'admin')", [admin])
    ask = calls(admin, admin)

    listed = ask("GET", "/v1/erasures").json
    found = ask("GET", "/v1/erasures", query=f"account_sha256={asking.digest(ACCOUNT)}").json
    nothing = ask("GET", "/v1/erasures", query=f"account_sha256={'0' * 64}").json

    assert [row["receipt_sha256"] for row in listed["data"]] == [done["receipt_sha256"]]
    assert found == listed
    assert receipts.digest(found["data"][0]["receipt"]) == done["receipt_sha256"]
    assert nothing["data"] == []
    assert calls(OTHER_USER, OTHER_USER)("GET", "/v1/erasures").status == 403


def test_one_that_fails_does_not_keep_the_others_waiting(
    world: World, services: amazon.Aws, ses: Ses, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (request(world.account(mark).account) for mark in ("mine42", "other7"))
    begin, failing = rows.begin, list[UUID]()

    def fails_once(erasure: Any, now: datetime) -> None:
        if not failing:
            failing.append(erasure.id)
            raise KilledError
        begin(erasure, now)

    monkeypatch.setattr(rows, "begin", fails_once)
    with pytest.raises(KilledError):
        tick(0)

    assert tick(5) == {first: "erasing", second: "erasing"}
