"""A quote's mails, and opens that are counted only where the account asks for it."""

import base64
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, time, timedelta
from html.parser import HTMLParser
from typing import Any, Final

import psycopg
import pytest

from functions.catalog_manager.app import lambda_handler as catalog_handler
from functions.mail_templates.app import lambda_handler as templates_handler
from functions.quote_mails.app import GIF, lambda_handler
from functions.quote_processor.app import lambda_handler as quotes_handler
from functions.quote_reminder import app as reminder
from quotekit import database as quotekit_database
from quotekit.mails import opens
from tests import documented
from tests.conftest import Database
from tests.functions.conftest import (
    ACCOUNT,
    OTHER_USER,
    USER,
    Aws,
    Client,
    Issuer,
    LambdaContext,
    forget,
    http_event,
    load_event,
)
from tests.functions.test_quote_processor import QUOTE

SETTINGS: Final = "/v1/company-settings"
ROUTE: Final = "GET /q/mails/{token}/opened.gif"
NOBODYS: Final = "A" * 43
FOUND: Final = re.compile(
    r'<img src="https://quotes\.test(/mails/([A-Za-z0-9_-]{43})/opened\.gif)"'
)


@pytest.fixture
def quotes(database: Database, aws_services: Aws, issuer: Issuer) -> Client:
    return Client(quotes_handler, issuer.token(USER, ACCOUNT), "ANY /v1/quotes/{proxy+}")


@pytest.fixture
def settings(quotes: Client) -> Client:
    return Client(catalog_handler, quotes.token, f"ANY {SETTINGS}")


@pytest.fixture
def mails(quotes: Client) -> Client:
    return Client(lambda_handler, quotes.token, "ANY /v1/quotes/{quote_id}/mails")


@pytest.fixture
def owner(database: Database):
    with psycopg.connect(database.owner_url, autocommit=True) as connection:
        yield connection


def track(settings: Client, *, on: bool) -> None:
    version = settings("GET", SETTINGS).json["version"]
    changed = settings("PATCH", SETTINGS, {"track_opens": on, "version": version})
    assert (changed.status, changed.json["track_opens"]) == (200, on), changed.text


@pytest.fixture
def tracked(settings: Client) -> None:
    track(settings, on=True)


def send(quotes: Client, **changes: Any) -> str:
    quote = quotes("POST", "/v1/quotes", QUOTE | changes).json
    sent = quotes("POST", f"/v1/quotes/{quote['id']}/send", {"channel": "email"})
    assert sent.status == 200, sent.text
    return str(quote["id"])


def written(owner: Any, quote_id: str) -> tuple[str, str]:
    """Text and HTML of the newest mail about a quote."""
    found: tuple[str, str] = owner.execute(
        """select text_body, html_body from app.mails where quote_id = %s
        order by created_at desc, id desc limit 1""",
        [quote_id],
    ).fetchone()
    return found


def token_in(owner: Any, quote_id: str) -> str:
    ((_, token),) = FOUND.findall(written(owner, quote_id)[1])
    return str(token)


def ask(token: str, method: str = "GET") -> dict[str, Any]:
    """What the portal's host answers to a mail program."""
    path = f"/q/mails/{token}/opened.gif"
    answer = lambda_handler(http_event(method, path, route=ROUTE), LambdaContext())
    documented.check(method, path, answer["statusCode"], answer["body"])
    return answer


def listed(mails: Client, quote_id: str) -> dict[str, Any]:
    (found,) = mails("GET", f"/v1/quotes/{quote_id}/mails").json["data"]
    return dict(found)


class Tags(HTMLParser):
    """The elements of a mail as a reader's program sees them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.images: list[dict[str, str | None]] = []
        self.names: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        if tag == "img":
            self.images.append(dict(attrs))


def test_nothing_is_tracked_unless_the_account_says_so(
    settings: Client, quotes: Client, mails: Client, owner: Any
) -> None:
    assert settings("GET", SETTINGS).json["track_opens"] is False

    quote_id = send(quotes)

    assert "<img" not in written(owner, quote_id)[1]
    assert owner.execute("select count(*) from app.mail_opens").fetchone() == (0,)
    mail = listed(mails, quote_id)
    assert (mail["status"], mail["sent_at"], mail["reason"]) == ("queued", None, None)
    assert (mail["recipient"], mail["opens"]) == ("grace@example.com", None)
    assert mail["opens_reason"] == "not tracked"
    assert (mail["first_opened_at"], mail["last_opened_at"]) == (None, None)


def test_switching_it_on_is_audited(settings: Client, tracked: None, owner: Any) -> None:
    rows = owner.execute("select action, details from app.audit_events").fetchall()

    assert ("company_settings.changed", {"fields": ["track_opens"]}) in rows


@pytest.mark.parametrize("wrong", [None, "always", 2, []])
def test_only_a_true_or_a_false_switches_it(wrong: object, settings: Client) -> None:
    answer = settings("PATCH", SETTINGS, {"track_opens": wrong, "version": 0})

    assert answer.status == 422


@pytest.mark.usefixtures("tracked")
def test_a_tracked_mail_has_one_picture_in_its_html_and_none_in_its_text(
    quotes: Client, owner: Any
) -> None:
    quote_id = send(quotes)

    text, html = written(owner, quote_id)
    (image,) = Tags(html).images
    token = token_in(owner, quote_id)
    assert image["src"] == f"https://quotes.test/mails/{token}/opened.gif"
    assert (image["width"], image["height"], image["alt"]) == ("1", "1", "")
    assert token not in text
    assert "opened.gif" not in text
    kept = owner.execute("select encode(token_hash, 'hex') from app.mail_opens").fetchall()
    assert kept == owner.execute("select encode(sha256(%s), 'hex')", [token.encode()]).fetchall()


@pytest.mark.usefixtures("tracked")
def test_opens_are_counted_with_the_first_and_the_last(
    quotes: Client, mails: Client, owner: Any
) -> None:
    quote_id = send(quotes)
    token = token_in(owner, quote_id)
    before = listed(mails, quote_id)

    seen = []
    for _ in range(3):
        ask(token)
        seen.append(listed(mails, quote_id))

    assert (before["opens"], before["opens_reason"], before["first_opened_at"]) == (0, None, None)
    assert [mail["opens"] for mail in seen] == [1, 2, 3]
    assert len({mail["first_opened_at"] for mail in seen}) == 1
    assert seen[0]["first_opened_at"] == seen[0]["last_opened_at"]
    lasts = [mail["last_opened_at"] for mail in seen]
    assert lasts == sorted(set(lasts))


@pytest.mark.usefixtures("tracked")
def test_opened_twice_at_once_is_two_opens_with_one_first(
    quotes: Client, mails: Client, owner: Any
) -> None:
    quote_id = send(quotes)
    token = token_in(owner, quote_id)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: ask(token), range(16)))

    assert {answer["statusCode"] for answer in answers} == {200}
    mail = listed(mails, quote_id)
    assert mail["opens"] == 16
    assert mail["first_opened_at"] < mail["last_opened_at"]


@pytest.mark.usefixtures("tracked")
def test_an_open_is_no_view_and_says_nothing_of_who_asked(quotes: Client, owner: Any) -> None:
    quote_id = send(quotes)
    quote = quotes("GET", f"/v1/quotes/{quote_id}").json

    ask(token_in(owner, quote_id))

    assert quotes("GET", f"/v1/quotes/{quote_id}").json == quote
    assert (quote["status"], quote["viewed_at"]) == ("sent", None)
    columns = owner.execute(
        "select attname from pg_attribute where attrelid = 'app.mail_opens'::regclass"
        " and attnum > 0 order by 1"
    ).fetchall()
    assert [name for (name,) in columns] == [
        *("account_id", "created_at", "first_opened_at", "last_opened_at"),
        *("mail_id", "opens", "token_hash"),
    ]


@pytest.mark.usefixtures("tracked")
def test_a_head_is_answered_and_not_counted(quotes: Client, mails: Client, owner: Any) -> None:
    quote_id = send(quotes)

    answer = ask(token_in(owner, quote_id), "HEAD")

    assert answer["statusCode"] == 200
    assert listed(mails, quote_id)["opens"] == 0


@pytest.mark.usefixtures("tracked")
def test_an_old_picture_counts_nothing_where_tracking_was_switched_off(
    settings: Client, quotes: Client, mails: Client, owner: Any
) -> None:
    quote_id = send(quotes)
    token = token_in(owner, quote_id)
    ask(token)
    track(settings, on=False)

    ask(token)

    assert listed(mails, quote_id)["opens"] == 1


@pytest.mark.usefixtures("tracked")
def test_a_picture_counts_for_ninety_days(quotes: Client, mails: Client, owner: Any) -> None:
    quote_id = send(quotes)
    token = token_in(owner, quote_id)
    aged = "update app.mail_opens set created_at = now() - %s::interval"

    owner.execute(aged, ["90 days 1 minute"])
    ask(token)
    too_old = listed(mails, quote_id)["opens"]
    owner.execute(aged, ["89 days 23 hours"])
    ask(token)

    assert (too_old, listed(mails, quote_id)["opens"]) == (0, 1)


HOSTILE: Final = (
    *("", " ", "A" * 42, "A" * 44, "A" * 100_000, "A" * 42 + "\x00", "A" * 42 + "\ud800"),
    *("' or true --", "%00", "../../etc/passwd", "<script>", "A" * 42 + "é", "A" * 43 + "\n"),
)


@pytest.mark.usefixtures("tracked")
def test_every_token_gets_the_same_answer(
    settings: Client, quotes: Client, mails: Client, owner: Any
) -> None:
    quote_id = send(quotes)
    token = token_in(owner, quote_id)

    answers = [ask(token), *(ask(hostile) for hostile in (NOBODYS, token[:-1], *HOSTILE))]
    track(settings, on=False)
    answers.append(ask(token))

    assert all(answer == answers[0] for answer in answers)
    assert answers[0]["headers"]["Content-Type"] == "image/gif"
    assert answers[0]["headers"]["Cache-Control"] == "no-store"
    assert not {name.lower() for name in answers[0]["headers"]} & {"set-cookie", "etag"}
    picture = base64.b64decode(answers[0]["body"])
    assert (len(picture), picture[:10]) == (43, b"GIF89a\x01\x00\x01\x00")
    assert listed(mails, quote_id)["opens"] == 1


def test_the_picture_is_shown_without_a_database(
    quotes: Client, environment: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    known = ask(NOBODYS)
    environment.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing")
    forget()
    quotekit_database.forget()

    assert ask(NOBODYS) == known
    assert [record.getMessage() for record in caplog.records] == ["an open was not counted"]
    assert NOBODYS not in caplog.text


def test_the_picture_is_shown_where_the_database_gives_up(
    quotes: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def give_up(*_: object) -> None:
        raise psycopg.errors.QueryCanceled

    known = ask(NOBODYS)
    monkeypatch.setattr(opens, "count", give_up)

    assert ask(NOBODYS) == known


@pytest.mark.usefixtures("tracked")
def test_another_account_sees_neither_mails_nor_opens(
    quotes: Client, mails: Client, owner: Any, issuer: Issuer
) -> None:
    quote_id = send(quotes)
    ask(token_in(owner, quote_id))
    stranger = Client(lambda_handler, issuer.token(OTHER_USER), mails.route)

    assert stranger("GET", f"/v1/quotes/{quote_id}/mails").status == 404
    assert Client(lambda_handler, None, mails.route)(
        "GET", f"/v1/quotes/{quote_id}/mails"
    ).status == 401  # fmt: skip


@pytest.mark.usefixtures("tracked")
def test_one_accounts_setting_is_not_anothers(quotes: Client, owner: Any, issuer: Issuer) -> None:
    other = Client(quotes_handler, issuer.token(OTHER_USER), quotes.route)

    ours, theirs = send(quotes), send(other)

    assert len(Tags(written(owner, ours)[1]).images) == 1
    assert Tags(written(owner, theirs)[1]).images == []


@pytest.mark.usefixtures("tracked")
def test_a_mails_words_cannot_put_pictures_into_it(quotes: Client, owner: Any) -> None:
    evil = '"><img src="https://evil.test/x.gif"></body>'
    templates = Client(templates_handler, quotes.token, "ANY /v1/mail-templates")
    own = {"kind": "quote", "language": "en", "subject": evil, "body": f"{evil}\n\n{{client_name}}"}
    assert templates("POST", "/v1/mail-templates", own).status == 201

    quote_id = send(quotes, client={"name": evil, "email": "grace@example.com"})

    html = written(owner, quote_id)[1]
    (image,) = Tags(html).images
    assert str(image["src"]).startswith("https://quotes.test/mails/")
    assert html.count("</body>") == 1


@pytest.mark.usefixtures("tracked")
def test_a_reminder_has_a_picture_of_its_own_and_mails_are_paged(
    quotes: Client, mails: Client, owner: Any
) -> None:
    quote_id = send(quotes)
    first = token_in(owner, quote_id)
    owner.execute("update app.mails set status = 'sent', sent_at = now()")
    day = datetime.now(UTC).date() + timedelta(days=3)

    assert reminder.remind(datetime.combine(day, time(12), UTC)) == 1

    second = token_in(owner, quote_id)
    ask(second)
    assert first != second
    path = f"/v1/quotes/{quote_id}/mails"
    newest = mails("GET", path, query="limit=1").json
    rest = mails("GET", path, query=f"limit=1&cursor={newest['next_cursor']}").json
    assert [mail["opens"] for mail in (*newest["data"], *rest["data"])] == [1, 0]
    assert [mail["status"] for mail in (*newest["data"], *rest["data"])] == ["queued", "sent"]
    assert rest["next_cursor"] is None
    assert mails("GET", path, query="cursor=x").status == 422
    assert mails("GET", path, query="limit=101").status == 422


@pytest.mark.usefixtures("tracked")
def test_opens_go_with_the_mails_and_are_exported_without_the_hash(
    quotes: Client, owner: Any, database: Database
) -> None:
    quote_id = send(quotes)

    may = owner.execute(
        """select attname from pg_attribute where attrelid = 'app.mail_opens'::regclass
        and attnum > 0 and has_column_privilege('authenticated', attrelid, attname, 'select')"""
    ).fetchall()
    assert ("opens",) in may
    assert ("token_hash",) not in may
    owner.execute("delete from app.mails where quote_id = %s", [quote_id])
    assert owner.execute("select count(*) from app.mail_opens").fetchone() == (0,)


def test_the_committed_event_is_answered_with_the_picture(
    database: Database, aws_services: Aws
) -> None:
    answer = lambda_handler(load_event("quote_mails"), LambdaContext())

    assert (answer["statusCode"], answer["body"]) == (200, GIF)
