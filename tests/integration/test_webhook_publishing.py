"""Rules and tenants' endpoints: rows here, documents where the handler reads them."""

import json
import threading
import time
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.rows import dict_row

from quotekit import auth, exchange, secrets
from quotekit import database as databases
from quotekit.errors import (
    ConflictError,
    InvalidInputError,
    NotFoundError,
    ServiceUnavailableError,
    StaleVersionError,
)
from quotekit.webhooks import endpoints, issuing, keyring, publishing, routing, rules
from quotekit.webhooks.endpoints import EndpointChange, EndpointCreate, SecretRotate
from quotekit.webhooks.rules import RuleBody, Rules
from quotekit.webhooks.signatures import Keys
from tests.conftest import Database
from tests.vendors import aws as vendor
from tests.vendors.aws import Aws

PUBLISHED = "/documents/routing/webhooks.json"
PREFIX = "quotekit/local/webhooks/standard"
PUBLIC_KEY = "whpk_" + "A" * 43 + "="
ADMIN = auth.principal({"sub": str(uuid4()), "account_id": str(uuid4())})
ALICE = auth.principal({"sub": str(uuid4()), "account_id": str(uuid4())})
BOB = auth.principal({"sub": str(uuid4()), "account_id": str(uuid4())})


@pytest.fixture
def aws(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    variables = {
        "AWS_REGION": vendor.REGION,
        "AWS_ACCESS_KEY_ID": vendor.KEY,
        "AWS_SECRET_ACCESS_KEY": vendor.SECRET_KEY,
        "ROUTING_BUCKET": "documents",
        "ROUTING_KEY": "routing/webhooks.json",
        "WEBHOOK_SECRETS": "quotekit/local/webhooks",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(exchange, "PAUSE", 0)
    with vendor.serve() as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        secrets.forget()
        routing.forget()
        keyring.forget()
        yield server
        secrets.forget()
        routing.forget()
        keyring.forget()


def rule(**changes: Any) -> RuleBody:
    return RuleBody(**({"source": "stripe", "queue": "critical", "handler": "stripe"} | changes))


def replace(*given: RuleBody, version: int | None = None) -> rules.Version:
    with databases.transaction(databases.SERVICE) as connection:
        return rules.replace_rules(connection, Rules(rules=list(given), version=version), ADMIN)


def stored() -> list[rules.StoredRule]:
    with databases.reading(databases.SERVICE) as connection:
        return rules.list_rules(connection)


def audited(database: Database, object_id: UUID) -> list[str]:
    query = "select action from app.audit_events where object_id = %s order by occurred_at, id"
    with psycopg.connect(database.owner_url, row_factory=dict_row) as connection:
        return [row["action"] for row in connection.execute(query, [object_id])]


def test_the_defaults_of_the_handler_are_the_rows_of_the_migration(aws):
    found = {
        routing.Rule(**{name: getattr(row, name) for name in routing.Rule._fields})
        for row in stored()
    }

    assert found == set(routing.DEFAULTS)
    assert publishing.publish() is None  # nothing to publish: the handler has them


def test_published_rules_are_what_the_handler_follows(aws, database):
    version = replace(rule(), rule(type="invoice.*", queue="bulk", debounce_seconds=7))

    published = publishing.publish()
    found = routing.current(time.time())

    assert published is not None
    assert published.published_at is not None
    assert (published.version, found.version) == (version.version, version.version)
    assert found.rule("stripe", "invoice.paid", None, 1).queue == "bulk"
    assert found.rule("stripe", "invoice.paid", None, 1).debounce_seconds == 7
    assert found.rule("stripe", "charge.refunded", None, 1).queue == "critical"
    assert audited(database, rules.ROUTING) == ["webhook_routing.replaced"]


def test_rules_made_from_an_older_version_are_refused(aws):
    first = replace(rule(), version=0)
    second = replace(rule(queue="bulk"), version=first.version)

    with pytest.raises(StaleVersionError):
        replace(rule(), version=first.version)

    assert [row.queue for row in stored()] == ["bulk"]
    assert second.version > first.version


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ([rule(), rule(queue="bulk")], "rules.1"),
        ([rule(), rule(source="paypal")], "rules.1.source"),
        ([rule(handler="nobody")], "rules.0.handler"),
        ([rule(type="a\x00b")], "rules.0.type"),
    ],
)
def test_wrong_rules_are_named_and_nothing_is_changed(aws, given, field):
    before = stored()

    with pytest.raises(InvalidInputError) as caught:
        replace(*given)

    assert [detail["field"] for detail in caught.value.details] == [field]
    assert stored() == before


def test_rules_s3_does_not_take_are_stored_and_published_by_the_next_attempt(aws):
    version = replace(rule())
    aws.trouble("s3", *["error"] * exchange.ATTEMPTS)

    with pytest.raises(ServiceUnavailableError):
        publishing.publish()
    with databases.reading(databases.SERVICE) as connection:
        waiting = rules.newest(connection)
    published = publishing.publish()

    assert waiting is not None
    assert waiting.published_at is None
    assert published is not None
    assert published.version == version.version


def test_of_two_publications_that_cross_the_newer_rules_win(aws, monkeypatch):
    replace(rule(queue="bulk"))
    put = exchange.put
    crossed: list[bool] = []

    def late(*arguments: Any, **options: Any) -> None:
        """The first publication stores its rules after somebody else published newer ones."""
        if not crossed:
            crossed.append(True)
            replace(rule(queue="standard"))
            publishing.publish()
        put(*arguments, **options)

    monkeypatch.setattr(exchange, "put", late)

    publishing.publish()

    assert json.loads(aws.objects[PUBLISHED])["rules"][0]["queue"] == "standard"


def test_two_administrators_at_once_leave_the_rules_of_one(aws):
    barrier = threading.Barrier(2)

    def change(queue: str) -> None:
        barrier.wait()
        replace(rule(queue=queue), rule(type="invoice.*", queue=queue))

    threads = [threading.Thread(target=change, args=(queue,)) for queue in ("bulk", "standard")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    with databases.reading(databases.SERVICE) as connection:
        newest = rules.newest(connection)
    assert newest is not None
    assert {row.queue for row in stored()} == {newest.document["rules"][0]["queue"]}


# --- tenants' endpoints -------------------------------------------------------------------------


def live(endpoint_id: UUID, now: float | None = None) -> list[str]:
    """The secrets the handler would accept."""
    moment = now or time.time()
    keyring.forget()
    document = keyring.held(keyring.name("standard", str(endpoint_id)), moment)
    return list(Keys.of(document or {}, moment).secrets)


def test_a_new_endpoint_has_a_secret_the_handler_reads_and_the_database_does_not_know(
    aws, database
):
    issued = issuing.create_endpoint(ALICE, EndpointCreate(name="CRM"))

    document = json.loads(aws.secrets[f"{PREFIX}/{issued.endpoint.id}"])
    assert issued.secret is not None
    assert live(issued.endpoint.id) == [issued.secret]
    assert document["account_id"] == str(ALICE.account_id)
    assert issued.endpoint.published_at is not None
    assert audited(database, issued.endpoint.id) == ["webhook_endpoint.created"]
    with psycopg.connect(database.owner_url) as connection:
        everything = connection.execute(
            "select e::text || a::text from app.webhook_endpoints e, app.audit_events a"
        ).fetchall()
    assert issued.secret not in str(everything)


def test_a_rotated_secret_leaves_the_older_one_good_for_a_while(aws):
    first = issuing.create_endpoint(ALICE, EndpointCreate())

    second = issuing.rotate_secret(ALICE, first.endpoint.id, SecretRotate(overlap_seconds=3600))

    now = time.time()
    assert live(first.endpoint.id, now + 3590) == [second.secret, first.secret]
    assert live(first.endpoint.id, now + 3610) == [second.secret]


def test_an_endpoint_that_is_off_accepts_nothing_until_it_is_on(aws, database):
    issued = issuing.create_endpoint(ALICE, EndpointCreate())

    off = issuing.change_endpoint(ALICE, issued.endpoint.id, EndpointChange(enabled=False))
    while_off = live(issued.endpoint.id)
    on = issuing.change_endpoint(ALICE, issued.endpoint.id, EndpointChange(enabled=True))

    assert (off.enabled, while_off) == (False, [])
    assert (on.enabled, live(issued.endpoint.id)) == (True, [issued.secret])
    assert audited(database, issued.endpoint.id)[1:] == [
        "webhook_endpoint.disabled",
        "webhook_endpoint.enabled",
    ]


def test_a_public_key_is_published_as_it_is(aws):
    issued = issuing.create_endpoint(ALICE, EndpointCreate(scheme="ed25519", public_key=PUBLIC_KEY))

    assert issued.secret is None
    assert live(issued.endpoint.id) == [PUBLIC_KEY]
    with pytest.raises(InvalidInputError):
        issuing.rotate_secret(ALICE, issued.endpoint.id, SecretRotate())


def test_another_account_can_neither_see_nor_touch_an_endpoint(aws):
    issued = issuing.create_endpoint(ALICE, EndpointCreate())

    with databases.reading(BOB.actor) as connection:
        assert endpoints.list_endpoints(connection).data == []
    with pytest.raises(NotFoundError):
        issuing.rotate_secret(BOB, issued.endpoint.id, SecretRotate())
    with pytest.raises(NotFoundError):
        issuing.change_endpoint(BOB, issued.endpoint.id, EndpointChange(enabled=False))
    assert live(issued.endpoint.id) == [issued.secret]


def test_an_endpoint_whose_secret_could_not_be_stored_is_mended_by_rotating(aws):
    aws.trouble("secretsmanager", *["error"] * exchange.ATTEMPTS)
    with pytest.raises(ServiceUnavailableError):
        issuing.create_endpoint(ALICE, EndpointCreate())
    with databases.reading(ALICE.actor) as connection:
        (waiting,) = endpoints.list_endpoints(connection).data

    issued = issuing.rotate_secret(ALICE, waiting.id, SecretRotate())

    assert waiting.published_at is None
    assert live(waiting.id) == [issued.secret]


def test_of_two_rotations_at_once_only_one_tells_a_secret(aws, monkeypatch):
    issued = issuing.create_endpoint(ALICE, EndpointCreate())
    store = publishing.publish_secret
    crossed: list[issuing.Issued] = []

    def overtaken(*arguments: Any) -> None:
        store(*arguments)
        if not crossed:
            monkeypatch.setattr(publishing, "publish_secret", store)
            crossed.append(issuing.rotate_secret(ALICE, issued.endpoint.id, SecretRotate()))

    monkeypatch.setattr(publishing, "publish_secret", overtaken)

    with pytest.raises(ConflictError):
        issuing.rotate_secret(ALICE, issued.endpoint.id, SecretRotate())

    assert live(issued.endpoint.id)[0] == crossed[0].secret


def test_an_account_has_only_so_many_endpoints(aws, monkeypatch):
    monkeypatch.setattr(endpoints, "MOST_ENDPOINTS", 1)
    issuing.create_endpoint(ALICE, EndpointCreate())

    with pytest.raises(ConflictError):
        issuing.create_endpoint(ALICE, EndpointCreate())
