"""HTTP /v1/onboarding through its door: the checklist, tours, preferences and the funnel."""

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any, Final
from uuid import UUID, uuid4

import psycopg
import pytest

from functions.catalog_manager.app import lambda_handler as catalog_handler
from functions.onboarding_manager.app import lambda_handler
from functions.quote_processor.app import lambda_handler as quote_handler
from quotekit import database as db
from quotekit import settings
from quotekit.database import Actor
from quotekit.onboarding import checklist
from quotekit.onboarding import tours as touring
from quotekit.onboarding.requests import StepReport, Where
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

ADMIN: Final = UUID("01900000-0000-7000-8000-0000000000ad")
BASE: Final = "/v1/onboarding"
QUOTE: Final = {
    "client": {"name": "Grace Hopper", "email": "grace@example.com"},
    "line_items": [{"name": "Visit", "quantity": 1, "unit_cost": 50}],
}
TOURS: Final = [
    *("welcome", "settings", "item-library", "quote-creation", "client-management"),
    *("quote-management", "freemium-highlights", "pro-features", "contextual-help"),
    *("interactive-tutorial", "personalized-onboarding", "mobile-welcome"),
]


@pytest.fixture
def onboarding(database: Database, aws_services: Aws, issuer: Issuer) -> Client:
    return Client(lambda_handler, issuer.token(USER, ACCOUNT), "ANY /v1/onboarding/{proxy+}")


@pytest.fixture
def colleague(onboarding: Client, issuer: Issuer, database: Database) -> Client:
    """Another person of the same account, who may look and not write."""
    onboarding("POST", f"{BASE}/tours/mobile-welcome/skip")  # founds the account
    member = "insert into app.members (account_id, user_id, role) values (%s, %s, 'viewer')"
    execute(database, member, ACCOUNT, OTHER_USER)
    return Client(lambda_handler, issuer.token(OTHER_USER, ACCOUNT), onboarding.route)


@pytest.fixture
def admin(onboarding: Client, issuer: Issuer, database: Database) -> Client:
    execute(database, "insert into app.user_roles (user_id, role) values (%s, 'admin')", ADMIN)
    return Client(lambda_handler, issuer.token(ADMIN), onboarding.route)


@pytest.fixture
def own(onboarding: Client) -> Client:
    return Client(catalog_handler, onboarding.token, "ANY /v1/items")


@pytest.fixture
def quotes(onboarding: Client) -> Client:
    return Client(quote_handler, onboarding.token, "ANY /v1/quotes")


def execute(database: Database, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    with psycopg.connect(database.owner_url, autocommit=True) as connection:
        found = connection.execute(statement.encode(), values)
        return found.fetchall() if found.description else []


def begin(client: Client, tour: str) -> Answer:
    return client("POST", f"{BASE}/tours/{tour}/start", {"session_id": "s1", "device": "mobile"})


def take(client: Client, tour: str, step: str, event: str = "completed") -> Answer:
    return client("POST", f"{BASE}/tours/{tour}/steps/{step}", {"event": event})


def walk(client: Client, tour: str, steps: tuple[str, ...]) -> Answer:
    assert begin(client, tour).status == 200
    answers = [take(client, tour, step) for step in steps]
    assert [answer.status for answer in answers] == [200] * len(steps), answers[-1].text
    return answers[-1]


def welcome(client: Client) -> Answer:
    return walk(client, "welcome", ("greeting", "navigation", "next"))


def test_the_committed_event_shows_the_checklist(onboarding: Client) -> None:
    event = load_event("onboarding_manager")
    event["headers"]["authorization"] = f"Bearer {onboarding.token}"

    assert lambda_handler(event, LambdaContext())["statusCode"] == 200


def done(client: Client) -> dict[str, str]:
    steps = client("GET", f"{BASE}/checklist").json["steps"]
    return {step["key"]: step["reached_at"] for step in steps if step["done"]}


def test_the_checklist_follows_what_the_account_really_did(
    onboarding: Client, own: Client, quotes: Client
) -> None:
    assert done(onboarding) == {}

    client = own("POST", "/v1/clients", {"name": "Ada"}).json
    item = own("POST", "/v1/items", {"name": "Cut", "unit": "h", "unit_cost": 1}).json
    quote = quotes("POST", "/v1/quotes", QUOTE).json

    first = onboarding("GET", f"{BASE}/checklist").json
    assert done(onboarding) == {
        "first_client": client["created_at"],
        "first_item": item["created_at"],
        "first_quote": quote["created_at"],
    }
    assert (first["done"], first["total"], first["percent"]) == (3, 7, 42)
    assert first["completed_at"] is None
    quotes("POST", f"/v1/quotes/{quote['id']}/send", {"channel": "link"})
    quotes("POST", f"/v1/quotes/{quote['id']}/accept", {})
    assert {"first_quote_sent", "first_quote_accepted"} < done(onboarding).keys()


def test_a_whole_checklist_was_completed_by_its_last_step(
    onboarding: Client, own: Client, quotes: Client, database: Database
) -> None:
    own("POST", "/v1/clients", {"name": "Ada"})
    own("POST", "/v1/items", {"name": "Cut", "unit": "h", "unit_cost": 1})
    quote = quotes("POST", "/v1/quotes", QUOTE).json
    quotes("POST", f"/v1/quotes/{quote['id']}/send", {"channel": "link"})
    quotes("POST", f"/v1/quotes/{quote['id']}/accept", {})
    version = own("GET", "/v1/company-settings").json["version"]
    own("PATCH", "/v1/company-settings", {"company_name": "Green", "version": version})
    execute(database, "update app.company_settings set logo_key = 'accounts/x/logo.png'")

    whole = onboarding("GET", f"{BASE}/checklist").json

    assert (whole["done"], whole["percent"]) == (7, 100)
    assert whole["completed_at"] == max(step["reached_at"] for step in whole["steps"])


def test_what_was_reached_first_stays_when_its_row_is_deleted(
    onboarding: Client, own: Client
) -> None:
    client = own("POST", "/v1/clients", {"name": "Ada"}).json
    before = done(onboarding)

    own("DELETE", f"/v1/clients/{client['id']}")
    own("POST", "/v1/clients", {"name": "Grace"})

    assert done(onboarding) == before == {"first_client": client["created_at"]}


def test_a_template_is_no_quote_and_another_accounts_client_is_none(
    onboarding: Client, quotes: Client, issuer: Issuer
) -> None:
    quotes("POST", "/v1/quotes", QUOTE | {"is_template": True, "template_name": "Usual"})
    stranger = Client(catalog_handler, issuer.token(OTHER_USER), "ANY /v1/clients")
    stranger("POST", "/v1/clients", {"name": "Theirs"})

    assert done(onboarding) == {}


def test_a_viewer_sees_the_checklist_and_takes_no_tour(
    onboarding: Client, colleague: Client, own: Client, database: Database
) -> None:
    client = own("POST", "/v1/clients", {"name": "Ada"}).json

    assert done(colleague) == {"first_client": client["created_at"]}
    assert execute(database, "select count(*) from app.onboarding_facts") == [(0,)]
    assert begin(colleague, "welcome").status == 403
    assert done(onboarding) == done(colleague)
    assert execute(database, "select fact from app.onboarding_facts") == [("first_client",)]


@pytest.fixture
def crowd(onboarding: Client, environment: pytest.MonkeyPatch) -> Iterator[ThreadPoolExecutor]:
    """Threads with a connection each."""
    db.forget()
    environment.setenv("DATABASE_POOL_MAX", "8")
    settings.forget()
    assert db.statistics().maximum == 8
    with ThreadPoolExecutor(8) as threads:
        yield threads


ACTOR: Final = Actor("authenticated", {"sub": str(USER), "account_id": str(ACCOUNT)})


def at_once(here: Barrier, work: Callable[[db.Connection], Any]) -> Any:
    """Work in a transaction that begins when all have one."""
    with db.transaction(ACTOR) as connection:
        connection.execute("select auth.admit()")
        here.wait()
        return work(connection)


def test_eight_looks_at_once_note_a_fact_once(
    own: Client, crowd: ThreadPoolExecutor, database: Database
) -> None:
    own("POST", "/v1/clients", {"name": "Ada"})
    here = Barrier(8, timeout=20)

    looks = [crowd.submit(at_once, here, checklist.facts) for _ in range(8)]

    assert [list(look.result()) for look in looks] == [["first_client"]] * 8
    assert execute(database, "select count(*) from app.onboarding_facts") == [(1,)]


def test_the_tours_come_in_order_each_with_its_steps(onboarding: Client) -> None:
    tours = onboarding("GET", f"{BASE}/tours").json["data"]

    assert [tour["id"] for tour in tours] == TOURS
    assert all(tour["steps"] for tour in tours)
    assert {tour["id"]: tour["available"] for tour in tours}["settings"] is False
    assert tours[1]["reason"] == "First comes welcome."
    assert onboarding("GET", f"{BASE}/tours/welcome").json == tours[0]
    assert onboarding("GET", f"{BASE}/tours/nowhere").status == 404


def test_a_tour_is_begun_walked_and_completed(onboarding: Client, database: Database) -> None:
    begun = begin(onboarding, "welcome").json
    assert (begun["status"], begun["current_step"]) == ("in_progress", "greeting")

    middle = take(onboarding, "welcome", "greeting").json
    assert (middle["current_step"], middle["completed_at"]) == ("navigation", None)
    take(onboarding, "welcome", "navigation", "skipped")
    whole = take(onboarding, "welcome", "next").json

    assert whole["status"] == "completed"
    assert [step["outcome"] for step in whole["steps"]] == ["completed", "skipped", "completed"]
    assert whole["completed_at"] == whole["steps"][2]["done_at"]
    events = execute(database, "select event, device from app.tour_events order by id")
    assert events == [
        ("started", "mobile"),
        *((event, None) for event in ("step_completed", "step_skipped", "step_completed")),
        ("completed", None),
    ]
    audited = execute(database, "select count(*) from app.audit_events where action like 'tour.%%'")
    assert audited == [(5,)]


def test_a_step_done_twice_keeps_its_first_time(onboarding: Client, database: Database) -> None:
    begin(onboarding, "welcome")

    first, second = (take(onboarding, "welcome", "greeting").json for _ in range(2))

    assert first["steps"][0] == second["steps"][0]
    counted = "select count(*) from app.tour_events where event = 'step_completed'"
    assert execute(database, counted) == [(1,)]


def test_a_step_left_out_can_still_be_done_and_not_the_other_way_round(onboarding: Client) -> None:
    begin(onboarding, "welcome")
    take(onboarding, "welcome", "greeting", "skipped")

    assert take(onboarding, "welcome", "greeting").json["steps"][0]["outcome"] == "completed"
    left = take(onboarding, "welcome", "greeting", "skipped").json["steps"][0]
    assert left["outcome"] == "completed"


def test_steps_done_at_once_are_all_kept_and_complete_the_tour(
    onboarding: Client, crowd: ThreadPoolExecutor, database: Database
) -> None:
    begin(onboarding, "welcome")
    here, body = Barrier(6, timeout=20), StepReport(event="completed")

    def report(step: str) -> Callable[[db.Connection], object]:
        return lambda c: touring.report(c, "welcome", step, body, datetime.now(UTC))

    steps = ("greeting", "navigation") * 3
    for work in [crowd.submit(at_once, here, report(step)) for step in steps]:
        work.result()
    whole = take(onboarding, "welcome", "next").json

    assert whole["status"] == "completed"
    assert [step["outcome"] for step in whole["steps"]] == ["completed"] * 3
    kinds = Counter(kind for (kind,) in execute(database, "select event from app.tour_events"))
    assert kinds == {"started": 1, "step_completed": 3, "completed": 1}


def test_eight_starts_at_once_are_one(
    onboarding: Client, crowd: ThreadPoolExecutor, database: Database
) -> None:
    onboarding("POST", f"{BASE}/tours/mobile-welcome/skip")  # founds the account
    here = Barrier(8, timeout=20)

    def start(connection: db.Connection) -> object:
        return touring.start(connection, "welcome", Where(), datetime.now(UTC)).status

    starts = [crowd.submit(at_once, here, start) for _ in range(8)]

    assert [one.result() for one in starts] == ["in_progress"] * 8
    begun = "select event from app.tour_events where tour_id = 'welcome'"
    assert execute(database, begun) == [("started",)]


def test_an_unknown_step_is_invalid_and_a_tour_not_begun_a_conflict(onboarding: Client) -> None:
    assert take(onboarding, "welcome", "greeting").status == 409
    begin(onboarding, "welcome")

    assert take(onboarding, "welcome", "nonsense").status == 422
    assert take(onboarding, "welcome", "greeting", "finished").status == 422
    assert take(onboarding, "nowhere", "greeting").status == 404
    assert take(onboarding, "welcome", "constructor").status == 422


def test_prerequisites_come_first(onboarding: Client) -> None:
    refused = begin(onboarding, "settings")
    assert (refused.status, refused.json["message"]) == (409, "First comes welcome.")

    welcome(onboarding)

    assert begin(onboarding, "settings").status == 200
    assert begin(onboarding, "interactive-tutorial").status == 409


def test_gates_are_the_plans(onboarding: Client, database: Database) -> None:
    welcome(onboarding)
    assert begin(onboarding, "pro-features").status == 402
    assert begin(onboarding, "freemium-highlights").status == 200

    execute(
        database,
        "insert into app.subscriptions (account_id, plan_key, status) values (%s, %s, %s)",
        *(ACCOUNT, "premium", "active"),
    )

    assert begin(onboarding, "pro-features").status == 200
    tours = {tour["id"]: tour for tour in onboarding("GET", f"{BASE}/tours").json["data"]}
    assert tours["freemium-highlights"]["reason"] == "This tour is for the free plan."


def test_the_clients_word_does_not_stand_against_the_database(
    onboarding: Client, own: Client
) -> None:
    welcome(onboarding)
    begin(onboarding, "quote-creation")

    refused = take(onboarding, "quote-creation", "client")
    own("POST", "/v1/clients", {"name": "Ada"})

    assert (refused.status, refused.json["message"]) == (409, "It is not done yet: first client.")
    assert take(onboarding, "quote-creation", "client").status == 200
    assert take(onboarding, "quote-creation", "send", "skipped").status == 200


def test_a_tour_is_left_taken_up_again_and_done_without(onboarding: Client) -> None:
    begin(onboarding, "welcome")
    take(onboarding, "welcome", "greeting")

    left = onboarding("POST", f"{BASE}/tours/welcome/abandon").json
    back = begin(onboarding, "welcome").json
    without = onboarding("POST", f"{BASE}/tours/welcome/skip").json

    assert (left["status"], back["status"]) == ("abandoned", "in_progress")
    assert back["current_step"] == "navigation"
    assert back["started_at"] == left["started_at"]
    assert without["status"] == "skipped"
    assert onboarding("POST", f"{BASE}/tours/welcome/abandon").status == 409
    assert onboarding("POST", f"{BASE}/tours/client-management/skip").json["status"] == "skipped"
    assert onboarding("POST", f"{BASE}/tours/mobile-welcome/abandon").status == 409


def test_a_completed_tour_stays_completed(onboarding: Client) -> None:
    whole = welcome(onboarding).json

    answers = [onboarding("POST", f"{BASE}/tours/welcome/{verb}") for verb in ("start", "skip")]

    assert [answer.status for answer in answers] == [409, 409]
    assert onboarding("GET", f"{BASE}/tours/welcome").json == whole


def test_each_person_has_a_way_of_his_own_and_the_account_one_checklist(
    onboarding: Client, colleague: Client, own: Client
) -> None:
    welcome(onboarding)
    own("POST", "/v1/clients", {"name": "Ada"})

    assert colleague("GET", f"{BASE}/tours/welcome").json["status"] == "not_started"
    assert done(colleague) == done(onboarding)


def test_preferences_begin_with_defaults_and_change_by_version(
    onboarding: Client, colleague: Client
) -> None:
    path = f"{BASE}/preferences"
    first = onboarding("GET", path)
    assert (first.json["tour_speed"], first.json["version"]) == ("normal", 0)

    changed = onboarding("PATCH", path, {"tour_speed": "fast", "version": 0})

    assert changed.status == 200, changed.text
    assert (changed.json["tour_speed"], changed.json["version"]) == ("fast", 1)
    assert changed.json["show_tooltips"] is True
    assert onboarding("PATCH", path, {"show_tooltips": False, "version": 0}).status == 409
    again = onboarding("PATCH", path, {"show_tooltips": False}, headers={"if-match": '"1"'})
    assert (again.json["tour_speed"], again.json["show_tooltips"]) == ("fast", False)
    assert colleague("GET", path).json["version"] == 0


@pytest.mark.parametrize(
    "wrong",
    [{"tour_speed": "warp"}, {"show_tooltips": None}, {"user_id": str(uuid4())}, {"version": -1}],
)
def test_what_is_no_preference_is_refused(onboarding: Client, wrong: dict[str, Any]) -> None:
    assert onboarding("PATCH", f"{BASE}/preferences", {"version": 0} | wrong).status == 422


def test_only_an_admin_sees_the_funnel(onboarding: Client) -> None:
    assert onboarding("GET", f"{BASE}/funnel", query="tour=welcome").status == 403


def test_a_funnel_of_nobody_has_no_rate_and_says_why(admin: Client) -> None:
    funnel = admin("GET", f"{BASE}/funnel", query="tour=welcome").json

    assert (funnel["started"], funnel["completion_rate"]) == (0, None)
    assert funnel["reason"] == "Nobody began this tour in the period."
    assert [step["median_seconds"] for step in funnel["steps"]] == [None] * 3
    assert all(step["reason"] for step in funnel["steps"])


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("tour=nowhere", 404),
        ("", 422),
        ("tour=welcome&from=2026-02-01&to=2026-01-01", 422),
        ("tour=welcome&from=2020-01-01&to=2026-01-01", 422),
        ("tour=welcome&from=soon", 422),
    ],
)
def test_a_funnel_needs_a_tour_and_a_period(admin: Client, query: str, status: int) -> None:
    assert admin("GET", f"{BASE}/funnel", query=query).status == status


NOON: Final = datetime(2026, 3, 2, 12, tzinfo=UTC)


def act(person: UUID, *happened: tuple[int, str, str | None]) -> None:
    """What a person does in the tour welcome, by seconds after noon."""
    actor = Actor("authenticated", {"sub": str(person), "account_id": str(person)})
    for seconds, event, step in happened:
        now = NOON + timedelta(seconds=seconds)
        with db.transaction(actor) as connection:
            connection.execute("select auth.admit()")
            if step is not None:
                body = StepReport.model_validate({"event": event})
                touring.report(connection, "welcome", step, body, now)
            else:
                {"start": touring.start, "skip": touring.skip}[event](
                    connection, "welcome", Where(), now
                )


def test_a_funnel_counts_persons_where_they_are_and_the_median_of_their_times(
    admin: Client,
) -> None:
    looks = [(0, "start", None), (0, "viewed", "greeting")]
    for seconds in (4, 10):  # two go all the way
        act(
            uuid4(),
            *looks,
            (seconds, "completed", "greeting"),
            (seconds, "skipped", "navigation"),
            (seconds + 1, "completed", "next"),
        )
    act(uuid4(), *looks, (90, "completed", "greeting"), (91, "viewed", "navigation"))
    act(uuid4(), *looks)
    act(uuid4(), *looks, (5, "skip", None))
    act(uuid4(), (86_400, "start", None))  # begins a day later

    funnel = admin("GET", f"{BASE}/funnel", query="tour=welcome&from=2026-03-02&to=2026-03-02").json

    assert (funnel["started"], funnel["completed"], funnel["skipped"]) == (5, 2, 1)
    assert funnel["completion_rate"] == 0.4
    told = ("key", "reached", "completed", "skipped", "dropped", "median_seconds")
    assert [tuple(step[name] for name in told) for step in funnel["steps"]] == [
        ("greeting", 5, 3, 0, 1, 10.0),
        ("navigation", 3, 0, 2, 1, None),
        ("next", 2, 2, 0, 0, None),
    ]
    assert funnel["source"] == "app.tour_events"


def test_rows_of_others_are_out_of_reach(onboarding: Client, database: Database) -> None:
    welcome(onboarding)
    actor = Actor("authenticated", {"sub": str(OTHER_USER), "account_id": str(ACCOUNT)})

    with db.transaction(actor) as connection:
        for table in ("tour_progress", "tour_steps_done", "tour_events"):
            seen = connection.execute(f"select count(*) from app.{table}".encode()).fetchone()
            assert seen == (0,), table
