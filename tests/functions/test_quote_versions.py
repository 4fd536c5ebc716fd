"""HTTP /v1/quotes/{id}/revise and …/versions: a sent quote said anew, and what that changed."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from functions.quote_processor.app import lambda_handler as quotes_handler
from functions.quote_versions.app import lambda_handler
from tests.conftest import Database
from tests.functions.conftest import (
    ACCOUNT,
    OTHER_USER,
    USER,
    Answer,
    Aws,
    Client,
    Issuer,
    LambdaContext,
    load_event,
)
from tests.functions.test_quote_processor import LINE, QUOTE, create, send


@pytest.fixture
def quotes(database: Database, aws_services: Aws, issuer: Issuer) -> Client:
    return Client(quotes_handler, issuer.token(USER, ACCOUNT), "ANY /v1/quotes/{proxy+}")


@pytest.fixture
def versions(quotes: Client, issuer: Issuer) -> Client:
    route = "ANY /v1/quotes/{quote_id}/versions"
    return Client(lambda_handler, issuer.token(USER, ACCOUNT), route)


@pytest.fixture
def stranger(quotes: Client, issuer: Issuer) -> Client:
    return Client(lambda_handler, issuer.token(OTHER_USER), "ANY /v1/quotes/{quote_id}/versions")


@pytest.fixture
def sent(quotes: Client) -> dict[str, Any]:
    quote = create(quotes)
    return send(quotes, quote["id"]).json


def revise(versions: Client, quote_id: str, **headers: str) -> Answer:
    return versions("POST", f"/v1/quotes/{quote_id}/revise", headers=headers)


def revised(versions: Client, quote_id: str) -> dict[str, Any]:
    answer = revise(versions, quote_id)
    assert answer.status == 201, answer.text
    return answer.json


def step(quotes: Client, quote_id: str, verb: str) -> Answer:
    return quotes("POST", f"/v1/quotes/{quote_id}/{verb}")


def get(quotes: Client, quote_id: str) -> dict[str, Any]:
    return quotes("GET", f"/v1/quotes/{quote_id}").json


def actions(quotes: Client, quote_id: str) -> list[str]:
    history = quotes("GET", f"/v1/quotes/{quote_id}/history").json["data"]
    return [event["action"] for event in history]


def test_a_revision_is_a_draft_that_says_the_same(
    quotes: Client, versions: Client, sent: dict[str, Any]
) -> None:
    draft = revised(versions, sent["id"])

    assert (draft["status"], draft["number"], draft["revision"]) == ("draft", None, 2)
    assert draft["revises"] == sent["id"]
    assert draft["valid_until"] is None
    same = ("client", "client_id", "line_items", "total", "tax_rate", "markup_rate", "terms")
    assert {name: draft[name] for name in same} == {name: sent[name] for name in same}
    assert get(quotes, draft["id"]) == draft
    assert get(quotes, sent["id"])["status"] == "sent"


def test_sending_a_revision_supersedes_the_quote_under_its_number(
    quotes: Client, versions: Client, sent: dict[str, Any]
) -> None:
    draft = revised(versions, sent["id"])

    answer = send(quotes, draft["id"])

    assert (answer.status, answer.json["number"]) == (200, f"{sent['number']}-R2")
    assert get(quotes, sent["id"])["status"] == "superseded"
    assert actions(quotes, sent["id"]) == ["quote.created", "quote.sent", "quote.superseded"]
    assert actions(quotes, draft["id"]) == ["quote.revised", "quote.sent"]
    third = send(quotes, revised(versions, draft["id"])["id"]).json
    assert third["number"] == f"{sent['number']}-R3"


def test_the_mail_says_which_quote_it_replaces(
    quotes: Client, versions: Client, sent: dict[str, Any], database: Database
) -> None:
    draft = revised(versions, sent["id"])

    assert send(quotes, draft["id"], "email").status == 200

    with psycopg.connect(database.owner_url) as owner:
        ((text, html),) = owner.execute("select text_body, html_body from app.mails").fetchall()
    assert f"\nReplaces: {sent['number']}\n" in text
    assert f"<strong>{sent['number']}</strong>" in html


def test_a_revision_takes_no_number_of_the_year_and_none_of_the_quota(
    quotes: Client, versions: Client, sent: dict[str, Any]
) -> None:
    for _ in range(4):
        send(quotes, create(quotes)["id"])

    answer = send(quotes, revised(versions, sent["id"])["id"])

    assert answer.status == 200, answer.text
    assert quotes("GET", "/v1/usage").json["quotes_sent"]["used"] == 5
    assert send(quotes, create(quotes)["id"]).status == 402


@pytest.mark.parametrize("verb", ["accept", "decline"])
def test_what_was_accepted_cannot_be_revised_and_what_was_declined_can(
    verb: str, quotes: Client, versions: Client, sent: dict[str, Any]
) -> None:
    step(quotes, sent["id"], verb)

    answer = revise(versions, sent["id"])

    assert answer.status == {"accept": 409, "decline": 201}[verb]


def test_a_draft_a_template_and_a_superseded_quote_cannot_be_revised(
    quotes: Client, versions: Client, sent: dict[str, Any]
) -> None:
    draft = create(quotes)
    template = create(quotes, is_template=True, template_name="Spring")
    send(quotes, revised(versions, sent["id"])["id"])

    answers = [revise(versions, one["id"]) for one in (draft, template, sent)]

    assert [answer.status for answer in answers] == [409, 409, 409]
    assert "superseded" in answers[2].json["message"]


def test_a_quote_is_revised_once_until_that_draft_is_deleted(
    quotes: Client, versions: Client, sent: dict[str, Any]
) -> None:
    draft = revised(versions, sent["id"])

    again = revise(versions, sent["id"])
    quotes("DELETE", f"/v1/quotes/{draft['id']}")
    then = revise(versions, sent["id"])

    assert (again.status, again.json["code"]) == (409, "CONFLICT")
    assert (then.status, then.json["revision"]) == (201, 2)


def test_the_same_idempotency_key_revises_once(versions: Client, sent: dict[str, Any]) -> None:
    first = revise(versions, sent["id"], **{"idempotency-key": "revise-1"})
    again = revise(versions, sent["id"], **{"idempotency-key": "revise-1"})

    assert (first.status, again.json) == (201, first.json)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"client": {"name": "Mallory", "email": "grace@example.com"}}, "client"),
        ({"client": {"name": "Grace Hopper", "email": "m@example.com"}}, "client"),
        ({"client": None}, "client"),
        ({"is_template": True, "template_name": "Free"}, "is_template"),
    ],
)
def test_a_revision_stays_with_its_client(
    change: dict[str, Any],
    field: str,
    quotes: Client,
    versions: Client,
    sent: dict[str, Any],
) -> None:
    draft = revised(versions, sent["id"])

    answer = quotes("PATCH", f"/v1/quotes/{draft['id']}", change | {"version": 1})

    assert (answer.status, answer.json["details"][0]["field"]) == (422, field), answer.text


def test_the_rest_of_a_revision_can_be_changed(
    quotes: Client, versions: Client, sent: dict[str, Any]
) -> None:
    draft = revised(versions, sent["id"])
    client = QUOTE["client"] | {"phone": "+1 503 555 0199"}

    answer = quotes(
        "PATCH", f"/v1/quotes/{draft['id']}", {"version": 1, "client": client, "notes": "Anew"}
    )

    assert (answer.status, answer.json["notes"]) == (200, "Anew"), answer.text


def test_postgresql_itself_refuses_a_revision_for_somebody_else(
    quotes: Client, versions: Client, sent: dict[str, Any], database: Database
) -> None:
    draft = revised(versions, sent["id"])
    with psycopg.connect(database.owner_url, autocommit=True) as owner:
        owner.execute(
            "update app.quote_versions set client_name = 'Mallory' where quote_id = %s",
            [draft["id"]],
        )

    answer = send(quotes, draft["id"])

    assert answer.status == 409
    assert get(quotes, sent["id"])["status"] == "sent"


def test_a_chain_ends_after_fifty(
    quotes: Client, versions: Client, sent: dict[str, Any], database: Database
) -> None:
    with psycopg.connect(database.owner_url, autocommit=True) as owner:
        owner.execute("alter table app.quotes drop constraint quotes_revision_counts")
        owner.execute("set session_replication_role = replica")
        owner.execute("update app.quotes set revision = 50")
        owner.execute("update app.quote_versions set revision = 50")

    answer = revise(versions, sent["id"])

    assert (answer.status, answer.json["message"]) == (409, "a quote has 50 revisions at most")


def together(*calls: Callable[[], Answer]) -> list[int]:
    with ThreadPoolExecutor(len(calls)) as pool:
        return [done.result().status for done in [pool.submit(call) for call in calls]]


def test_of_ten_that_revise_at_once_one_does(versions: Client, sent: dict[str, Any]) -> None:
    statuses = together(*[lambda: revise(versions, sent["id"])] * 10)

    assert Counter(statuses) == {201: 1, 409: 9}


def test_an_acceptance_and_a_revision_sent_at_once_leave_one_winner(
    quotes: Client, versions: Client, database: Database
) -> None:
    winners: Counter[str] = Counter()
    for _ in range(5):
        old = send(quotes, create(quotes)["id"]).json
        new = revised(versions, old["id"])

        statuses = together(
            lambda old=old: step(quotes, old["id"], "accept"),  # type: ignore[misc]
            lambda new=new: send(quotes, new["id"]),  # type: ignore[misc]
            lambda new=new: send(quotes, new["id"]),  # type: ignore[misc]
        )

        states = (get(quotes, old["id"])["status"], get(quotes, new["id"])["status"])
        assert Counter(statuses) == {200: 1, 409: 2}
        assert states in {("accepted", "draft"), ("superseded", "sent")}
        winners[states[0]] += 1
    assert winners.total() == 5


def test_the_chain_is_listed_from_any_of_its_quotes(
    quotes: Client, versions: Client, sent: dict[str, Any]
) -> None:
    second = send(quotes, revised(versions, sent["id"])["id"]).json
    third = revised(versions, second["id"])

    lists = [
        versions("GET", f"/v1/quotes/{one['id']}/versions").json["data"]
        for one in (sent, second, third)
    ]

    assert lists[0] == lists[1] == lists[2]
    told = [(one["id"], one["revision"], one["status"]) for one in lists[0]]
    assert told == [
        (sent["id"], 1, "superseded"),
        (second["id"], 2, "sent"),
        (third["id"], 3, "draft"),
    ]
    assert lists[0][0]["total"] == "220.00"


def test_the_diff_names_what_was_changed(
    quotes: Client, versions: Client, sent: dict[str, Any]
) -> None:
    draft = revised(versions, sent["id"])
    lines = [{"name": "Travel", "quantity": "1", "unit_cost": "40"}, LINE | {"quantity": "3"}]
    change = {"line_items": lines, "notes": "As discussed", "valid_until": sent["valid_until"]}
    change |= {"version": 1}
    assert quotes("PATCH", f"/v1/quotes/{draft['id']}", change).status == 200

    found = versions("GET", f"/v1/quotes/{sent['id']}/versions/1/diff/2").json

    assert (found["before"], found["after"]) == (1, 2)
    assert found["fields"] == [{"field": "notes", "before": "", "after": "As discussed"}]
    assert [line["name"] for line in found["lines_added"]] == ["Travel"]
    assert found["lines_removed"] == []
    (line,) = found["lines_changed"]
    assert line["fields"] == ["quantity", "line_total", "net", "tax_amount"]
    assert (line["before"]["quantity"], line["after"]["quantity"]) == ("2", "3")
    assert line["difference"] == "100.00"
    totals = {one["field"]: one for one in found["totals"]}
    assert totals["total"] == {
        "field": "total",
        "before": "220.00",
        "after": "385.00",
        "difference": "165.00",
    }
    back = versions("GET", f"/v1/quotes/{draft['id']}/versions/2/diff/1").json
    assert [line["name"] for line in back["lines_removed"]] == ["Travel"]
    same = versions("GET", f"/v1/quotes/{draft['id']}/versions/1/diff/1").json
    assert [same[name] for name in same if name not in {"before", "after"}] == [[]] * 5


@pytest.mark.parametrize("path", ["versions/0/diff/1", "versions/1/diff/51", "versions/x/diff/1"])
def test_a_place_that_no_chain_has_is_refused(
    path: str, versions: Client, sent: dict[str, Any]
) -> None:
    assert versions("GET", f"/v1/quotes/{sent['id']}/{path}").status == 422


def test_what_is_not_there_is_not_found(
    versions: Client, stranger: Client, sent: dict[str, Any]
) -> None:
    paths = [f"/v1/quotes/{sent['id']}/versions", f"/v1/quotes/{sent['id']}/versions/1/diff/1"]

    assert [stranger("GET", path).status for path in paths] == [404, 404]
    assert revise(stranger, sent["id"]).status == 404
    assert revise(versions, str(uuid4())).status == 404
    assert versions("GET", f"/v1/quotes/{sent['id']}/versions/1/diff/2").status == 404


def test_the_committed_event_is_answered(versions: Client, sent: dict[str, Any]) -> None:
    event = load_event("quote_versions")
    event["headers"]["authorization"] = f"Bearer {versions.token}"
    path = event["rawPath"]

    answer = lambda_handler(event, LambdaContext())

    assert UUID(path.split("/")[3])
    assert answer["statusCode"] == 404
