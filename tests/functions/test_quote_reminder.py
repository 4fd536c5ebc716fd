"""Every hour: clients who have not answered are reminded, each once a day, until they answer."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest

from functions.catalog_manager.app import lambda_handler as catalog_handler
from functions.mail_templates.app import lambda_handler as templates_handler
from functions.outbox_sweeper.app import sweep
from functions.quote_processor.app import lambda_handler as quotes_handler
from functions.quote_reminder import app
from functions.quote_versions.app import lambda_handler as versions_handler
from quotekit import outbox
from tests.conftest import Database
from tests.functions.conftest import ACCOUNT, USER, Aws, Client, Issuer, LambdaContext, load_event
from tests.functions.test_mail_sender import deliver, ses  # noqa: F401 a fixture
from tests.functions.test_quote_processor import QUOTE
from tests.vendors.ses import Ses


def noon(days: int) -> datetime:
    """The next noon, UTC, so many days later: after what happened now, by less than a day."""
    now = datetime.now(UTC)
    today = datetime.combine(now.date(), time(12), UTC)
    return today + timedelta(days=days + (now > today))


@pytest.fixture
def quotes(database: Database, aws_services: Aws, issuer: Issuer) -> Client:
    return Client(quotes_handler, issuer.token(USER, ACCOUNT), "ANY /v1/quotes/{proxy+}")


@pytest.fixture
def settings(quotes: Client) -> Client:
    return Client(catalog_handler, quotes.token, "ANY /v1/company-settings")


@pytest.fixture
def owner(database: Database):
    with psycopg.connect(database.owner_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def sent(quotes: Client, owner: Any) -> str:
    return mailed(quotes, owner)


def mailed(quotes: Client, owner: Any) -> str:
    """A quote whose mail has left the house."""
    quote_id = str(quotes("POST", "/v1/quotes", QUOTE).json["id"])
    quotes("POST", f"/v1/quotes/{quote_id}/send", {"channel": "email"})
    owner.execute("update app.mails set status = 'sent', sent_at = now()")
    return quote_id


def mails(owner: Any) -> list[tuple[str, str, str]]:
    """Subject, text and recipient of the reminders."""
    return owner.execute(
        """select subject, text_body, recipient from app.mails as mail join app.quote_reminders
        as reminder on reminder.mail_id = mail.id order by mail.created_at, mail.id"""
    ).fetchall()


def test_a_client_is_reminded_two_and_five_days_after_sending(
    quotes: Client, sent: str, owner: Any, aws_services: Aws
) -> None:
    counts = [app.remind(noon(days)) for days in (0, 2, 2, 3, 4, 5, 5, 6, 30)]

    assert counts == [0, 1, 0, 0, 0, 1, 0, 0, 0]
    subjects = {subject for subject, _, _ in mails(owner)}
    number = quotes("GET", f"/v1/quotes/{sent}").json["number"]
    assert subjects == {f"Reminder: quote {number} from"}
    assert all("is waiting for your answer" in text for _, text, _ in mails(owner))
    assert {to for _, _, to in mails(owner)} == {"grace@example.com"}
    assert len(aws_services.messages(aws_services.mail_queue)) == 2
    history = quotes("GET", f"/v1/quotes/{sent}/history").json["data"]
    reminded = [event["details"] for event in history if event["action"] == "quote.reminded"]
    assert [details["day"] for details in reminded] == [2, 5]


def test_a_reminders_link_is_a_new_one_to_the_same_quote(sent: str, owner: Any) -> None:
    app.remind(noon(2))

    links = owner.execute(
        "select token_hash, expires_at from app.quote_links where quote_id = %s", [sent]
    ).fetchall()
    assert len({token for token, _ in links}) == 2
    assert len({until for _, until in links}) == 1
    ((_, text, _),) = mails(owner)
    assert "https://quotes.test/" in text


def test_a_client_who_looked_and_did_not_answer_is_reminded(sent: str, owner: Any) -> None:
    owner.execute("update app.quotes set status = 'viewed', viewed_at = now()")

    assert app.remind(noon(2)) == 1


@pytest.mark.parametrize("verb", ["accept", "decline"])
def test_who_answered_is_not_reminded(verb: str, quotes: Client, sent: str) -> None:
    quotes("POST", f"/v1/quotes/{sent}/{verb}")

    assert app.remind(noon(2)) == 0


def test_a_replaced_quote_is_not_reminded_of(quotes: Client, sent: str) -> None:
    versions = Client(versions_handler, quotes.token, "ANY /v1/quotes/{quote_id}/revise")
    revision = versions("POST", f"/v1/quotes/{sent}/revise").json
    quotes("POST", f"/v1/quotes/{revision['id']}/send", {"channel": "link"})

    assert app.remind(noon(2)) == 0


def test_a_quote_whose_last_day_is_over_is_not_reminded_of(sent: str, owner: Any) -> None:
    owner.execute("update app.quotes set expires_at = now() + interval '1 day'")

    assert app.remind(noon(2)) == 0


def test_only_whom_a_mail_has_reached_is_reminded(quotes: Client, sent: str, owner: Any) -> None:
    owner.execute("update app.mails set status = 'failed', reason = 'no', sent_at = null")

    assert app.remind(noon(2)) == 0


def test_a_day_that_was_missed_is_made_up_once_and_not_after_two_days(
    sent: str, owner: Any
) -> None:
    assert app.remind(noon(3)) == 1
    assert app.remind(noon(3)) == 0
    owner.execute("delete from app.quote_reminders")
    assert app.remind(noon(8)) == 0


def test_days_are_the_accounts_own_and_none_is_off(settings: Client, sent: str, owner: Any) -> None:
    changed = settings("PATCH", "/v1/company-settings", {"version": 0, "reminder_days": [9, 1]})
    assert (changed.status, changed.json["reminder_days"]) == (200, [1, 9]), changed.text

    assert [app.remind(noon(days)) for days in (1, 2, 5, 9)] == [1, 0, 0, 1]
    off = settings("PATCH", "/v1/company-settings", {"version": 1, "reminder_days": []})
    owner.execute("delete from app.quote_reminders")
    assert (off.json["reminder_days"], app.remind(noon(1))) == ([], 0)


@pytest.mark.parametrize("days", [[0], [91], [1, 1], [1, 2, 3, 4, 5, 6], None, ["x"], [1.5]])
def test_days_that_are_none_are_refused(days: Any, settings: Client) -> None:
    answer = settings("PATCH", "/v1/company-settings", {"version": 0, "reminder_days": days})

    assert answer.status == 422


def test_nobody_is_reminded_at_night(settings: Client, sent: str) -> None:
    zone = {"version": 0, "time_zone": "Pacific/Auckland"}  # twelve or thirteen hours ahead
    assert settings("PATCH", "/v1/company-settings", zone).status == 200

    assert app.remind(noon(2)) == 0
    assert app.remind(noon(2) + timedelta(hours=11)) == 1


def test_two_runs_at_once_remind_once(quotes: Client, owner: Any, environment: Any) -> None:
    environment.setenv("DATABASE_POOL_MAX", "8")
    for _ in range(5):
        mailed(quotes, owner)

    with ThreadPoolExecutor(4) as pool:
        counts = [run.result() for run in [pool.submit(app.remind, noon(2)) for _ in range(4)]]

    assert sum(counts) == 5
    assert len(mails(owner)) == 5


def test_a_run_that_dies_before_the_queue_is_made_up_by_the_sweeper(
    sent: str, aws_services: Aws, owner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as dying:
        dying.setattr(outbox, "deliver", lambda _: pytest.fail("killed"))
        with pytest.raises(BaseException, match="killed"):
            app.remind(noon(2))
    assert app.remind(noon(2)) == 0
    owner.execute("update app.outbox set due_at = now() - interval '1 minute' where topic = 'mail'")
    owner.execute("update app.outbox set sent_at = now() where topic = 'pdf'")

    sweep()

    (reminder,) = owner.execute("select mail_id from app.quote_reminders").fetchone()
    queued = [message["mail_id"] for message in aws_services.messages(aws_services.mail_queue)]
    assert str(reminder) in queued


def test_who_answers_while_his_reminder_is_on_its_way_gets_none(
    quotes: Client,
    sent: str,
    owner: Any,
    aws_services: Aws,
    ses: Ses,  # noqa: F811
) -> None:
    app.remind(noon(2))
    (message,) = aws_services.messages(aws_services.mail_queue)
    quotes("POST", f"/v1/quotes/{sent}/accept")

    assert deliver(message)

    assert ses.mails == []
    status, reason = owner.execute(
        "select status, reason from app.mails where id = %s", [message["mail_id"]]
    ).fetchone()
    assert (status, reason) == ("failed", "the quote was answered, replaced or expired first")
    assert quotes("GET", f"/v1/quotes/{sent}").json["delivery"]["status"] == "sent"


def test_a_reminder_that_is_still_due_is_mailed(
    sent: str,
    aws_services: Aws,
    ses: Ses,  # noqa: F811
) -> None:
    app.remind(noon(2))
    (message,) = aws_services.messages(aws_services.mail_queue)

    assert deliver(message)

    (mail,) = ses.mails
    assert mail["Subject"].startswith("Reminder: quote")


def test_a_reminder_says_the_accounts_own_words(quotes: Client, sent: str, owner: Any) -> None:
    templates = Client(templates_handler, quotes.token, "ANY /v1/mail-templates")
    words = {"subject": "About {quote_number}", "body": "Dear {client_name},\n\nwell? {total}"}
    made = templates("POST", "/v1/mail-templates", words | {"kind": "reminder", "language": "en"})
    assert made.status == 201, made.text

    app.remind(noon(2))

    ((subject, text, _),) = mails(owner)
    assert subject.startswith("About Q-")
    assert text.startswith("Dear Grace Hopper,\n\nwell? $220.00\n\n")


def test_another_accounts_settings_and_words_are_not_used(
    quotes: Client, sent: str, owner: Any
) -> None:
    other = UUID(int=7)
    owner.execute("insert into app.accounts (id) values (%s)", [other])
    owner.execute(
        "insert into app.company_settings (account_id, reminder_days) values (%s, '{}')", [other]
    )
    owner.execute(
        """insert into app.mail_templates (id, account_id, kind, language, subject, body)
        values (gen_random_uuid(), %s, 'reminder', 'en', 'Mine', 'Mine')""",
        [other],
    )

    assert app.remind(noon(2)) == 1
    ((subject, _, _),) = mails(owner)
    assert subject != "Mine"


def test_the_schedule_reminds_who_is_due(sent: str) -> None:
    assert app.lambda_handler(load_event("quote_reminder"), LambdaContext()) == {"reminded": 0}
