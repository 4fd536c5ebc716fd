"""The client's page in a browser on a phone: with scripts and without, every state, axe on each."""

import asyncio
import shutil
import threading
from collections.abc import Iterator
from typing import Any, Final

import pytest
import uvicorn
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, sync_playwright

from local.front import Front
from local.routes import RouteTable
from local.serving import bind
from local.web import Web
from tests.conftest import Database
from tests.functions.conftest import ROOT, Client
from tests.functions.test_quote_portal import (  # noqa: F401
    Sent,
    change,
    owner,
    portal,
    rows,
    send,
    settings_of_company,
)
from tests.gateway import Doors, routes

AXE: Final = ROOT / ".local/tools/node/node_modules/axe-core/axe.min.js"
PHONE: Final = {"width": 360, "height": 740}
WIDE: Final = ViewportSize(width=1200, height=900)
VIOLATIONS: Final = """async () => (await axe.run()).violations.map(
    (found) => `${found.id}: ${found.nodes.map((node) => node.html).join(' ')}`)"""
TENTH: Final = {"type": "percent", "value": "10"}
MOVING: Final = {
    "amount-1": "$300.00",
    "amount-2": "$135.00",
    "discount-2": "Discount -$15.00",
    "choice-4": "$1,375.00",
}
DESCRIPTION: Final = "Remove leaves, cut back perennials, edge all beds.\nHaul away included."


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Debian's; as root it has no sandbox."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("chromium is not installed (apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def site(owner: Client) -> Iterator[str]:  # noqa: F811
    """The doors and the files of web/ on one address, as the local stack serves them."""
    listener = bind(0, "the page", "-")
    config = uvicorn.Config(
        Web(Front(Doors(), RouteTable(routes()))), lifespan="off", log_level="error"
    )
    server = uvicorn.Server(config)
    work = threading.Thread(target=asyncio.run, args=[server.serve(sockets=[listener])])
    work.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    work.join(10)
    listener.close()


class Reader:
    """A client's browser; what it complains of fails the test."""

    def __init__(self, browser: Browser, site: str, **options: Any) -> None:
        self.context: BrowserContext = browser.new_context(viewport=PHONE, **options)  # type: ignore[arg-type]
        self.page: Page = self.context.new_page()
        self.site = site
        self.complaints: list[str] = []
        self.page.on("console", self.hear)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def hear(self, message: Any) -> None:
        # a refused form is answered with its own status, which browsers call an error
        if message.type in {"error", "warning"} and "the server responded" not in message.text:
            self.complaints.append(message.text)

    def open(self, token: str) -> Page:
        self.page.goto(f"{self.site}/q/{token}")
        return self.page

    def is_accessible(self) -> None:
        self.page.evaluate("document.querySelectorAll('details').forEach((d) => d.open = true)")
        self.page.evaluate(AXE.read_text())
        assert self.page.evaluate(VIOLATIONS) == []
        wide = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
        assert self.page.evaluate(wide), "it scrolls sideways"

    def picture(self, name: str) -> None:
        folder = ROOT / ".local/pictures"  # looked at by people
        folder.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=folder / f"{name}.png", full_page=True)


@pytest.fixture
def reader(chromium: Browser, site: str) -> Iterator[Reader]:
    reader = Reader(chromium, site)
    yield reader
    reader.context.close()
    assert reader.complaints == []


@pytest.fixture
def plain(chromium: Browser, site: str) -> Iterator[Reader]:
    """A browser without scripts."""
    reader = Reader(chromium, site, java_script_enabled=False)
    yield reader
    reader.context.close()


@pytest.fixture
def grouped(owner: Client, settings_of_company: None) -> Sent:  # noqa: F811
    """Of mower and fence one choice each, one with two lines; and an option."""
    lines: list[dict[str, Any]] = [
        {"name": "Spring clean-up", "description": DESCRIPTION, "unit": "h", "quantity": "2"},
        {"name": "Battery mower, 40 cm", "group": "Mower", "choice": "Good", "selected": True},
        {"name": "Robot mower with garage", "group": "Mower", "choice": "Best, without any work"},
        {"name": "Boundary wire", "unit": "m", "quantity": "120", "group": "Mower"}
        | {"choice": "Best, without any work"},
        {"name": "Larch", "unit": "m", "quantity": "12", "group": "Fence", "choice": "Larch"}
        | {"selected": True},
        {"name": "No fence", "group": "Fence", "choice": "None"},
        {"name": "Mulch, double ground hardwood", "unit": "yd", "quantity": "3", "optional": True},
    ]
    costs = ("80", "240", "960", "0.8", "55", "0", "16")
    priced = [
        {"quantity": "1"} | line | {"unit_cost": cost}
        for line, cost in zip(lines, costs, strict=True)
    ]
    return send(owner, line_items=priced, terms="Half on acceptance.")


@pytest.fixture
def sent(owner: Client, settings_of_company: None) -> Sent:  # noqa: F811
    lines: list[dict[str, Any]] = [
        {"name": "Spring clean-up", "description": DESCRIPTION, "unit": "h", "quantity": "2"},
        {"name": "Mulch, double ground hardwood", "unit": "yd", "quantity": "3", "optional": True},
        {"name": "Edging", "quantity": "1", "optional": True, "selected": True},
    ]
    costs = ("80", "16", "40")
    priced = [line | {"unit_cost": cost} for line, cost in zip(lines, costs, strict=True)]
    terms = "Half on acceptance, the rest when the work is done."
    return send(owner, line_items=priced, terms=terms, notes="We come on a dry day.")


def total(page: Page) -> str:
    return page.locator("#totals .total dd").inner_text()


def test_without_scripts_a_client_chooses_sees_the_total_and_accepts(
    plain: Reader, sent: Sent, database: Database
) -> None:
    page = plain.open(sent.visitor.token)
    assert not page.locator("#sign").is_visible()

    page.get_by_label("Mulch").check()
    page.get_by_role("button", name="Update the total").click()
    shown = total(page)
    plain.picture("without-scripts")
    page.get_by_label("Your name").fill("Grace Hopper")
    page.get_by_role("button", name="Accept quote").click()

    assert shown == "$341.00"
    assert page.get_by_role("status").inner_text().startswith("Accepted by Grace Hopper")
    kept = rows(database, "select total, selected, signature from app.quote_acceptances")
    assert [(str(row[0]), row[1:]) for row in kept] == [("341.0000", ([2, 3], None))]


def test_without_scripts_a_total_that_was_not_shown_is_not_accepted(
    plain: Reader, sent: Sent, database: Database
) -> None:
    page = plain.open(sent.visitor.token)

    page.get_by_label("Mulch").check()
    page.get_by_label("Your name").fill("Grace Hopper")
    page.get_by_role("button", name="Accept quote").click()

    assert "Nothing was accepted yet" in page.get_by_role("status").inner_text()
    assert total(page) == "$341.00"
    assert page.get_by_label("Your name").input_value() == "Grace Hopper"
    assert rows(database, "select from app.quote_acceptances") == []


def test_without_scripts_a_client_takes_another_choice(
    plain: Reader, grouped: Sent, database: Database
) -> None:
    page = plain.open(grouped.visitor.token)

    page.get_by_label("Best, without any work").check()
    page.get_by_role("button", name="Update the total").click()
    shown = total(page)
    plain.picture("choices-without-scripts")
    page.get_by_label("Your name").fill("Grace Hopper")
    page.get_by_role("button", name="Accept quote").click()

    assert shown == "$2,579.50"  # 200 + 1200 + 120 + 825, and a tenth
    assert page.get_by_role("status").inner_text().startswith("Accepted by Grace Hopper")
    kept = rows(database, "select total, selected from app.quote_acceptances")
    assert [(str(row[0]), row[1]) for row in kept] == [("2579.5000", [3, 4, 5])]


def test_a_client_takes_another_choice_and_the_total_follows(
    reader: Reader, grouped: Sent, database: Database
) -> None:
    page = reader.open(grouped.visitor.token)
    reader.is_accessible()
    reader.picture("choices")

    page.get_by_label("Best, without any work").check()
    page.locator("#totals", has_text="$2,579.50").wait_for()
    page.get_by_role("radio", name="None").check()
    page.locator("#totals", has_text="$1,672.00").wait_for()
    reader.picture("choices-taken")
    page.set_viewport_size(WIDE)
    reader.picture("choices-taken-wide")
    page.get_by_label("Your name").fill("Grace Hopper")
    page.get_by_role("button", name="Accept quote").click()
    page.get_by_text("Accepted by Grace Hopper").wait_for()

    reader.is_accessible()
    reader.picture("choices-accepted-wide")
    assert not page.locator("#update").is_visible()
    kept = rows(database, "select total, selected from app.quote_acceptances")
    assert [(str(row[0]), row[1]) for row in kept] == [("1672.0000", [3, 4, 6])]


@pytest.fixture
def ranged(owner: Client, settings_of_company: None) -> Sent:  # noqa: F811
    lines: list[dict[str, Any]] = [
        {"name": "Spring clean-up", "description": DESCRIPTION, "unit": "h", "quantity": "2"}
        | {"quantity_min": "1", "quantity_max": "8"},
        {"name": "Mulch, double ground hardwood", "unit": "yd", "quantity": "3", "optional": True}
        | {"quantity_min": "0.5", "quantity_max": "12", "discount": TENTH},
        {"name": "Edging", "quantity": "1", "optional": True, "selected": True},
        {"name": "Larch", "unit": "m", "quantity": "12", "group": "Fence", "choice": "Larch"}
        | {"quantity_min": "5", "quantity_max": "40", "selected": True},
        {"name": "No fence", "quantity": "1", "group": "Fence", "choice": "None"},
    ]
    costs = ("80", "16", "40", "55", "0")
    priced = [line | {"unit_cost": cost} for line, cost in zip(lines, costs, strict=True)]
    return send(owner, line_items=priced, notes="", terms="Half on acceptance.")


def test_a_client_says_how_much_and_all_amounts_follow(
    reader: Reader, ranged: Sent, database: Database
) -> None:
    page = reader.open(ranged.visitor.token)
    reader.is_accessible()
    reader.picture("quantities")
    hours = page.get_by_role("spinbutton", name="Quantity (1 to 8 h)")

    page.get_by_label("Mulch").check()
    page.get_by_label("Quantity (0.5 to 12 yd)").fill("7.5")
    page.get_by_label("Quantity (5 to 40 m)").fill("20")
    hours.press("ArrowUp")
    page.locator("#totals", has_text="$2,046.00").wait_for()  # 300 + 135 + 50 + 1375, a tenth
    amounts = {place: page.locator(f"#{place}").inner_text() for place in MOVING}
    reader.picture("quantities-chosen")
    page.set_viewport_size(WIDE)
    reader.picture("quantities-chosen-wide")
    page.get_by_label("Your name").fill("Grace Hopper")
    hours.fill("9")
    page.get_by_role("button", name="Accept quote").click()
    refused = hours.evaluate("field => field.matches(':invalid')")
    hours.fill("3")
    page.get_by_role("button", name="Accept quote").click()
    page.get_by_text("Accepted by Grace Hopper").wait_for()

    assert refused
    assert amounts == MOVING
    reader.is_accessible()
    reader.picture("quantities-accepted-wide")
    kept = "select total, quantities from app.quote_acceptances"
    ((amount, quantities),) = rows(database, kept)
    assert str(amount) == "2046.0000"
    assert [one["quantity"] for one in quantities] == ["3", "7.5", "20"]


def test_without_scripts_a_client_says_how_much_and_is_told_what_is_too_much(
    plain: Reader, ranged: Sent, database: Database
) -> None:
    page = plain.open(ranged.visitor.token)
    hours = page.get_by_role("spinbutton", name="Quantity (1 to 8 h)")

    hours.fill("80")
    page.get_by_label("Mulch").check()
    page.get_by_role("button", name="Update the total").click()
    told = page.get_by_role("status").inner_text()
    mulch = page.get_by_label("Mulch").is_checked()
    plain.picture("quantity-too-large")
    hours.fill("8")
    page.get_by_role("button", name="Update the total").click()
    shown = total(page)
    page.get_by_label("Your name").fill("Grace Hopper")
    page.get_by_role("button", name="Accept quote").click()

    assert told.startswith("Spring clean-up: please enter a quantity from 1 to 8, in steps of 1.")
    assert mulch
    assert shown == "$1,901.90"  # 800 + 54 + 50 + 825, and a tenth
    assert page.get_by_role("status").inner_text().startswith("Accepted by Grace Hopper")
    assert str(rows(database, "select total from app.quote_acceptances")[0][0]) == "1901.9000"


def test_a_client_signs_with_a_finger_and_accepts_once_by_two_clicks(
    reader: Reader, sent: Sent, database: Database
) -> None:
    page = reader.open(sent.visitor.token)
    reader.is_accessible()
    reader.picture("open")

    page.get_by_label("Mulch").check()
    page.locator("#totals", has_text="$341.00").wait_for()
    page.get_by_label("Your name").fill("Grace Hopper")
    sign(page)
    reader.picture("signed")
    page.get_by_role("button", name="Accept quote").dblclick()
    page.get_by_text("Accepted by Grace Hopper").wait_for()

    reader.is_accessible()
    reader.picture("accepted")
    ((amount, signature),) = rows(database, "select total, signature from app.quote_acceptances")
    assert str(amount) == "341.0000"
    assert signature.startswith("M")
    assert signature.count("L") > 5


def sign(page: Page) -> None:
    page.locator("#pad").scroll_into_view_if_needed()
    box = page.locator("#pad").bounding_box()
    assert box
    page.mouse.move(box["x"] + 20, box["y"] + 60)
    page.mouse.down()
    for step in range(1, 12):
        height = 20 if step % 2 else 80
        page.mouse.move(box["x"] + 20 + step * 20, box["y"] + height, steps=4)
    page.mouse.up()


def test_a_signature_can_be_cleared(reader: Reader, sent: Sent) -> None:
    page = reader.open(sent.visitor.token)

    sign(page)
    drawn = page.locator("#signature").input_value()
    page.get_by_role("button", name="Clear the signature").click()

    assert drawn
    assert page.locator("#signature").input_value() == ""


def test_a_client_asks_and_declines(reader: Reader, sent: Sent, database: Database) -> None:
    page = reader.open(sent.visitor.token)

    page.get_by_text("Ask a question").click()
    page.get_by_label("Your question").fill("Is the mulch red?")
    page.get_by_role("button", name="Send question").click()
    page.get_by_text("Your question was sent").wait_for()
    reader.is_accessible()
    reader.picture("asked")
    page.get_by_label("Reason").fill("Too dear")
    page.get_by_role("button", name="Decline quote").click()
    page.get_by_text("This quote was declined").wait_for()

    reader.is_accessible()
    reader.picture("declined")
    assert rows(database, "select question from app.quote_questions") == [("Is the mulch red?",)]
    assert sent.now["decision_note"] == "Too dear"


STATES: Final = {
    "expired": ("update app.quotes set expires_at = now() - interval '1 hour'", "has expired"),
    "superseded": ("update app.quotes set status = 'superseded'", "replaced by a newer one"),
    "revoked": ("update app.quote_links set revoked_at = now()", "no longer works"),
}


@pytest.mark.parametrize("state", STATES)
def test_a_page_that_takes_no_answer_says_why(
    reader: Reader, sent: Sent, state: str, database: Database
) -> None:
    statement, words = STATES[state]
    change(database, statement)

    page = reader.open(sent.visitor.token)

    assert words in page.locator("main").inner_text()
    assert page.locator("#accept").count() == 0
    reader.is_accessible()
    reader.picture(state)


def test_an_unknown_address_is_a_page_too(reader: Reader) -> None:
    page = reader.open("nothing")

    assert page.get_by_role("heading").inner_text() == "Page not found"
    reader.is_accessible()
    reader.picture("unknown")


def test_the_page_is_whole_in_another_language_and_on_a_wide_screen(
    reader: Reader,
    owner: Client,  # noqa: F811
    settings_of_company: None,  # noqa: F811
) -> None:
    quote = send(owner, language="de", currency="EUR")
    page = reader.open(quote.visitor.token)
    reader.is_accessible()
    reader.picture("german")

    page.set_viewport_size(WIDE)

    reader.is_accessible()
    reader.picture("wide")
