"""The client's page through its door: real resolver, real PostgreSQL, as a client with a link."""

import base64
import html
import json
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import boto3
import psycopg
import pypdf
import pytest

from functions.quote_pdf_generator.app import lambda_handler as print_quote
from functions.quote_portal.app import lambda_handler
from functions.quote_processor.app import lambda_handler as processor
from quotekit import settings
from quotekit.portal import limits
from tests import documented, recount
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
    http_event,
)
from tests.functions.test_subscription_status import amazon_services  # noqa: F401 a fixture
from tests.house.conftest import read
from tests.vendors import aws as amazon

PHONE: Final = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like "
    "Gecko) Version/18.0 Mobile/15E148 Safari/604.1"
)
BROWSER: Final = {"user-agent": PHONE, "sec-fetch-dest": "document", "accept-language": "en"}
STROKES: Final = "M10 100L200 40L400 160M420 20L500 180"
QUOTE: Final[dict[str, Any]] = {
    "client": {"name": "Grace <Hopper>", "email": "grace@example.com"},
    "currency": "USD",
    "tax_rate": "10",
    "markup_rate": "25",
    "deposit": {"type": "percent", "value": "50"},
    "notes": "Bring <script>alert(1)</script>\nand gloves",
    "line_items": [
        {"name": "Spring clean-up", "unit": "h", "quantity": "2", "unit_cost": "80"},
        {"name": "Mulch", "quantity": "3", "unit_cost": "16", "optional": True},
        {"name": "Edging", "quantity": "1", "unit_cost": "40", "optional": True, "selected": True},
    ],
}


@dataclass
class Visitor:
    """A browser with the address of a page."""

    token: str
    source_ip: str = "192.0.2.10"

    def __call__(
        self,
        method: str = "GET",
        form: dict[str, Any] | str | None = None,
        *,
        at: str = "",
        query: str = "",
        headers: dict[str, str] | None = None,
    ) -> Answer:
        path = f"/q/{self.token}{at}"
        event = http_event(method, path, query=query, route="ANY /q/{token}")
        event["headers"] = BROWSER | (headers or {})
        event["requestContext"]["http"]["sourceIp"] = self.source_ip
        if form is not None:
            body = form if isinstance(form, str) else urlencode(form, doseq=True)
            event["headers"].setdefault("content-type", "application/x-www-form-urlencoded")
            event |= {"body": base64.b64encode(body.encode()).decode(), "isBase64Encoded": True}
        answer = lambda_handler(event, LambdaContext())
        documented.check(method, path, answer["statusCode"], answer["body"])
        return Answer(answer["statusCode"], answer["headers"], answer["body"])

    def accept(self, **changes: Any) -> Answer:
        form = {"revision": 1, "option": [3], "total": "275.00", "name": "Grace Hopper"}
        return self("POST", form | changes, at="/accept")


@dataclass
class Sent:
    """A quote that was sent, its owner's API and its client's browser."""

    id: str
    owner: Client
    visitor: Visitor

    @property
    def now(self) -> dict[str, Any]:
        read: dict[str, Any] = self.owner("GET", f"/v1/quotes/{self.id}").json
        return read

    def history(self) -> list[str]:
        events = self.owner("GET", f"/v1/quotes/{self.id}/history").json["data"]
        return [event["action"] for event in events]


@pytest.fixture
def owner(database: Database, aws_services: Aws, issuer: Issuer) -> Client:
    return Client(processor, issuer.token(USER, ACCOUNT), "ANY /v1/quotes/{proxy+}")


@pytest.fixture
def portal(owner: Client) -> Client:
    """The owner's side of the portal's own door."""
    return Client(lambda_handler, owner.token, "ANY /v1/quotes/{quote_id}/link")


@pytest.fixture
def settings_of_company(owner: Client, database: Database) -> None:
    owner("POST", "/v1/quotes/calculate", QUOTE)  # founds the account
    change(
        database,
        """insert into app.company_settings (account_id, company_name, email, brand_colour)
        values (%s, 'Green & Sons', 'office@green.example', '#2e7d32')""",
        ACCOUNT,
    )


@pytest.fixture
def sent(owner: Client, settings_of_company: None) -> Sent:
    return send(owner)


def send(owner: Client, channel: str = "link", **changes: Any) -> Sent:
    quote = owner("POST", "/v1/quotes", QUOTE | changes).json
    answer = owner("POST", f"/v1/quotes/{quote['id']}/send", {"channel": channel})
    assert answer.status == 200, answer.text
    return Sent(quote["id"], owner, Visitor(answer.json["link"].rpartition("/")[2]))


def change(database: Database, statement: str, *values: Any) -> None:
    with psycopg.connect(database.owner_url, autocommit=True) as connection:
        connection.execute(statement.encode(), values)


def rows(database: Database, statement: str, *values: Any) -> list[Any]:
    with psycopg.connect(database.owner_url) as connection:
        return connection.execute(statement.encode(), values).fetchall()


def test_the_page_shows_what_the_quote_says(sent: Sent) -> None:
    answer = sent.visitor()

    assert answer.status == 200, answer.text
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    for text in ("Green &amp; Sons", "Grace &lt;Hopper&gt;", "Spring clean-up", "2 h", "$100.00"):
        assert text in answer.text
    for amount in ("$250.00", "$25.00", "$275.00", "$137.50"):
        assert amount in answer.text
    assert sent.now["number"] in answer.text
    assert "<script>alert" not in answer.text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;<br>" in answer.text


MONEY: Final = {"en": r"-?\$[\d,]+\.\d\d", "de": r"-?[\d.]+,\d\d €"}


@pytest.mark.parametrize("language", MONEY)
def test_the_page_and_the_pdf_say_the_same(
    owner: Client, settings_of_company: None, language: str
) -> None:
    currency = {"en": "USD", "de": "EUR"}[language]
    mower = {"unit_cost": "240", "quantity": "1", "optional": True, "group": "Mower"}
    more = [
        *QUOTE["line_items"],
        mower | {"name": "Hand mower", "choice": "Good", "selected": True},
        mower | {"name": "Robot", "choice": "Best", "unit_cost": "960.4"},
        {"name": "Hedge", "unit": "m", "quantity": "12.35", "unit_cost": "7.77", "tax_rate": "5"},
    ]
    more[-1] |= {"discount": {"type": "percent", "value": "10"}}
    sent = send(owner, line_items=more, currency=currency, language=language, terms="Net 30.")
    printer = Client(print_quote, owner.token, "ANY /v1/quotes/{quote_id}/pdf")
    url = urlsplit(printer("POST", f"/v1/quotes/{sent.id}/pdf").json["url"])
    printed = boto3.client("s3").get_object(Bucket="documents", Key=url.path.strip("/"))

    page = plain(html.unescape(re.sub("<[^>]+>", " ", sent.visitor().text)))
    paper = pypdf.PdfReader(BytesIO(printed["Body"].read()))
    pdf = plain(" ".join(sheet.extract_text() for sheet in paper.pages))

    amounts = set(re.findall(MONEY[language], pdf))
    assert amounts == set(re.findall(MONEY[language], page))
    assert len(amounts) > 10
    texts = ["Green & Sons", "Grace <Hopper>", "Net 30.", "alert(1)", sent.now["number"]]
    texts += [line["name"] for line in more]
    assert [text for text in texts if text not in pdf or text not in page] == []


def plain(text: str) -> str:
    return " ".join(text.split())


def test_nothing_of_cost_or_markup_is_on_the_page(sent: Sent) -> None:
    text = sent.visitor().text

    assert "$80.00" not in text
    assert "markup" not in text.lower()


def test_a_browser_may_run_nothing_but_our_files_and_keeps_nothing(sent: Sent) -> None:
    answer = sent.visitor()

    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cache-Control"] == "no-store"
    assert not {"set-cookie", "cookies"} & {name.lower() for name in answer.headers}
    assert not re.search(r"<script(?![^>]* src=)|<style| style=| on\w+=", answer.text)


def test_the_first_view_is_noted_once(sent: Sent) -> None:
    sent.visitor()
    first = sent.now
    sent.visitor()

    assert first["status"] == "viewed"
    assert first["viewed_at"] is not None
    assert sent.now == first
    assert sent.history().count("quote.viewed") == 1


def test_views_at_once_are_one_view(sent: Sent) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: sent.visitor(), range(8)))

    assert sent.history().count("quote.viewed") == 1
    assert sent.now["version"] == 3


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-purpose": "prefetch;prerender"},
        {"purpose": "prefetch"},
        {"sec-fetch-dest": "empty"},
        {"user-agent": "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)"},
        {"user-agent": "Mozilla/5.0 (compatible; Googlebot/2.1)"},
        {"user-agent": "python-requests/2.32"},
        {"user-agent": ""},
    ],
)
def test_a_machine_that_looks_is_no_view(sent: Sent, headers: dict[str, str]) -> None:
    assert sent.visitor(headers=headers).status == 200

    assert sent.now["status"] == "sent"


def test_head_tells_the_headers_and_is_no_view(sent: Sent) -> None:
    assert sent.visitor("HEAD").status == 200

    assert sent.now["status"] == "sent"


def test_accepting_keeps_who_when_from_where_and_what(sent: Sent, portal: Client) -> None:
    sent.visitor()

    answer = sent.visitor.accept(signature=STROKES)

    assert answer.status == 303, answer.text
    assert answer.headers["Location"] == f"/q/{sent.visitor.token}"
    assert sent.now["status"] == "accepted"
    kept = portal("GET", f"/v1/quotes/{sent.id}/acceptance").json
    assert kept["name"] == "Grace Hopper"
    assert kept["signature"] == STROKES
    assert kept["source_ip"] == "192.0.2.10"
    assert kept["user_agent"] == PHONE
    assert kept["selected"] == [3]
    assert kept["total"] == "275.00"
    assert re.fullmatch("[0-9a-f]{64}", kept["version_sha256"])
    assert sent.history()[-1] == "quote.accepted"
    assert "Accepted by Grace Hopper" in sent.visitor().text


def test_another_choice_is_priced_by_the_server_and_kept_beside_the_frozen_version(
    sent: Sent, portal: Client, database: Database
) -> None:
    before = rows(database, "select v::text from app.quote_versions v")
    before += rows(database, "select l::text from app.quote_lines l order by position")

    answer = sent.visitor.accept(option=[2], total="286.00")

    assert answer.status == 303, answer.text
    kept = portal("GET", f"/v1/quotes/{sent.id}/acceptance").json
    assert (kept["selected"], kept["subtotal"], kept["total"]) == ([2], "260.00", "286.00")
    assert kept["deposit_amount"] == "143.00"
    after = rows(database, "select v::text from app.quote_versions v")
    assert (
        after + rows(database, "select l::text from app.quote_lines l order by position") == before
    )


@pytest.mark.parametrize("option", [[], [2], [3], [2, 3]])
def test_reports_count_what_the_client_took(
    sent: Sent, database: Database, option: list[int]
) -> None:
    """2 x 80 + 25 % = 200 to begin with, mulch for 60 and edging for 50, and a tenth of tax."""
    total = (200 + 60 * (2 in option) + 50 * (3 in option)) * 11 / 10

    assert sent.visitor.accept(option=option, total=f"{total:.2f}").status in {200, 303}

    with psycopg.connect(database.owner_url) as owner:
        assert recount.differences(owner) == []
    (told,) = rows(database, "select total, lines from app.item_facts")
    assert (float(told[0]), told[1]) == (total, 1 + len(option))


def test_a_total_that_was_not_shown_is_not_accepted(sent: Sent) -> None:
    answer = sent.visitor.accept(option=[2, 3])

    assert answer.status == 409
    assert "Nothing was accepted yet" in answer.text
    assert 'value="341.00"' in answer.text
    assert 'value="Grace Hopper"' in answer.text
    assert sent.now["status"] == "sent"


def test_the_total_of_a_choice_is_told_and_not_kept(sent: Sent) -> None:
    form = {"revision": 1, "option": [2, 3], "total": "275.00", "name": ""}

    page = sent.visitor("POST", form, at="/total")
    told = sent.visitor("POST", form, at="/total", headers={"accept": "application/json"})

    assert page.status == told.status == 200
    assert "$341.00" in page.text
    assert (told.json["total"], told.json["agreed"]) == ("341.00", "$341.00")
    assert sent.now["total"] == "275.00"


def test_accepting_again_is_the_same_answer_and_one_acceptance(sent: Sent, database) -> None:
    first = sent.visitor.accept()
    again = sent.visitor.accept(name="Somebody Else")

    assert (again.status, again.headers["Location"]) == (first.status, first.headers["Location"])
    assert rows(database, "select name from app.quote_acceptances") == [("Grace Hopper",)]


def test_accepting_in_many_tabs_at_once_is_one_acceptance(sent: Sent, database) -> None:
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: sent.visitor.accept(), range(8)))

    assert [answer.status for answer in answers] == [303] * 8
    assert len(rows(database, "select from app.quote_acceptances")) == 1
    assert sent.history().count("quote.accepted") == 1
    assert len(rows(database, "select from app.mails")) == 2


def test_accepting_promises_the_certified_pdf_and_a_mail_to_both(
    sent: Sent, database: Database, aws_services: Aws
) -> None:
    aws_services.messages(aws_services.pdf_queue)

    sent.visitor.accept()

    mails = rows(
        database, "select recipient, reply_to, subject, html_body from app.mails order by 1"
    )
    assert [mail[:2] for mail in mails] == [
        ("grace@example.com", "office@green.example"),
        ("office@green.example", "grace@example.com"),
    ]
    assert "Grace &lt;Hopper&gt; accepted the quote" in mails[1][3]
    assert len(aws_services.messages(aws_services.pdf_queue)) == 1
    waiting = rows(database, "select topic from app.outbox where blocked_by is not null")
    assert waiting == [("mail",), ("mail",)]


def test_declining_keeps_the_reason_and_tells_the_contractor(sent: Sent, database) -> None:
    answer = sent.visitor("POST", {"reason": "Too <b>dear</b>"}, at="/decline")

    assert answer.status == 303
    assert (sent.now["status"], sent.now["decision_note"]) == ("declined", "Too <b>dear</b>")
    ((recipient, html),) = rows(database, "select recipient, html_body from app.mails")
    assert recipient == "office@green.example"
    assert "Too &lt;b&gt;dear&lt;/b&gt;" in html
    assert sent.visitor("POST", {"reason": ""}, at="/decline").status == 303
    assert sent.history().count("quote.declined") == 1


def test_a_question_is_kept_mailed_and_listed_for_its_owner(
    sent: Sent, portal: Client, database: Database
) -> None:
    answer = sent.visitor("POST", {"question": "Is <b>mulch</b> red?"}, at="/question")

    assert answer.headers["Location"].endswith("?asked")
    assert "Your question was sent" in sent.visitor(query="asked").text
    listed = portal("GET", f"/v1/quotes/{sent.id}/questions").json
    assert [one["question"] for one in listed["data"]] == ["Is <b>mulch</b> red?"]
    ((recipient, html),) = rows(database, "select recipient, html_body from app.mails")
    assert recipient == "office@green.example"
    assert "Is &lt;b&gt;mulch&lt;/b&gt; red?" in html


def test_questions_are_paged_and_too_many_a_day_are_refused(sent: Sent, portal: Client) -> None:
    for number in range(21):
        last = sent.visitor("POST", {"question": f"{number}?"}, at="/question")

    assert last.status == 429
    page = portal("GET", f"/v1/quotes/{sent.id}/questions", query="limit=15").json
    query = f"limit=15&cursor={page['next_cursor']}"
    rest = portal("GET", f"/v1/quotes/{sent.id}/questions", query=query).json
    found = [one["question"] for one in page["data"] + rest["data"]]
    assert found == [f"{number}?" for number in reversed(range(20))]


ENDS: Final = {
    "expired": ("update app.quotes set expires_at = now() - interval '1 hour'", 410, "has expired"),
    "superseded": ("update app.quotes set status = 'superseded'", 409, "replaced by a newer one"),
    "declined": ("update app.quotes set status = 'declined'", 409, "was declined"),
}


@pytest.mark.parametrize("end", ENDS)
def test_an_answer_that_comes_too_late_is_a_page_that_says_why(
    sent: Sent, end: str, database: Database
) -> None:
    statement, status, words = ENDS[end]
    change(database, statement)

    answer = sent.visitor.accept()

    assert answer.status == status
    assert words in answer.text
    page = sent.visitor()
    assert page.status == 200
    assert words in page.text
    assert "<form" not in page.text or end in {"expired", "declined"}
    assert 'id="accept"' not in page.text
    assert rows(database, "select from app.quote_acceptances") == []


def test_a_quote_that_its_owner_accepted_shows_no_name(sent: Sent) -> None:
    sent.owner("POST", f"/v1/quotes/{sent.id}/accept")

    text = sent.visitor().text

    assert "This quote was accepted." in text
    assert 'id="accept"' not in text


def test_an_unknown_link_leads_nowhere_in_the_readers_language(sent: Sent) -> None:
    answer = Visitor("x" * 43)(headers={"accept-language": "xx,de-AT;q=0.8,en"})

    assert answer.status == 404
    assert 'lang="de"' in answer.text
    assert "Seite nicht gefunden" in answer.text


def test_a_revoked_link_is_gone_and_a_new_one_works(sent: Sent, portal: Client) -> None:
    renewed = portal("POST", f"/v1/quotes/{sent.id}/link")

    assert renewed.status == 201
    assert sent.visitor().status == 410
    assert sent.visitor.accept().status == 410
    fresh = Visitor(renewed.json["link"].rpartition("/")[2])
    assert fresh().status == 200
    assert portal("DELETE", f"/v1/quotes/{sent.id}/link").status == 204
    assert fresh().status == 410
    assert {"quote.link_renewed", "quote.link_revoked"} <= set(sent.history())


def test_a_link_ends_some_time_after_the_quote(sent: Sent, database: Database) -> None:
    change(database, "update app.quote_links set expires_at = now() - interval '1 second'")

    assert sent.visitor().status == 410


def test_a_draft_has_no_link_to_renew(owner: Client, portal: Client) -> None:
    draft = owner("POST", "/v1/quotes", QUOTE).json

    assert portal("POST", f"/v1/quotes/{draft['id']}/link").status == 409


@pytest.mark.parametrize("path", ["acceptance", "questions"])
def test_what_a_client_said_is_not_told_to_another_account(
    sent: Sent, issuer: Issuer, path: str
) -> None:
    sent.visitor.accept()
    stranger = Client(lambda_handler, issuer.token(OTHER_USER), "ANY")

    assert stranger("GET", f"/v1/quotes/{sent.id}/{path}").status == 404
    assert stranger("POST", f"/v1/quotes/{sent.id}/link").status == 404
    assert stranger("DELETE", f"/v1/quotes/{sent.id}/link").status == 404
    assert sent.visitor().status == 200


def test_only_the_hash_of_a_token_is_in_the_links(sent: Sent, database: Database) -> None:
    kept = rows(database, "select l::text from app.quote_links l")

    assert sent.visitor.token not in json.dumps(kept)


REFUSED: Final[dict[str, dict[str, Any] | str]] = {
    "no name": {"name": ""},
    "blank name": {"name": "   "},
    "long name": {"name": "x" * 201},
    "line end in the name": {"name": "Grace\r\nBcc: x"},
    "NUL": {"name": "\x00"},
    "no option of the quote": {"option": [1]},
    "unknown option": {"option": [9]},
    "option no number": {"option": ["x"]},
    "two names": {"name": ["a", "b"]},
    "unknown field": {"admin": "1"},
    "negative total": {"total": "-1"},
    "total no number": {"total": "NaN"},
    "signature with markup": {"signature": 'M1 1L2 2"/><script>'},
    "signature too long": {"signature": "M1 1" + "L2 2" * 6000},
    "not a form": "=;&&%%%ff=1&a",
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_wrong_form_is_refused_and_changes_nothing(sent: Sent, case: str, database) -> None:
    wrong = REFUSED[case]
    if isinstance(wrong, str):
        answer = sent.visitor("POST", wrong, at="/accept")
    else:
        answer = sent.visitor.accept(**wrong)

    assert answer.status in {400, 422}, answer.text
    assert "<script>" not in answer.text
    assert sent.now["status"] == "sent"
    assert rows(database, "select from app.quote_acceptances") == []


def test_a_body_that_is_no_form_or_too_large_is_refused(sent: Sent) -> None:
    json_body = sent.visitor(
        "POST", "{}", at="/accept", headers={"content-type": "application/json"}
    )
    large = sent.visitor("POST", {"question": "x" * 70_000}, at="/question")

    assert (json_body.status, large.status) == (415, 413)


def test_too_many_requests_with_a_link_wait_a_minute(sent: Sent, database: Database) -> None:
    statuses = [sent.visitor("HEAD").status for _ in range(limits.PER_LINK + 1)]

    assert statuses == [200] * limits.PER_LINK + [429]
    change(database, "update ops.portal_requests set begun_at = now() - interval '61 seconds'")
    assert sent.visitor("HEAD").status == 200


def test_who_tries_many_links_is_stopped_by_his_address(sent: Sent) -> None:
    statuses = {Visitor(f"guess-{number}")("HEAD").status for number in range(limits.PER_ADDRESS)}

    assert statuses == {404}
    assert Visitor("one-more")("HEAD").status == 429
    assert sent.visitor("HEAD").status == 429
    assert Visitor(sent.visitor.token, source_ip="192.0.2.99")("HEAD").status == 200


@pytest.fixture
def edge(environment: pytest.MonkeyPatch, amazon_services: amazon.Aws) -> dict[str, str]:  # noqa: F811
    """What web.yaml's distribution adds to a request of 198.51.100.7."""
    amazon_services.give("edge", {"key": "k" * 64})
    environment.setenv("PORTAL_EDGE_SECRET", "edge")
    settings.forget()
    resources = read("web.yaml")["Resources"]
    config = resources["Distribution"]["Properties"]["DistributionConfig"]
    (origin,) = (item for item in config["Origins"] if item["Id"] == "api")
    (shown,) = origin["OriginCustomHeaders"]
    code = resources["ViewerFunction"]["Properties"]["FunctionCode"]
    (viewer,) = re.findall(r'headers\["([a-z-]+)"\] = \{ value: event.viewer.ip \}', code)
    return {shown["HeaderName"]: "k" * 64, viewer: "198.51.100.7"}


@pytest.mark.parametrize(
    ("key", "source_ip"),
    [("k" * 64, "198.51.100.7"), ("x" * 64, "192.0.2.10"), ("é", "192.0.2.10")],
)
def test_the_address_the_distribution_saw_counts_with_its_key_alone(
    sent: Sent, portal: Client, edge: dict[str, str], *, key: str, source_ip: str
) -> None:
    form = {"revision": 1, "option": [3], "total": "275.00", "name": "Grace Hopper"}

    sent.visitor("POST", form, at="/accept", headers=edge | {next(iter(edge)): key})

    assert portal("GET", f"/v1/quotes/{sent.id}/acceptance").json["source_ip"] == source_ip


def test_without_the_distributions_key_its_word_is_nothing(
    sent: Sent, portal: Client, edge: dict[str, str]
) -> None:
    form = {"revision": 1, "option": [3], "total": "275.00", "name": "Grace Hopper"}
    del edge["x-quotekit-edge"]

    sent.visitor("POST", form, at="/accept", headers=edge)

    assert portal("GET", f"/v1/quotes/{sent.id}/acceptance").json["source_ip"] == "192.0.2.10"


def test_the_page_speaks_the_clients_language(owner: Client, settings_of_company: None) -> None:
    text = send(owner, language="de", currency="EUR").visitor().text

    assert '<html lang="de-DE">' in text
    assert "Dieses Angebot annehmen" in text
    assert "275,00\xa0€" in text


def test_a_company_has_its_colour(sent: Sent) -> None:
    assert "/q/brand/2e7d32.css" in sent.visitor().text

    style = Visitor("brand")(at="/2e7d32.css")

    assert style.headers["Content-Type"] == "text/css"
    assert "--stripe:#2e7d32" in style.text
    assert Visitor("brand")(at="/x{}url(evil).css").text.count("{") == 1


def test_a_quote_with_nothing_to_choose_has_no_total_to_update(
    owner: Client, settings_of_company: None
) -> None:
    sent = send(owner, line_items=QUOTE["line_items"][:1])

    assert 'id="accept"' in sent.visitor().text
    assert 'id="update"' not in sent.visitor().text
