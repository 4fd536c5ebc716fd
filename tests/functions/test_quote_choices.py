"""What a client chooses on his page, and every door that tells of it afterwards."""

import io
import re
from typing import Any, Final

import boto3
import psycopg
import pypdf
import pytest

from functions.invoice_manager.app import lambda_handler as invoices
from functions.quote_pdf_generator.app import lambda_handler as printer
from tests import recount
from tests.conftest import Database
from tests.functions.conftest import Client
from tests.functions.test_quote_portal import (  # noqa: F401
    QUOTE,
    Sent,
    change,
    owner,
    portal,
    rows,
    send,
    settings_of_company,
)


def alternative(choice: str, cost: str, **more: Any) -> dict[str, Any]:
    named = {"name": f"Mower {choice}", "quantity": "1", "unit_cost": cost}
    return named | {"group": "Mower", "choice": choice, "optional": True} | more


@pytest.fixture
def grouped(owner: Client, settings_of_company: None) -> Sent:  # noqa: F811
    """Lines 1 certain, 2 an option, 3 the good choice, 4 and 5 the best; 3 is proposed."""
    lines = [
        *QUOTE["line_items"][:2],
        alternative("Good", "80", selected=True),
        alternative("Best", "240"),
        alternative("Best", "16", name="Bag"),
    ]
    return send(owner, line_items=lines)


def test_the_choices_of_a_group_are_shown_with_their_prices_and_the_proposed_one_taken(
    grouped: Sent,
) -> None:
    page = grouped.visitor().text

    shown = re.findall(
        r'<label><input type="radio" name="choice\[3\]" value="(\d)"( checked)? form="accept">'
        r'<strong>([^<]+)</strong><span class="amount">([^<]+)',
        page,
    )
    assert shown == [("3", " checked", "Good", "$100.00"), ("4", "", "Best", "$320.00")]
    assert '<legend>Mower</legend><p class="hint">Please choose one.' in page


def test_another_choice_of_a_group_is_accepted_whole(
    grouped: Sent,
    portal: Client,  # noqa: F811
    database: Database,
) -> None:
    """200 for the work, 300 and 20 for the best mower, and a tenth of tax."""
    before = rows(database, "select l::text from app.quote_lines l order by position")
    sealed = grouped.owner("GET", f"/v1/quotes/{grouped.id}").json["line_items"]

    form = {"option": [], "choice[3]": 4, "total": "572.00"}
    answer = grouped.visitor.accept(**form)
    again = grouped.visitor.accept(**form | {"choice[3]": 3, "total": "330.00"})

    assert (answer.status, again.status) == (303, 303)
    kept = portal("GET", f"/v1/quotes/{grouped.id}/acceptance").json
    assert (kept["selected"], kept["subtotal"], kept["total"]) == ([4, 5], "520.00", "572.00")
    assert rows(database, "select l::text from app.quote_lines l order by position") == before
    assert grouped.now["line_items"] == sealed
    page = grouped.visitor().text
    settled = re.findall(r'<h3><span>([^<]+)</span>.*?<span class="state[^"]*">([^<]+)', page)
    assert settled == [
        ("Good", "Not selected, not included in the total"),
        ("Best", "Selected, included in the total"),
    ]
    assert "$572.00" in page
    with psycopg.connect(database.owner_url) as connection:
        assert recount.differences(connection) == []
    assert [
        (float(total), lines)
        for total, lines in rows(database, "select total, lines from app.item_facts")
    ] == [(572.0, 3)]


def test_an_acceptance_of_before_there_were_choices_keeps_the_proposed_one(
    grouped: Sent, database: Database
) -> None:
    grouped.visitor.accept(**{"option": [2], "choice[3]": 3, "total": "396.00"})
    change(database, "update app.quote_acceptances set selected = '{2}'")

    page = grouped.visitor().text

    states = re.findall(r'<h3><span>(\w+)</span>.*?<span class="state[^"]*">(\w+)', page)
    assert states == [("Good", "Selected"), ("Best", "Not")]
    assert "$396.00" in page


UNCHOSEN: Final[dict[str, dict[str, Any]]] = {
    "none": {},
    "two of a group": {"choice[3]": [3, 4]},
    "two by two names": {"choice[3]": 3, "choice[4]": 4},
    "a line inside a choice": {"choice[3]": 5},
    "a line of no group": {"choice[3]": 1},
    "a line that is not there": {"choice[3]": 9},
    "a group that is not there": {"choice[3]": 3, "choice[1]": 3},
    "no number": {"choice[3]": "x"},
    "no key": {"choice": 3},
    "another name": {"choice[x]": 3, "choice[3]": 3},
    "as an option": {"choice[3]": 3, "option": [4, 5]},
}


@pytest.mark.parametrize("case", UNCHOSEN)
@pytest.mark.parametrize("total", ["330.00", "572.00"])
def test_who_does_not_take_one_choice_of_each_group_accepts_nothing(
    grouped: Sent, case: str, total: str, database: Database
) -> None:
    answer = grouped.visitor.accept(**{"option": [], "total": total} | UNCHOSEN[case])

    assert answer.status == 422
    assert "Something is missing or wrong" in answer.text
    assert grouped.now["status"] == "sent"
    assert rows(database, "select from app.quote_acceptances") == []


def test_the_total_of_another_choice_has_to_be_shown_first(grouped: Sent) -> None:
    form = {"option": [], "choice[3]": 4}

    told = grouped.visitor(
        "POST", {"revision": 1} | form, at="/total", headers={"accept": "application/json"}
    )
    stale = grouped.visitor.accept(**form | {"total": "330.00"})

    assert told.json["total"] == "572.00"
    assert stale.status == 409
    assert "Nothing was accepted yet" in stale.text
    assert 'value="4" checked' in stale.text
    assert 'value="572.00"' in stale.text
    assert grouped.now["status"] == "sent"


def printed(sent: Sent) -> str:
    """The text of the PDF as the owner gets it now."""
    door = Client(printer, sent.owner.token, "POST /v1/quotes/{quote_id}/pdf")
    answer = door("POST", f"/v1/quotes/{sent.id}/pdf")
    assert answer.status == 200, answer.text
    s3 = boto3.client("s3")
    stored = s3.list_objects_v2(Bucket="documents")["Contents"]
    newest = max(stored, key=lambda one: one["LastModified"])["Key"]
    content = s3.get_object(Bucket="documents", Key=newest)["Body"].read()
    return "\n".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(content)).pages)


def test_pdf_and_invoice_follow_the_choice(grouped: Sent) -> None:
    grouped.visitor.accept(**{"option": [2], "choice[3]": 4, "total": "638.00"})

    paper = printed(grouped)
    door = Client(invoices, grouped.owner.token, "ANY /v1/invoices/{proxy+}")
    invoice = door("POST", f"/v1/quotes/{grouped.id}/invoice").json

    certificate = paper[paper.index("Certificate of acceptance") :]
    assert re.search(r"Chosen\s+Mower: Best\s+Accepted total\s+\$638\.00", certificate)
    assert invoice["total"] == "638.00"
    assert [line["name"] for line in invoice["lines"]] == [
        *("Spring clean-up", "Mulch", "Mower Best", "Bag")
    ]
