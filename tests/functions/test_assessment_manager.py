"""HTTP /v1/properties, /v1/assessments and /v1/assessment-rules through their door."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from threading import Barrier
from typing import Any, Final
from uuid import UUID, uuid4

import psycopg
import pytest

from functions.assessment_manager.app import lambda_handler
from functions.catalog_manager.app import lambda_handler as catalog_handler
from functions.quote_processor.app import lambda_handler as quote_handler
from quotekit import api
from quotekit import database as db
from quotekit.assessments import quoting
from quotekit.database import Actor
from tests.conftest import Database, forget
from tests.functions.conftest import ACCOUNT, OTHER_USER, USER, Aws, Client, Issuer

FOUND: Final[dict[str, Any]] = {
    "lawn_condition": "poor",
    "soil_condition": "clay",
    "weed_percent": "30",
    "complexity": 6,
    "slope_percent": "12.5",
    "obstacle_count": 30,
}
PLACE: Final = {
    "service_address": "12 Harbour Street\nNewport",
    "lot_area_sqft": "9000",
    "lawn_area_sqft": "5000",
    "access": "limited",
    "gate_code": "1234#",
}


@pytest.fixture
def door(database: Database, aws_services: Aws, issuer: Issuer) -> Client:
    return Client(lambda_handler, issuer.token(USER, ACCOUNT), "ANY /v1/assessments")


@pytest.fixture
def stranger(door: Client, issuer: Issuer) -> Client:
    return Client(lambda_handler, issuer.token(OTHER_USER), door.route)


@pytest.fixture
def catalog(door: Client) -> Client:
    return Client(catalog_handler, door.token, "ANY /v1/clients")


@pytest.fixture
def quotes(door: Client) -> Client:
    return Client(quote_handler, door.token, "ANY /v1/quotes")


@pytest.fixture
def place(door: Client, catalog: Client) -> dict[str, Any]:
    client = post(catalog, "/v1/clients", {"name": "Grace Hopper", "email": "grace@example.com"})
    return post(door, "/v1/properties", PLACE | {"client_id": client["id"]})


def post(client: Client, path: str, body: Any = None) -> dict[str, Any]:
    answer = client("POST", path, body)
    assert answer.status in {200, 201}, answer.text
    made: dict[str, Any] = answer.json
    return made


def patch(client: Client, path: str, thing: dict[str, Any], **said: Any) -> dict[str, Any]:
    answer = client("PATCH", f"{path}/{thing['id']}", said | {"version": thing["version"]})
    assert answer.status == 200, answer.text
    changed: dict[str, Any] = answer.json
    return changed


def assessed(door: Client, place: dict[str, Any], **found: Any) -> dict[str, Any]:
    return post(door, "/v1/assessments", {"property_id": place["id"]} | found)


def completed(door: Client, place: dict[str, Any], **found: Any) -> dict[str, Any]:
    made = assessed(door, place, **found)
    for status in ("in_progress", "completed"):
        made = patch(door, "/v1/assessments", made, status=status)
    return made


def select(database: Database, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    with psycopg.connect(database.owner_url, autocommit=True) as connection:
        return connection.execute(statement.encode(), values).fetchall()


def test_a_completed_assessment_becomes_one_draft_whose_prices_are_explained(
    door: Client, quotes: Client, place: dict[str, Any], database: Database
) -> None:
    made = completed(door, place, **FOUND)

    answer = post(door, f"/v1/assessments/{made['id']}/quote")

    # 5000 at 0.50, then 1.4, 1.3, 1.2, 1.3, 1.1 and 1.1, each rounded to the cent
    work, fee = answer["charges"]
    assert [step["after"] for step in work["steps"]] == [
        *("2500.00", "3500.00", "4550.00", "5460.00", "7098.00", "7807.80", "8588.58")
    ]
    assert work["price"] == "8588.58"
    assert [(step["found"], step["amount"]) for step in fee["steps"]] == [("limited", "100")]
    quote = quotes("GET", f"/v1/quotes/{answer['quote']['id']}").json
    assert quote == answer["quote"]
    assert (quote["status"], quote["total"], quote["number"]) == ("draft", "8688.58", None)
    assert [line["name"] for line in quote["line_items"]] == ["Lawn work by area", "Limited access"]
    assert quote["client_id"] == place["client_id"]
    assert answer["created"] is True
    actions = "select action from app.audit_events where object_id = %s order by occurred_at, id"
    assert [row[0] for row in select(database, actions, made["id"])] == [
        *("assessment.created", "assessment.changed", "assessment.changed", "assessment.quoted")
    ]


def test_assessment_and_quote_lead_to_each_other(door: Client, place: dict[str, Any]) -> None:
    made = completed(door, place, **FOUND)
    quote = post(door, f"/v1/assessments/{made['id']}/quote")["quote"]

    assert door("GET", f"/v1/assessments/{made['id']}").json["quote_id"] == quote["id"]
    (found,) = door("GET", "/v1/assessments", query=f"quote_id={quote['id']}").json["data"]
    assert found["id"] == made["id"]
    read = door("GET", f"/v1/assessments/{made['id']}/quote").json
    assert (read["quote"]["id"], read["created"]) == (quote["id"], False)


def test_a_second_request_gives_the_same_quote_and_a_deleted_draft_makes_room_for_another(
    door: Client, quotes: Client, place: dict[str, Any]
) -> None:
    path = f"/v1/assessments/{completed(door, place, **FOUND)['id']}/quote"
    first = post(door, path)

    again = post(door, path)

    assert again == first | {"created": False}
    assert quotes("DELETE", f"/v1/quotes/{first['quote']['id']}").status == 204
    other = post(door, path)
    assert other["created"]
    assert other["quote"]["id"] != first["quote"]["id"]


def test_requests_at_once_make_one_quote(
    door: Client, place: dict[str, Any], database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"/v1/assessments/{completed(door, place, **FOUND)['id']}/quote"
    monkeypatch.setenv("DATABASE_POOL_MAX", "8")
    forget()
    barrier = Barrier(6)

    def ask(_: int) -> dict[str, Any]:
        claims = {"sub": str(USER), "account_id": str(ACCOUNT)}
        barrier.wait()
        with db.transaction(Actor("authenticated", claims)) as connection:
            found = quoting.quote(connection, UUID(path.split("/")[3]))
        return {"id": found.quote.id, "created": found.created}

    with ThreadPoolExecutor(6) as threads:
        found = list(threads.map(ask, range(6)))

    assert len({one["id"] for one in found}) == 1
    assert sum(one["created"] for one in found) == 1
    assert select(database, "select count(*) from app.quotes") == [(1,)]


def test_the_price_is_calculated_by_the_one_calculator_and_nothing_is_stored(
    door: Client, quotes: Client, place: dict[str, Any], database: Database
) -> None:
    made = assessed(door, place, **FOUND, markup_rate="25", manual_estimate="11000")

    told = post(door, f"/v1/assessments/{made['id']}/pricing")

    lines = [
        {"name": charge["name"], "quantity": 1, "unit_cost": charge["price"]}
        for charge in told["charges"]
    ]
    same = post(quotes, "/v1/quotes/calculate", {"markup_rate": "25", "line_items": lines})
    assert told["total"] == told["calculation"]["total"] == same["total"] == "10860.73"
    assert told["comparison"] == {
        "manual_estimate": "11000",
        "calculated_total": "10860.73",
        "variance_amount": "-139.27",
        "variance_percent": "-1.27",
    }
    assert told["missing"] == []
    assert select(database, "select count(*) from app.quotes") == [(0,)]
    assert select(database, "select count(*) from app.assessment_quotes") == [(0,)]


@pytest.mark.parametrize(
    ("estimate", "expected", "reason"),
    [
        (None, None, "the assessment has no manual_estimate"),
        ("0", {"variance_amount": "8688.58", "variance_percent": None}, None),
        ("8688.58", {"variance_amount": "0.00", "variance_percent": "0.00"}, None),
    ],
)
def test_a_comparison_says_what_it_cannot_know(
    door: Client, place: dict[str, Any], estimate: str | None, expected: Any, reason: str | None
) -> None:
    made = assessed(door, place, **FOUND, manual_estimate=estimate)

    told = post(door, f"/v1/assessments/{made['id']}/pricing")

    assert told["comparison_reason"] == reason
    assert told["comparison"] == expected or expected.items() <= told["comparison"].items()


def test_what_nobody_looked_at_leaves_the_price_open_and_is_named(
    door: Client, catalog: Client
) -> None:
    client = post(catalog, "/v1/clients", {"name": "Ada"})
    bare = post(
        door, "/v1/properties", {"client_id": client["id"], "service_address": "1 Elm Street"}
    )
    made = completed(door, bare, lawn_condition="healthy", manual_estimate="5")

    told = post(door, f"/v1/assessments/{made['id']}/pricing")

    inputs = [one["input"] for one in told["missing"]]
    assert inputs == [
        *("area_sqft", "soil_condition", "weed_percent", "complexity", "slope_percent"),
        *("obstacle_count", "access"),
    ]
    assert (told["total"], told["calculation"], told["charges"]) == (None, None, [])
    assert told["comparison"] is None
    assert told["comparison_reason"] == "there is no calculated total to compare with"
    refused = door("POST", f"/v1/assessments/{made['id']}/quote")
    assert refused.status == 409
    assert [one["field"] for one in refused.json["details"]] == inputs


def test_a_rule_without_condition_makes_a_finding_needless(
    door: Client, place: dict[str, Any]
) -> None:
    found = {name: value for name, value in FOUND.items() if name != "soil_condition"}
    made = assessed(door, place, **found)
    path = f"/v1/assessments/{made['id']}/pricing"
    assert [one["input"] for one in post(door, path)["missing"]] == ["soil_condition"]

    rule = {"factor": "soil_condition", "kind": "multiplier", "amount": 1, "label": "Any soil"}
    post(door, "/v1/assessment-rules", rule)

    told = post(door, path)
    assert told["missing"] == []
    step = next(s for s in told["charges"][0]["steps"] if s["factor"] == "soil_condition")
    assert (step["found"], step["difference"]) == (None, "0.00")


def test_an_account_of_another_currency_has_no_price_until_it_makes_its_own_rules(
    door: Client, catalog: Client, place: dict[str, Any]
) -> None:
    settings = catalog("GET", "/v1/company-settings").json
    change = {"currency": "EUR", "version": settings["version"]}
    assert catalog("PATCH", "/v1/company-settings", change).status == 200
    path = f"/v1/assessments/{assessed(door, place, **FOUND)['id']}/pricing"

    assert [one["input"] for one in post(door, path)["missing"]] == ["rules.area", "rules.access"]

    euros = {"kind": "per_sqft", "amount": "0.45", "currency": "EUR", "label": "Fläche"}
    post(door, "/v1/assessment-rules", euros | {"factor": "area"})
    fee = euros | {"kind": "flat_fee", "factor": "access", "value": "limited", "amount": "80"}
    post(door, "/v1/assessment-rules", fee)
    told = post(door, path)
    assert (told["currency"], told["charges"][0]["steps"][0]["after"]) == ("EUR", "2250.00")
    assert told["charges"][1]["price"] == "80.00"


RULE: Final[dict[str, Any]] = {
    "factor": "weed_percent",
    "kind": "percentage",
    "range_from": "20",
    "range_to": "40",
    "amount": "33.5",
    "label": "Our weeds",
}


def test_a_rule_of_the_account_stands_before_the_default_for_its_values_only(
    door: Client, place: dict[str, Any], stranger: Client
) -> None:
    rule = post(door, "/v1/assessment-rules", RULE)

    def step(weeds: str) -> dict[str, Any]:
        made = assessed(door, place, **FOUND | {"weed_percent": weeds})
        told = post(door, f"/v1/assessments/{made['id']}/pricing")
        (found,) = (s for s in told["charges"][0]["steps"] if s["factor"] == "weed_percent")
        one: dict[str, Any] = found
        return one

    assert step("20")["rule_id"] == step("39.99")["rule_id"] == rule["id"]
    assert (step("40")["label"], step("40")["amount"]) == ("Many weeds", "1.2")
    ids = {one["id"] for one in stranger("GET", "/v1/assessment-rules").json["data"]}
    assert rule["id"] not in ids
    assert stranger("GET", f"/v1/assessment-rules/{rule['id']}").status == 404
    assert stranger("DELETE", f"/v1/assessment-rules/{rule['id']}").status == 404
    assert door("DELETE", f"/v1/assessment-rules/{rule['id']}").status == 204
    assert step("20")["label"] == "Some weeds"


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({"range_from": "39.99", "range_to": "50"}, 409),
        ({"range_from": None, "range_to": None}, 409),
        ({"range_from": "40", "range_to": "50"}, 201),
        ({"range_to": "20", "range_from": None}, 201),
        ({"range_from": "50", "range_to": "50"}, 422),
        ({"value": "poor"}, 422),
        ({"kind": "flat_fee"}, 422),
        ({"currency": "USD"}, 422),
        ({"kind": "multiplier", "amount": "0"}, 422),
        ({"kind": "multiplier", "amount": "101"}, 422),
        ({"amount": "-100"}, 422),
        ({"factor": "lawn_condition"}, 422),
        ({"factor": "area", "range_from": None, "range_to": None}, 422),
        ({"factor": "luck"}, 422),
        ({"kind": "flat_fee", "currency": "USD", "amount": "-1"}, 422),
    ],
)
def test_rules_that_overlap_or_make_no_sense_are_refused(
    door: Client, said: dict[str, Any], status: int
) -> None:
    post(door, "/v1/assessment-rules", RULE)

    answer = door("POST", "/v1/assessment-rules", RULE | said)

    assert answer.status == status, answer.text


def test_two_overlapping_rules_at_once_are_one_rule(door: Client, database: Database) -> None:
    post(door, "/v1/assessment-rules", RULE | {"range_from": "90", "range_to": "91"})
    with (
        psycopg.connect(database.owner_url) as first,
        psycopg.connect(database.owner_url) as second,
    ):
        insert = b"""insert into app.assessment_rules (id, account_id, factor, kind, amount, label)
            values (gen_random_uuid(), %s, 'complexity', 'multiplier', 2, 'Any')"""
        first.execute(insert, [ACCOUNT])
        with ThreadPoolExecutor(1) as thread:
            waiting = thread.submit(second.execute, insert, [ACCOUNT])
            assert not waiting.done()
            first.commit()
            with pytest.raises(psycopg.DatabaseError, match="another of your rules"):
                waiting.result(timeout=10)


def test_a_default_stays_as_it_is(door: Client) -> None:
    default = door("GET", "/v1/assessment-rules", query="factor=area").json["data"][0]

    path = f"/v1/assessment-rules/{default['id']}"

    assert default["is_default"]
    assert door("PATCH", path, {"amount": "9", "version": 1}).status == 409
    assert door("DELETE", path).status == 409
    assert door("GET", path).json == default


def test_a_rule_is_changed_whole_or_not(door: Client) -> None:
    rule = post(door, "/v1/assessment-rules", RULE)
    path = f"/v1/assessment-rules/{rule['id']}"

    refused = door("PATCH", path, {"range_to": "20", "version": 1})
    changed = patch(door, "/v1/assessment-rules", rule, range_to="25")

    assert refused.status == 422
    assert changed == rule | {
        "range_to": "25",
        "version": 2,
        "updated_at": changed["updated_at"],
    }
    assert door("PATCH", path, {"amount": "1", "version": 1}).status == 409


def test_rules_come_by_pages(door: Client) -> None:
    found, cursor = [], ""
    while True:
        page = door("GET", "/v1/assessment-rules", query=f"limit=10{cursor}").json
        found += page["data"]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"

    assert len(found) == len({rule["id"] for rule in found}) == 27
    assert [rule["factor"] for rule in found] == sorted(rule["factor"] for rule in found)


STATES: Final = ("scheduled", "in_progress", "completed", "reviewed", "requires_followup")
ALLOWED: Final = {
    "scheduled": {"in_progress"},
    "in_progress": {"scheduled", "completed", "requires_followup"},
    "completed": {"reviewed", "requires_followup"},
    "reviewed": {"requires_followup"},
    "requires_followup": {"scheduled", "in_progress"},
}
WAY: Final = {
    "scheduled": (),
    "in_progress": ("in_progress",),
    "completed": ("in_progress", "completed"),
    "reviewed": ("in_progress", "completed", "reviewed"),
    "requires_followup": ("in_progress", "requires_followup"),
}


@pytest.mark.parametrize("state", STATES)
def test_an_assessment_takes_only_the_steps_there_are(
    door: Client, place: dict[str, Any], state: str
) -> None:
    for status in STATES:
        made = assessed(door, place)
        for step in WAY[state]:
            made = patch(door, "/v1/assessments", made, status=step)
        change = {"status": status, "version": made["version"]}

        answer = door("PATCH", f"/v1/assessments/{made['id']}", change)

        allowed = status == state or status in ALLOWED[state]
        assert answer.status == (200 if allowed else 409), (state, status)
        if allowed:
            is_done = status in {"completed", "reviewed"}
            assert (answer.json["completed_at"] is not None) == is_done


@pytest.mark.parametrize("state", ["scheduled", "in_progress", "requires_followup"])
def test_only_a_completed_assessment_becomes_a_quote(
    door: Client, place: dict[str, Any], state: str
) -> None:
    made = assessed(door, place, **FOUND)
    for step in WAY[state]:
        made = patch(door, "/v1/assessments", made, status=step)

    assert door("POST", f"/v1/assessments/{made['id']}/quote").status == 409


def test_the_explanation_stays_as_it_was_when_rules_and_findings_change(
    door: Client, place: dict[str, Any]
) -> None:
    made = completed(door, place, **FOUND)
    first = post(door, f"/v1/assessments/{made['id']}/quote")

    post(door, "/v1/assessment-rules", RULE)
    patch(door, "/v1/assessments", made, weed_percent="90")

    assert door("GET", f"/v1/assessments/{made['id']}/quote").json["charges"] == first["charges"]
    assert door("DELETE", f"/v1/assessments/{made['id']}").status == 409


def test_another_account_sees_and_touches_nothing(
    door: Client, stranger: Client, place: dict[str, Any]
) -> None:
    made = completed(door, place, **FOUND)
    paths = [f"/v1/properties/{place['id']}", f"/v1/assessments/{made['id']}"]

    for path in paths:
        assert stranger("GET", path).status == 404
        assert stranger("PATCH", path, {"notes": "mine", "version": 1}).status == 404
        assert stranger("DELETE", path).status == 404
    assert stranger("POST", f"{paths[1]}/pricing").status == 404
    assert stranger("POST", f"{paths[1]}/quote").status == 404
    assert stranger("POST", "/v1/assessments", {"property_id": place["id"]}).status == 422
    body = PLACE | {"client_id": place["client_id"]}
    assert stranger("POST", "/v1/properties", body).status == 422
    for kind in ("properties", "assessments"):
        assert stranger("GET", f"/v1/{kind}").json["data"] == []


def test_properties_and_assessments_come_by_pages_the_newest_first(
    door: Client, place: dict[str, Any]
) -> None:
    made = [assessed(door, place)["id"] for _ in range(5)]

    first = door("GET", "/v1/assessments", query="limit=3").json
    second = door("GET", "/v1/assessments", query=f"limit=3&cursor={first['next_cursor']}").json

    assert [one["id"] for one in first["data"] + second["data"]] == made[::-1]
    assert second["next_cursor"] is None
    other = door("GET", "/v1/properties", query=f"client_id={uuid4()}").json["data"]
    own = door("GET", "/v1/properties", query=f"client_id={place['client_id']}").json["data"]
    assert (other, own) == ([], [place])


def test_a_property_is_changed_by_its_version_and_deleted_while_nothing_was_found_there(
    door: Client, place: dict[str, Any]
) -> None:
    path = f"/v1/properties/{place['id']}"
    changed = patch(door, "/v1/properties", place, lawn_area_sqft="8999.99", gate_code=None)
    assert (changed["lawn_area_sqft"], changed["gate_code"]) == ("8999.99", None)
    assert door("PATCH", path, {"notes": "late", "version": 1}).status == 409
    assert door("PATCH", path, {"lawn_area_sqft": "9001", "version": 2}).status == 422

    made = assessed(door, place)

    assert door("DELETE", path).status == 409
    assert door("DELETE", f"/v1/assessments/{made['id']}").status == 204
    assert door("DELETE", path).status == 204
    assert door("GET", path).status == 404


def test_a_client_without_quotes_goes_with_its_properties(
    door: Client, catalog: Client, place: dict[str, Any]
) -> None:
    assessed(door, place)

    assert catalog("DELETE", f"/v1/clients/{place['client_id']}").status == 204

    assert door("GET", "/v1/properties").json["data"] == []
    assert door("GET", "/v1/assessments").json["data"] == []


def test_a_repeated_request_with_its_key_gives_the_first_answer(
    door: Client, place: dict[str, Any]
) -> None:
    path = f"/v1/assessments/{completed(door, place, **FOUND)['id']}/quote"

    first = door("POST", path, headers={"idempotency-key": "quote-1"})
    again = door("POST", path, headers={"idempotency-key": "quote-1"})

    assert first.status == again.status == 201
    assert again.json == first.json
    assert again.headers["Idempotency-Replayed"] == "true"


def test_a_price_larger_than_a_quote_holds_is_refused(door: Client, place: dict[str, Any]) -> None:
    rule = {"factor": "area", "kind": "per_sqft", "currency": "USD", "label": "Gold"}
    post(door, "/v1/assessment-rules", rule | {"amount": "1000000"})
    made = completed(door, place, **FOUND, area_sqft="100000000")

    for action in ("pricing", "quote"):
        answer = door("POST", f"/v1/assessments/{made['id']}/{action}")
        assert answer.status == 422, answer.text


def test_pricing_stores_no_more_than_its_answer_under_a_key(
    door: Client, place: dict[str, Any]
) -> None:
    made = assessed(door, place, **FOUND)

    answers = [
        door("POST", f"/v1/assessments/{made['id']}/pricing", headers={"idempotency-key": "p"})
        for _ in range(2)
    ]

    assert answers[0].text == answers[1].text
    assert Decimal(answers[0].json["total"]) > 0
    assert api.REPLAYED.items() <= answers[1].headers.items()
