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
from functions.quote_versions.app import lambda_handler as versions
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
        r'<strong>([^<]+)</strong><span class="amount" id="choice-\d">([^<]+)',
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


# ---- quantities ---------------------------------------------------------------------------------

RANGES: Final[list[dict[str, Any]]] = [
    {"name": "Clean-up", "unit": "h", "quantity": "2", "unit_cost": "80"}
    | {"quantity_min": "1", "quantity_max": "8"},
    {"name": "Mulch", "unit": "yd", "quantity": "2.5", "unit_cost": "16", "optional": True}
    | {"quantity_min": "0.5", "quantity_max": "12", "discount": {"type": "percent", "value": "10"}},
    {"name": "Edging", "quantity": "1", "unit_cost": "40", "optional": True, "selected": True},
    alternative("Good", "80", selected=True),
    alternative("Best", "240", unit="m", quantity="2", quantity_min="1", quantity_max="3"),
]
FIRST: Final = {"quantity[1]": "2", "quantity[2]": "2.5", "quantity[5]": "2", "choice[4]": 4}


@pytest.fixture
def ranged(owner: Client, settings_of_company: None) -> Sent:  # noqa: F811
    """As proposed: 200 for the work, 50 for edging, 100 for the good mower, and a tenth of tax."""
    return send(owner, line_items=RANGES)


def test_a_line_that_lets_the_client_choose_has_a_field_with_its_limits(ranged: Sent) -> None:
    page = ranged.visitor().text

    fields = re.findall(
        r'<label for="quantity-(\d)">([^<]+)</label><input type="number" inputmode="decimal" '
        r'id="quantity-\1" name="quantity\[\1\]" value="([^"]+)" min="([^"]+)" max="([^"]+)" '
        r'step="([^"]+)" required form="accept"',
        page,
    )
    assert sorted(fields) == [
        ("1", "Quantity (1 to 8 h)", "2", "1", "8", "1"),
        ("2", "Quantity (0.5 to 12 yd)", "2.5", "0.5", "12", "0.1"),
        ("5", "Quantity (1 to 3 m)", "2", "1", "3", "1"),
    ]


TAKEN: Final = FIRST | {
    "option": [2],
    "choice[4]": 5,
    "quantity[1]": "5",
    "quantity[2]": "7.3",
    "quantity[5]": "3",
}


def calculated(sent: Sent) -> dict[str, Any]:
    """What the calculator says of the lines as `TAKEN`."""
    lines = [
        RANGES[0] | {"quantity": "5"},
        RANGES[1] | {"quantity": "7.3", "selected": True},
        RANGES[2] | {"selected": False},
        RANGES[3] | {"selected": False},
        RANGES[4] | {"quantity": "3", "selected": True},
    ]
    answer = sent.owner("POST", "/v1/quotes/calculate", QUOTE | {"line_items": lines})
    assert answer.status == 200, answer.text
    told: dict[str, Any] = answer.json
    return told


def test_chosen_quantities_cost_what_the_calculator_says_and_are_kept_beside_the_version(
    ranged: Sent,
    portal: Client,  # noqa: F811
    database: Database,
) -> None:
    tables = ("app.quote_versions", "app.quote_lines")
    before = [rows(database, f"select t::text from {table} t order by 1") for table in tables]
    expected = calculated(ranged)

    answer = ranged.visitor.accept(**TAKEN | {"total": expected["total"]})

    assert answer.status == 303, answer.text
    kept = portal("GET", f"/v1/quotes/{ranged.id}/acceptance").json
    for name in ("subtotal", "discount_amount", "tax_amount", "total", "deposit_amount"):
        assert kept[name] == expected[name]
    assert kept["selected"] == [2, 5]
    assert kept["quantities"] == [
        {"position": 1, "quantity": "5"},
        {"position": 2, "quantity": "7.3"},
        {"position": 5, "quantity": "3"},
    ]
    after = [rows(database, f"select t::text from {table} t order by 1") for table in tables]
    assert after == before
    page = ranged.visitor().text
    for count in ("5 h \u00d7 $100.00", "7.3 yd \u00d7 $20.00", "3 m \u00d7 $300.00"):
        assert count in page
    assert f"${expected['total']}" in page.replace(",", "")


def test_only_the_quantities_of_lines_that_were_taken_are_kept(
    ranged: Sent,
    portal: Client,  # noqa: F811
) -> None:
    """350 as proposed, the mulch at 12 yards left out."""
    form = FIRST | {"option": [3], "quantity[2]": "12", "quantity[5]": "3", "total": "385.00"}

    assert ranged.visitor.accept(**form).status == 303

    kept = portal("GET", f"/v1/quotes/{ranged.id}/acceptance").json
    assert kept["quantities"] == [{"position": 1, "quantity": "2"}]
    assert kept["total"] == "385.00"


def test_pdf_invoice_and_reports_follow_the_quantities(ranged: Sent, database: Database) -> None:
    expected = calculated(ranged)
    ranged.visitor.accept(**TAKEN | {"total": expected["total"]})

    paper = printed(ranged)
    door = Client(invoices, ranged.owner.token, "ANY /v1/invoices/{proxy+}")
    invoice = door("POST", f"/v1/quotes/{ranged.id}/invoice").json

    certificate = paper[paper.index("Certificate of acceptance") :].replace(",", "")
    told = r"Chosen\s+Mower: Best\s+Quantities\s+Clean-up: 5 h\s+Mulch: 7\.3 yd\s+Mower Best: 3 m"
    assert re.search(rf"{told}\s+Accepted total\s+\${expected['total']}", certificate)
    billed = [(line["name"], line["quantity"], line["line_total"]) for line in invoice["lines"]]
    assert billed == [
        ("Clean-up", "5", "500.00"),
        ("Mulch", "7.3", "131.40"),
        ("Mower Best", "3", "900.00"),
    ]
    assert invoice["total"] == expected["total"]
    with psycopg.connect(database.owner_url) as connection:
        assert recount.differences(connection) == []
    assert [str(row[0]) for row in rows(database, "select total from app.item_facts")] == [
        f"{expected['total']}00"
    ]


def test_accepting_again_with_other_quantities_changes_nothing(
    ranged: Sent, database: Database
) -> None:
    total = calculated(ranged)["total"]
    kept = "select t::text from app.quote_acceptances t"

    first = ranged.visitor.accept(**TAKEN | {"total": total})
    before = rows(database, kept)
    again = ranged.visitor.accept(**FIRST | {"option": [3], "total": "385.00"})

    assert (first.status, again.status) == (303, 303)
    assert rows(database, kept) == before
    assert len(before) == 1


def test_the_total_of_other_quantities_has_to_be_shown_first(
    ranged: Sent, database: Database
) -> None:
    expected = calculated(ranged)
    json_too = {"accept": "application/json"}

    told = ranged.visitor("POST", {"revision": 1} | TAKEN, at="/total", headers=json_too).json
    stale = ranged.visitor.accept(**TAKEN | {"total": "385.00"})

    assert told["total"] == expected["total"]
    assert told["amounts"] == {
        "amount-1": "$500.00",
        "discount-1": "",
        "amount-2": "$131.40",
        "discount-2": "Discount -$14.60",
        "choice-4": "$100.00",
        "amount-5": "$900.00",
        "discount-5": "",
        "choice-5": "$900.00",
    }
    assert stale.status == 409
    assert "Nothing was accepted yet" in stale.text
    assert f'value="{expected["total"]}"' in stale.text
    assert 'name="quantity[2]" value="7.3"' in stale.text
    assert rows(database, "select from app.quote_acceptances") == []


UNFIT: Final = ["0", "0.4", "12.1", "0.55", "-1", "NaN", "Infinity", "1e30", "x", "", "2,5"]


@pytest.mark.parametrize("typed", UNFIT)
@pytest.mark.parametrize("at", ["/accept", "/total"])
def test_a_quantity_that_is_not_allowed_is_told_on_the_page_and_nothing_is_accepted(
    ranged: Sent, typed: str, at: str, database: Database
) -> None:
    form = TAKEN | {"quantity[2]": typed, "revision": 1, "total": "385.00", "name": "Grace Hopper"}

    answer = ranged.visitor("POST", form, at=at)

    assert answer.status == 422
    assert (
        "Mulch: please enter a quantity from 0.5 to 12, in steps of 0.1. Nothing was accepted yet."
    ) in answer.text
    for kept in ('name="quantity[2]" value="2.5"', 'name="quantity[1]" value="5"', "Grace Hopper"):
        assert kept in answer.text
    assert ranged.now["status"] == "sent"
    assert rows(database, "select from app.quote_acceptances") == []


WRONG: Final[dict[str, dict[str, Any]]] = {
    "of a line with no range": {"quantity[3]": "2"},
    "of no line": {"quantity[9]": "2"},
    "two of one": {"quantity[1]": ["1", "2"]},
    "no key": {"quantity": "2"},
    "a long one": {"quantity[1]": "1" * 41},
}


@pytest.mark.parametrize("case", WRONG)
def test_a_quantity_of_another_line_is_refused(ranged: Sent, case: str, database: Database) -> None:
    answer = ranged.visitor.accept(**FIRST | {"option": [3], "total": "385.00"} | WRONG[case])

    assert answer.status == 422
    assert "Something is missing or wrong" in answer.text
    assert rows(database, "select from app.quote_acceptances") == []


# ---- what its owner allows ----------------------------------------------------------------------


def limits(quote: dict[str, Any]) -> list[tuple[Any, Any]]:
    return [(line["quantity_min"], line["quantity_max"]) for line in quote["line_items"]]


def test_limits_come_along_wherever_a_quote_is_said_again(
    ranged: Sent,
    owner: Client,  # noqa: F811
) -> None:
    said = [("1", "8"), ("0.5", "12"), (None, None), (None, None), ("1", "3")]
    place = f"/v1/quotes/{ranged.id}"

    copy = owner("POST", f"{place}/duplicate").json
    template = owner("POST", f"{place}/duplicate", {"template_name": "Garden"}).json
    door = Client(versions, owner.token, "ANY /v1/quotes/{quote_id}/versions")
    revised = door("POST", f"{place}/revise").json
    wider = [RANGES[0] | {"quantity_max": "9.50"}, *RANGES[1:]]
    changed = owner(
        "PATCH", f"/v1/quotes/{revised['id']}", {"line_items": wider, "version": revised["version"]}
    ).json
    difference = door("GET", f"{place}/versions/1/diff/2").json

    assert [limits(one) for one in (ranged.now, copy, template, revised)] == [said] * 4
    assert limits(changed) == [("1", "9.5"), *said[1:]]
    assert [one["fields"] for one in difference["lines_changed"]] == [["quantity_max"]]


LIMITS: Final[dict[str, dict[str, Any]]] = {
    "a least alone": {"quantity_min": "1"},
    "a most alone": {"quantity_max": "3"},
    "a least of nothing": {"quantity_min": "0", "quantity_max": "3"},
    "the other way round": {"quantity_min": "3", "quantity_max": "1"},
    "nothing to choose": {"quantity_min": "2", "quantity_max": "2"},
    "a quantity below": {"quantity_min": "2.1", "quantity_max": "3"},
    "a quantity above": {"quantity_min": "1", "quantity_max": "1.9"},
    "five decimals": {"quantity_min": "0.00001", "quantity_max": "3"},
    "less than nothing": {"quantity_min": "-1", "quantity_max": "3"},
}


@pytest.mark.parametrize("case", LIMITS)
def test_limits_that_are_none_are_refused(owner: Client, case: str) -> None:  # noqa: F811
    line = {"name": "Mulch", "quantity": "2", "unit_cost": "16"} | LIMITS[case]

    answer = owner("POST", "/v1/quotes", QUOTE | {"line_items": [line]})

    assert answer.status == 422
    assert answer.json["code"] == "VALIDATION_ERROR"
