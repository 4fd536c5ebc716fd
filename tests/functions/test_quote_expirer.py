"""Every hour: sent quotes expire when their last day has ended at their account's place."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import psycopg
import pytest

from functions.quote_expirer.app import expire, lambda_handler
from functions.quote_processor.app import lambda_handler as quotes_handler
from tests.conftest import Database
from tests.functions.conftest import ACCOUNT, USER, Aws, Client, Issuer, LambdaContext, load_event
from tests.functions.test_quote_processor import QUOTE

LAST_DAY = date(2035, 6, 30)


@pytest.fixture
def quotes(database: Database, aws_services: Aws, issuer: Issuer) -> Client:
    return Client(quotes_handler, issuer.token(USER, ACCOUNT), "ANY /v1/quotes/{proxy+}")


def sent(quotes: Client) -> UUID:
    created = quotes("POST", "/v1/quotes", QUOTE | {"valid_until": LAST_DAY.isoformat()})
    quotes("POST", f"/v1/quotes/{created.json['id']}/send", {"channel": "link"})
    return UUID(created.json["id"])


def test_a_quote_holds_until_midnight_at_the_accounts_place(
    quotes: Client, database: Database
) -> None:
    quotes("GET", "/v1/usage")
    with psycopg.connect(database.owner_url, autocommit=True) as owner:
        owner.execute("insert into app.accounts (id) values (%s)", [ACCOUNT])
        member = "insert into app.members (account_id, user_id) values (%s, %s)"
        owner.execute(member, [ACCOUNT, USER])
        owner.execute(
            "insert into app.company_settings (account_id, time_zone) values (%s, %s)",
            [ACCOUNT, "Pacific/Auckland"],  # twelve hours ahead of UTC in June
        )
    quote_id = sent(quotes)

    before = expire(datetime(2035, 6, 30, 11, 59, 59, tzinfo=UTC))
    after = expire(datetime(2035, 6, 30, 12, 0, 0, tzinfo=UTC))
    again = expire(datetime(2035, 6, 30, 12, 0, 0, tzinfo=UTC))

    assert (before, after, again) == (0, 1, 0)
    assert quotes("GET", f"/v1/quotes/{quote_id}").json["status"] == "expired"
    history = quotes("GET", f"/v1/quotes/{quote_id}/history").json["data"]
    assert (history[-1]["action"], history[-1]["actor_id"]) == ("quote.expired", None)


@pytest.mark.parametrize(
    ("zone", "last_day", "ends"),
    [
        ("America/New_York", "2035-03-10", "2035-03-11T05:00:00"),  # clocks go on two hours later
        ("America/New_York", "2035-03-11", "2035-03-12T04:00:00"),  # that day has 23 hours
        ("America/New_York", "2035-11-04", "2035-11-05T05:00:00"),  # and that one 25
        ("America/Santiago", "2035-09-01", "2035-09-02T04:00:00"),  # there is no such midnight
        ("America/Havana", "2035-11-03", "2035-11-04T04:00:00"),  # there are two, and this is first
        ("Asia/Kathmandu", "2035-06-30", "2035-06-30T18:15:00"),
        ("Pacific/Kiritimati", "2035-06-30", "2035-06-30T10:00:00"),
    ],
)
def test_the_last_day_ends_by_the_accounts_clock_also_where_it_is_changed(
    zone: str, last_day: str, ends: str, quotes: Client, database: Database
) -> None:
    quote = quotes("POST", "/v1/quotes", QUOTE | {"valid_until": last_day}).json
    with psycopg.connect(database.owner_url, autocommit=True) as owner:
        owner.execute(
            "insert into app.company_settings (account_id, time_zone) values (%s, %s)",
            [ACCOUNT, zone],
        )
    assert quotes("POST", f"/v1/quotes/{quote['id']}/send", {"channel": "link"}).status == 200
    end = datetime.fromisoformat(ends).replace(tzinfo=UTC)

    counts = [expire(end - timedelta(seconds=1)), expire(end), expire(end)]

    assert counts == [0, 1, 0]


def test_an_answered_quote_does_not_expire(quotes: Client) -> None:
    quote_id = sent(quotes)
    quotes("POST", f"/v1/quotes/{quote_id}/accept")

    assert expire(datetime(2040, 1, 1, tzinfo=UTC)) == 0


def test_a_quote_cannot_be_sent_with_a_last_day_in_the_past(quotes: Client) -> None:
    created = quotes("POST", "/v1/quotes", QUOTE | {"valid_until": "2020-01-01"}).json

    answer = quotes("POST", f"/v1/quotes/{created['id']}/send", {"channel": "link"})

    assert (answer.status, answer.json["details"][0]["field"]) == (422, "valid_until")


def test_the_schedule_expires_what_is_due(quotes: Client) -> None:
    sent(quotes)

    assert lambda_handler(load_event("quote_expirer"), LambdaContext()) == {"expired": 0}
