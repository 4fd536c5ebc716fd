"""Batches over quotes: status, deletion, sending, prices; for an account, in real PostgreSQL."""

import threading
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from psycopg.errors import LockNotAvailable

from quotekit import database
from quotekit.assessments import assessments, properties
from quotekit.assessments.requests import AssessmentChange, AssessmentCreate, PropertyCreate
from quotekit.errors import ConflictError
from quotekit.quotes import repository, service
from quotekit.quotes.requests import QuoteChange
from tests.conftest import Database, forget
from tests.operating import LINES, PORTAL, Account, founded


@pytest.fixture
def account(database: Database, monkeypatch: pytest.MonkeyPatch) -> Account:
    monkeypatch.setenv("PORTAL_URL", PORTAL)
    monkeypatch.setenv("DATABASE_POOL_MAX", "4")
    forget()
    account = founded(database.owner_url)
    account.plan()
    return account


@pytest.fixture
def stranger(account: Account) -> Account:
    stranger = founded(account.owner_url)
    stranger.plan()
    return stranger


def statuses(account: Account) -> dict[UUID, str]:
    rows = account.owner("select id, status from app.quotes")
    return dict(rows)


# --- status


def test_each_quote_takes_the_steps_the_api_allows_and_no_other(
    account: Account, stranger: Account
) -> None:
    sent, accepted, draft = account.sent(), account.sent(), account.quote()
    foreign = stranger.sent()
    with database.transaction(account.actor) as connection:
        service.decide(connection, accepted.id, "accepted", None)
    before = statuses(account)

    ran = account.run(
        "update_quote_status",
        [sent.id, accepted.id, draft.id, foreign.id, uuid4()],
        status="accepted",
        note="by telephone",
    )

    assert ran.codes == ["changed", "unchanged", "conflict", "missing", "missing"]
    assert ran.outcomes[2].message == "A quote that is draft cannot become accepted."
    assert statuses(account) == before | {sent.id: "accepted"}
    changed = account.get(sent.id)
    assert (changed.decision_note, changed.version) == ("by telephone", sent.version + 1)
    assert changed.decided_at is not None
    details = {"batch": str(ran.work.job_id), "note": "by telephone"}
    assert account.events("quote.accepted")[sent.id] == details


@pytest.mark.parametrize("status", ["accepted", "declined", "converted", "expired"])
def test_a_batch_does_what_one_by_one_would_do(account: Account, status: str) -> None:
    twins = [(account.sent(), account.sent()) for _ in range(2)] + [(account.quote(),) * 2]
    for quote in twins[1]:
        with database.transaction(account.actor) as connection:
            service.decide(connection, quote.id, "accepted", None)

    ran = account.run("update_quote_status", [pair[0].id for pair in twins], status=status)

    alone = [decided(account, pair[1].id, status) for pair in twins[:2]]
    assert [code == "changed" for code in ran.codes[:2]] == alone
    assert ran.codes[2] == "conflict"
    for one, other in twins[:2]:
        assert account.get(one.id).status == account.get(other.id).status


def decided(account: Account, quote_id: UUID, status: str) -> bool:
    try:
        with database.transaction(account.actor) as connection:
            service.decide(connection, quote_id, status, None)  # type: ignore[arg-type]
    except ConflictError:
        return False
    return True


def test_a_dry_run_says_what_would_happen_and_changes_nothing(account: Account) -> None:
    quotes = [account.sent().id, account.quote().id, uuid4()]
    before = account.owner("select * from app.quotes order by id")

    rehearsed = account.run("update_quote_status", quotes, status="declined", dry_run=True)

    assert account.owner("select * from app.quotes order by id") == before
    assert account.events("quote.declined") == {}
    real = account.run("update_quote_status", quotes, status="declined")
    assert rehearsed.outcomes == real.outcomes


def test_whoever_is_named_twice_counts_once(account: Account) -> None:
    quote = account.sent().id

    ran = account.run("update_quote_status", [quote, quote], status="accepted")

    assert ran.codes == ["changed", "conflict"]
    assert len(account.events("quote.accepted")) == 1


def test_a_thousand_quotes_change_each_with_its_own_event(account: Account) -> None:
    quotes = account.copies(account.sent(), 1000)

    ran = account.run("update_quote_status", quotes, status="accepted")

    assert ran.counts == {"changed": 1000}
    assert set(account.events("quote.accepted")) == set(quotes)
    assert {account.get(quote).status for quote in quotes[:3]} == {"accepted"}


def test_a_status_decided_meanwhile_is_seen(account: Account) -> None:
    quote = account.sent().id
    holding, ended = threading.Event(), threading.Event()

    def decline() -> None:
        with database.transaction(account.actor) as connection:
            service.decide(connection, quote, "declined", None)
            holding.set()
            wait_until_blocked(account)
        ended.set()

    other = threading.Thread(target=decline)
    other.start()
    assert holding.wait(10)
    ran = account.run("update_quote_status", [quote], status="accepted")
    other.join(10)

    assert ended.is_set()
    assert ran.codes == ["conflict"]
    assert account.get(quote).status == "declined"


def wait_until_blocked(account: Account) -> None:
    """Until somebody waits for a lock."""
    waiting = "select 1 from pg_stat_activity where wait_event_type = 'Lock' limit 1"
    for _ in range(2000):
        if account.owner(waiting):
            return
    raise AssertionError("nobody waits")


# --- deletion


def test_drafts_are_deleted_and_what_was_sent_stays(account: Account, stranger: Account) -> None:
    draft, sent = account.quote(), account.sent()
    template = account.quote(is_template=True, template_name="Spring")
    foreign = stranger.quote()

    ran = account.run("delete_quotes", [draft.id, sent.id, template.id, foreign.id, uuid4()])

    assert ran.codes == ["deleted", "conflict", "deleted", "missing", "missing"]
    assert set(statuses(account)) == {sent.id, foreign.id}
    details = {"batch": str(ran.work.job_id)}
    assert account.events("quote.deleted") == {draft.id: details, template.id: details}
    assert account.run("delete_quotes", [draft.id]).codes == ["missing"]


def test_a_dry_run_deletes_no_quote(account: Account) -> None:
    draft = account.quote().id

    ran = account.run("delete_quotes", [draft], dry_run=True)

    assert ran.codes == ["deleted"]
    assert account.get(draft).status == "draft"


def test_a_thousand_drafts_are_deleted_with_their_lines(account: Account) -> None:
    quotes = account.copies(account.quote(), 1000)

    ran = account.run("delete_quotes", quotes)

    assert ran.counts == {"deleted": 1000}
    (left,) = account.owner("select count(*) from app.quote_versions")
    assert left == (1,)


# --- sending


def test_drafts_are_sent_as_if_each_were_sent_alone(account: Account, stranger: Account) -> None:
    drafts = [account.quote().id for _ in range(3)]
    sent, foreign = account.sent(), stranger.quote()
    silent = account.quote(client={"name": "No mail"}).id

    ran = account.run("send_quotes", [*drafts, sent.id, foreign.id, silent], message="Hello")

    year = datetime.now(UTC).year
    assert ran.codes == ["sent", "sent", "sent", "conflict", "missing", "invalid"]
    numbers = [(outcome.data or {}).get("number") for outcome in ran.outcomes[:3]]
    assert numbers == [f"Q-{year}-{n:04}" for n in (2, 3, 4)]
    assert {promise.topic for promise in ran.work.promises} == {"pdf"}
    assert len(ran.work.promises) == 3
    (mails,) = account.owner("select count(*), count(distinct quote_id) from app.mails")
    assert mails == (3, 3)
    assert set(account.events("quote.sent")) == {*drafts, sent.id}
    assert account.get(silent).status == "draft"


def test_the_months_quota_ends_a_batch_exactly(account: Account) -> None:
    poor = founded(account.owner_url)
    poor.plan(quotes=3)
    drafts = [poor.quote().id for _ in range(5)]

    ran = poor.run("send_quotes", drafts, channel="link")

    assert ran.codes == ["sent", "sent", "sent", "quota", "quota"]
    assert ran.outcomes[3].message == "the plan allows 3 sent quotes a month plan: limit 3"
    assert len(ran.work.promises) == 3
    (used,) = poor.owner("select used from app.usage where account_id = %(id)s", {"id": poor.id})
    assert used == (3,)
    assert [poor.get(draft).status for draft in drafts[3:]] == ["draft", "draft"]


def test_a_dry_run_sends_nothing_and_takes_no_number(account: Account) -> None:
    draft = account.quote().id

    ran = account.run("send_quotes", [draft], dry_run=True)

    assert ran.codes == ["sent"]
    assert ran.work.promises == []
    assert account.get(draft).number is None
    assert account.owner("select 1 from app.outbox") == []
    assert account.owner("select 1 from app.quote_counters") == []


def test_a_quote_that_somebody_holds_is_left_for_later_instead_of_waited_for(
    account: Account,
) -> None:
    held = account.quote().id
    with database.transaction(account.actor) as connection:
        repository.get(connection, held, lock=True)
        refused: list[BaseException] = []

        def send() -> None:
            try:
                account.run("send_quotes", [held], channel="link")
            except LockNotAvailable as error:
                refused.append(error)

        other = threading.Thread(target=send)
        other.start()
        other.join(10)

    assert len(refused) == 1
    assert account.get(held).status == "draft"


# --- prices


def test_only_a_draft_whose_prices_differ_is_changed(account: Account, stranger: Account) -> None:
    item = account.item("50")
    line = {"name": "Mulch", "quantity": "3", "unit_cost": "50", "item_id": str(item)}
    stale, fresh = account.quote(line_items=[line]), account.quote()
    sent, foreign = account.sent(line_items=[line]), stranger.quote()
    account.owner("update app.items set unit_cost = 60.01 where id = %(id)s", {"id": item})
    quotes = [stale.id, fresh.id, sent.id, foreign.id]

    ran = account.run("recalculate_quotes", quotes, costs="catalog")

    assert ran.codes == ["changed", "unchanged", "conflict", "missing"]
    changed = account.get(stale.id)
    assert changed.subtotal == Decimal("180.03")
    assert changed.tax_amount == Decimal("18.00")
    assert changed.total == Decimal("198.03")
    assert (changed.version, account.get(fresh.id).version) == (stale.version + 1, fresh.version)
    assert account.get(sent.id).total == sent.total
    assert account.events("quote.recalculated") == {
        stale.id: {"from": "165.00", "to": "198.03", "batch": str(ran.work.job_id)}
    }
    again = account.run("recalculate_quotes", quotes, costs="catalog")
    assert again.codes == ["unchanged", "unchanged", "conflict", "missing"]


def test_rates_are_todays_only_when_that_is_asked(account: Account) -> None:
    quote = account.quote()
    account.owner(
        """insert into app.company_settings (account_id, default_tax_rate, default_markup_rate)
        values (%(id)s, 20, 50)""",
        {"id": account.id},
    )

    kept = account.run("recalculate_quotes", [quote.id])
    company = account.run("recalculate_quotes", [quote.id], rates="company")

    assert (kept.codes, company.codes) == (["unchanged"], ["changed"])
    changed = account.get(quote.id)
    assert (changed.subtotal, changed.tax_amount) == (Decimal("150.00"), Decimal("30.00"))


def test_a_repriced_draft_is_what_the_same_change_by_hand_makes(account: Account) -> None:
    body: dict[str, Any] = {
        "discount": {"type": "percent", "value": "7.5"},
        "deposit": {"type": "amount", "value": "20"},
        "line_items": [
            *LINES,
            {
                "name": "Deep",
                "quantity": "3.3333",
                "unit_cost": "0.0375",
                "tax_rate": "7",
                "discount": {"type": "amount", "value": "0.01"},
            },
        ],
    }
    one, other = account.quote(**body), account.quote(**body)
    account.owner(
        """insert into app.company_settings (account_id, default_tax_rate, default_markup_rate)
        values (%(id)s, 19, 12.5)""",
        {"id": account.id},
    )
    by_hand = QuoteChange.model_validate({"tax_rate": "19", "markup_rate": "12.5"})

    account.run("recalculate_quotes", [one.id], rates="company")

    with database.transaction(account.actor) as connection:
        service.change_quote(connection, other.id, by_hand, version=other.version)
    same: dict[str, Any] = {"id": None, "created_at": None, "updated_at": None}
    assert replace(account.get(one.id), **same) == replace(account.get(other.id), **same)


def test_a_catalogue_in_another_currency_prices_nothing(account: Account) -> None:
    quote = account.quote(currency="EUR")

    ran = account.run("recalculate_quotes", [quote.id], costs="catalog")

    assert ran.outcomes[0].message == "The catalogue has no costs in EUR."


def test_a_recalculation_sees_the_change_it_waited_for(account: Account) -> None:
    quote = account.quote()
    holding = threading.Event()

    def change() -> None:
        body = QuoteChange(line_items=[{"name": "Other", "quantity": "1", "unit_cost": "7"}])  # type: ignore[list-item]
        with database.transaction(account.actor) as connection:
            service.change_quote(connection, quote.id, body, version=quote.version)
            holding.set()
            wait_until_blocked(account)

    other = threading.Thread(target=change)
    other.start()
    assert holding.wait(10)
    ran = account.run("recalculate_quotes", [quote.id])
    other.join(10)

    assert ran.codes == ["unchanged"]
    assert [line.name for line in account.get(quote.id).line_items] == ["Other"]


def test_a_dry_run_reprices_nothing(account: Account) -> None:
    quote = account.quote()
    account.owner(
        "insert into app.company_settings (account_id, default_tax_rate) values (%(id)s, 20)",
        {"id": account.id},
    )

    ran = account.run("recalculate_quotes", [quote.id], rates="company", dry_run=True)

    assert ran.codes == ["changed"]
    assert account.get(quote.id) == quote


# --- assessments


def assessed(account: Account, *statuses: str, **found: Any) -> UUID:
    """An assessment with all that a price needs, unless it is said otherwise."""
    looked = {"lawn_condition": "healthy", "soil_condition": "good", "complexity": 1}
    looked |= {"weed_percent": 0, "slope_percent": 0, "obstacle_count": 0, "access": "easy"}
    client = account.client()
    with database.transaction(account.actor) as connection:
        at = PropertyCreate(client_id=client, service_address="1 Elm", lawn_area_sqft=Decimal(10))
        said = looked | found | {"property_id": properties.create(connection, at).id}
        made = assessments.create(connection, AssessmentCreate.model_validate(said))
        for version, status in enumerate(statuses, start=1):
            step = AssessmentChange.model_validate({"status": status})
            assessments.change(connection, made.id, step, version=version)
    return made.id


DONE = ("in_progress", "completed")


def test_each_completed_assessment_becomes_one_draft(account: Account, stranger: Account) -> None:
    done, begun = assessed(account, *DONE), assessed(account, "in_progress")
    unknown, foreign = assessed(account, *DONE, soil_condition=None), assessed(stranger, *DONE)
    job = uuid4()

    ran = account.run("quote_assessments", [done, begun, unknown, foreign, uuid4(), done], job=job)

    assert ran.codes == ["created", "conflict", "conflict", "missing", "missing", "unchanged"]
    told = "Something is missing for a price. soil_condition: nobody looked, and a rule needs it"
    assert ran.outcomes[2].message == told
    made = UUID((ran.outcomes[0].data or {})["id"])
    assert statuses(account) == {made: "draft"}
    assert ran.outcomes[5].data == {"id": str(made)}
    assert account.events("assessment.quoted") == {done: {"batch": str(job), "quote": str(made)}}


def test_a_dry_run_drafts_nothing(account: Account) -> None:
    done = assessed(account, *DONE)

    ran = account.run("quote_assessments", [done], dry_run=True)

    assert ran.codes == ["created"]
    assert statuses(account) == {}
    assert account.run("quote_assessments", [done]).codes == ["created"]
