"""HTTP /v1/account, /v1/members, /v1/invitations: whose an account is, who may do what in it."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from functions.account_manager.app import lambda_handler
from functions.batch_processor.app import lambda_handler as batch_processor
from functions.catalog_manager.app import lambda_handler as catalog_manager
from functions.quote_processor.app import lambda_handler as quote_processor
from functions.webhook_endpoints.app import lambda_handler as webhook_endpoints
from quotekit import auth, database
from quotekit.accounts import invitations, members
from quotekit.accounts.requests import RoleChange
from quotekit.auth import Principal
from quotekit.database import Actor
from quotekit.errors import QuoteKitError
from tests.conftest import Database, forget
from tests.functions.conftest import ACCOUNT, OTHER_USER, USER, Aws, Client, Issuer, load_event

ADMIN, MEMBER, VIEWER = (
    UUID(int=0x0190_0000_0000_7000_8000_0000_0000_0000 + n) for n in (11, 12, 13)
)
LINK = "https://app.test/invitation"
ROLES = {USER: "owner", ADMIN: "admin", MEMBER: "member", VIEWER: "viewer"}

CLIENT = {"name": "Grace"}
QUOTE = {
    "client": {"name": "Grace"},
    "line_items": [{"name": "Mowing", "quantity": "1", "unit_cost": "10"}],
}
BATCH = {
    "operation": "bulk_create_items",
    "items": [{"name": "Mulch", "unit": "bag", "unit_cost": "1"}],
}

type As = Callable[..., Client]


@pytest.fixture
def accounts(database: Database, aws_services: Aws, environment: pytest.MonkeyPatch) -> Database:
    environment.setenv("ACCOUNT_INVITATION_URL", LINK)
    return database


@pytest.fixture
def owner(accounts: Database) -> Any:
    with psycopg.connect(accounts.owner_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def calls(accounts: Database, issuer: Issuer) -> As:
    """A client of a door for a person in an account."""

    def client(
        user: UUID, account: UUID = ACCOUNT, *, door: Any = lambda_handler, **claims: Any
    ) -> Client:
        return Client(door, issuer.token(user, account, **claims), "ANY /v1/account")

    return client


@pytest.fixture
def team(calls: As, owner: psycopg.Connection) -> dict[UUID, Client]:
    """An account with one person of each role, by person."""
    calls(USER, door=catalog_manager)("POST", "/v1/categories", {"name": "Lawn"})
    for user, role in ROLES.items():
        if role != "owner":
            owner.execute(
                "insert into app.members (account_id, user_id, role) values (%s, %s, %s)",
                [ACCOUNT, user, role],
            )
    return {user: calls(user) for user in ROLES}


def role_of(owner: psycopg.Connection, user: UUID, account: UUID = ACCOUNT) -> str | None:
    row = owner.execute(
        "select role from app.members where account_id = %s and user_id = %s", [account, user]
    ).fetchone()
    return row[0] if row else None


def audited(owner: psycopg.Connection) -> list[str]:
    return [
        row[0]
        for row in owner.execute(
            "select action from app.audit_events where account_id = %s order by occurred_at, id",
            [ACCOUNT],
        )
    ]


def test_the_committed_event_is_answered(
    team: dict[UUID, Client], issuer: Issuer, lambda_context: Any
) -> None:
    event = load_event("account_manager")
    event["headers"]["authorization"] = f"Bearer {issuer.token(USER, ACCOUNT)}"

    answer = lambda_handler(event, lambda_context)

    assert answer["statusCode"] == 200


def test_the_first_change_founds_the_account_and_makes_its_caller_the_owner(calls: As) -> None:
    nobody_yet = calls(USER)("GET", "/v1/account")
    calls(USER, door=catalog_manager)("POST", "/v1/categories", {"name": "Lawn"})

    found = calls(USER)("GET", "/v1/account")

    assert nobody_yet.status == 404
    assert found.json["role"] == "owner"
    assert found.json["members"] == 1


@pytest.mark.parametrize(
    "asked",
    [
        (quote_processor, "GET", "/v1/quotes", None),
        (quote_processor, "POST", "/v1/quotes", QUOTE),
        (catalog_manager, "GET", "/v1/clients", None),
        (catalog_manager, "POST", "/v1/clients", {"name": "Mallory"}),
        (batch_processor, "GET", "/v1/batches", None),
        (lambda_handler, "GET", "/v1/members", None),
        (lambda_handler, "GET", "/v1/account", None),
    ],
)
def test_a_token_that_names_an_account_its_bearer_is_no_member_of_opens_nothing(
    team: dict[UUID, Client], calls: As, asked: Any
) -> None:
    door, *request = asked

    answer = calls(OTHER_USER, ACCOUNT, door=door)(*request)

    assert (answer.status, answer.json["code"]) == (403, "FORBIDDEN")


@pytest.mark.parametrize(
    "asked",
    [
        (quote_processor, "POST", "/v1/quotes", QUOTE),
        (catalog_manager, "POST", "/v1/clients", CLIENT),
        (catalog_manager, "POST", "/v1/categories", {"name": "Hedges"}),
        (catalog_manager, "PATCH", "/v1/company-settings", {"valid_days": 9, "version": 0}),
        (batch_processor, "POST", "/v1/batches", BATCH),
        (webhook_endpoints, "POST", "/v1/webhook-endpoints", {"name": "CRM"}),
        (lambda_handler, "PATCH", "/v1/account", {"name": "Mine", "version": 1}),
        (lambda_handler, "POST", "/v1/invitations", {"email": "eve@example.com"}),
        (lambda_handler, "DELETE", f"/v1/members/{MEMBER}", None),
        (lambda_handler, "PATCH", f"/v1/members/{VIEWER}", {"role": "admin", "version": 1}),
        (lambda_handler, "POST", "/v1/account/transfer", {"user_id": str(VIEWER)}),
    ],
)
def test_a_viewer_changes_nothing(
    team: dict[UUID, Client],
    calls: As,
    owner: psycopg.Connection,
    asked: Any,
) -> None:
    before = audited(owner)
    door, *request = asked

    answer = calls(VIEWER, door=door)(*request, headers={"idempotency-key": "k"})

    assert answer.status == 403, answer.text
    assert audited(owner) == before
    assert [role_of(owner, user) for user in ROLES] == list(ROLES.values())


@pytest.mark.parametrize(
    ("door", "path"),
    [
        (quote_processor, "/v1/quotes"),
        (quote_processor, "/v1/usage"),
        (catalog_manager, "/v1/clients"),
        (catalog_manager, "/v1/company-settings"),
        (batch_processor, "/v1/batches"),
        (lambda_handler, "/v1/account"),
        (lambda_handler, "/v1/members"),
    ],
)
def test_a_viewer_sees_what_a_member_sees(
    team: dict[UUID, Client], calls: As, door: Any, path: str
) -> None:
    seen = calls(VIEWER, door=door)("GET", path)

    assert seen.status == 200
    assert path == "/v1/account" or seen.json == calls(MEMBER, door=door)("GET", path).json


def test_a_member_works_with_quotes_and_clients_and_categories(
    team: dict[UUID, Client], calls: As
) -> None:
    catalog = calls(MEMBER, door=catalog_manager)

    assert catalog("POST", "/v1/clients", CLIENT).status == 201
    assert catalog("POST", "/v1/categories", {"name": "Hedges"}).status == 201
    assert calls(MEMBER, door=quote_processor)("POST", "/v1/quotes", QUOTE).status == 201


@pytest.mark.parametrize(
    "asked",
    [
        (catalog_manager, "PATCH", "/v1/company-settings", {"valid_days": 9, "version": 0}),
        (catalog_manager, "POST", "/v1/company-settings/logo", {"content_type": "image/png"}),
        (catalog_manager, "DELETE", "/v1/company-settings/logo", None),
        (webhook_endpoints, "POST", "/v1/webhook-endpoints", {"name": "CRM"}),
        (batch_processor, "GET", "/v1/batches/signing-secret", None),
        (lambda_handler, "PATCH", "/v1/account", {"name": "Mine", "version": 1}),
        (lambda_handler, "POST", "/v1/invitations", {"email": "eve@example.com"}),
        (lambda_handler, "GET", "/v1/invitations", None),
        (lambda_handler, "DELETE", f"/v1/members/{VIEWER}", None),
        (lambda_handler, "PATCH", f"/v1/members/{MEMBER}", {"role": "admin", "version": 1}),
        (lambda_handler, "POST", "/v1/account/transfer", {"user_id": str(MEMBER)}),
    ],
)
def test_a_member_manages_nothing(team: dict[UUID, Client], calls: As, asked: Any) -> None:
    door, *request = asked

    answer = calls(MEMBER, door=door)(*request)

    assert answer.status == 403, answer.text


def test_an_admin_manages_all_but_the_ownership(
    team: dict[UUID, Client], owner: psycopg.Connection
) -> None:
    admin = team[ADMIN]

    renamed = admin("PATCH", "/v1/account", {"name": "Northwind", "version": 1})
    promoted = admin("PATCH", f"/v1/members/{VIEWER}", {"role": "admin", "version": 1})
    removed = admin("DELETE", f"/v1/members/{MEMBER}")
    seized = admin("POST", "/v1/account/transfer", {"user_id": str(ADMIN)})
    demoted = admin("PATCH", f"/v1/members/{USER}", {"role": "viewer", "version": 1})
    ousted = admin("DELETE", f"/v1/members/{USER}")

    assert (renamed.status, renamed.json["name"], renamed.json["version"]) == (200, "Northwind", 2)
    assert (promoted.status, promoted.json["role"]) == (200, "admin")
    assert (removed.status, role_of(owner, MEMBER)) == (204, None)
    assert (seized.status, demoted.status, ousted.status) == (403, 409, 409)
    assert role_of(owner, USER) == "owner"
    assert audited(owner)[-3:] == ["account.renamed", "member.changed", "member.removed"]


def test_a_change_made_from_an_older_version_is_refused(team: dict[UUID, Client]) -> None:
    path = f"/v1/members/{MEMBER}"
    team[USER]("PATCH", path, {"role": "viewer", "version": 1})

    answer = team[USER]("PATCH", path, {"role": "admin"}, headers={"if-match": '"1"'})

    assert (answer.status, answer.json["code"]) == (409, "CONFLICT")
    assert team[USER]("PATCH", "/v1/account", {"name": "A", "version": 7}).status == 409


@pytest.mark.parametrize("role", ["owner", "root", "", None])
def test_nobody_is_made_an_owner_by_a_change_of_role(
    team: dict[UUID, Client], role: str | None
) -> None:
    answer = team[USER]("PATCH", f"/v1/members/{MEMBER}", {"role": role, "version": 1})

    assert answer.status == 422


@pytest.mark.parametrize("user", [ADMIN, MEMBER, VIEWER])
def test_everybody_but_the_owner_may_leave(
    team: dict[UUID, Client], owner: psycopg.Connection, user: UUID
) -> None:
    left = team[user]("DELETE", f"/v1/members/{user}")

    assert (left.status, role_of(owner, user)) == (204, None)
    assert audited(owner)[-1] == "member.left"
    assert team[user]("GET", "/v1/account").status == 403
    assert team[USER]("DELETE", f"/v1/members/{USER}").status == 409


def test_an_account_changes_hands_at_once(
    team: dict[UUID, Client], owner: psycopg.Connection
) -> None:
    answer = team[USER]("POST", "/v1/account/transfer", {"user_id": str(MEMBER)})

    assert answer.status == 204
    assert (role_of(owner, USER), role_of(owner, MEMBER)) == ("admin", "owner")
    assert team[USER]("POST", "/v1/account/transfer", {"user_id": str(USER)}).status == 403
    assert team[MEMBER]("POST", "/v1/account/transfer", {"user_id": str(MEMBER)}).status == 409
    assert team[MEMBER]("POST", "/v1/account/transfer", {"user_id": str(uuid4())}).status == 404


def person(user: UUID) -> Principal:
    return auth.principal({"sub": str(user), "account_id": str(ACCOUNT)})


def attempt(actor: Actor, work: Callable[[Any], Any]) -> str:
    """How a transaction ended."""
    try:
        with database.transaction(actor) as connection:
            work(connection)
    except QuoteKitError as error:
        return error.code
    return "done"


def test_an_account_has_one_owner_whatever_happens_at_once(
    team: dict[UUID, Client], owner: psycopg.Connection, environment: pytest.MonkeyPatch
) -> None:
    """Transfers to three, while each of the three leaves and an admin changes them."""
    environment.setenv("DATABASE_POOL_MAX", "9")
    forget()
    by, others = {user: person(user) for user in ROLES}, [ADMIN, MEMBER, VIEWER]
    viewer = RoleChange(role="viewer", version=1)

    def transfer(to: UUID) -> str:
        me = by[USER]
        return attempt(me.actor, lambda c: members.transfer(c, me, to))

    def leave(who: UUID) -> str:
        me = by[who]
        return attempt(me.person, lambda c: members.remove(c, me, who))

    def change(who: UUID) -> str:
        me = by[ADMIN]
        return attempt(me.actor, lambda c: members.change(c, me, who, viewer, version=1))

    with ThreadPoolExecutor(9) as pool:
        asked = [pool.submit(do, who) for do in (transfer, leave, change) for who in others]
        ends = [one.result() for one in asked]

    owners = owner.execute(
        "select user_id from app.members where account_id = %s and role = 'owner'", [ACCOUNT]
    ).fetchall()
    assert len(owners) == 1
    assert set(ends) <= {"done", "FORBIDDEN", "NOT_FOUND", "CONFLICT"}
    assert ends[:3].count("done") <= 1


def test_the_database_itself_refuses_a_second_owner_and_none(
    team: dict[UUID, Client], owner: psycopg.Connection
) -> None:
    second = "update app.members set role = 'owner' where user_id = %s"
    none = "delete from app.members where user_id = %s"

    with pytest.raises(psycopg.errors.UniqueViolation):
        owner.execute(second, [ADMIN])
    with pytest.raises(psycopg.Error) as refused:
        owner.execute(none, [USER])

    assert refused.value.sqlstate == "QK409"


def test_another_accounts_people_are_neither_seen_nor_changed(
    team: dict[UUID, Client], calls: As, owner: psycopg.Connection
) -> None:
    calls(OTHER_USER, OTHER_USER, door=catalog_manager)("POST", "/v1/categories", {"name": "B"})
    other = calls(OTHER_USER, OTHER_USER)

    seen = other("GET", "/v1/members").json["data"]
    changed = other("PATCH", f"/v1/members/{MEMBER}", {"role": "viewer", "version": 1})
    removed = other("DELETE", f"/v1/members/{MEMBER}")

    assert [row["user_id"] for row in seen] == [str(OTHER_USER)]
    assert (changed.status, removed.status, role_of(owner, MEMBER)) == (404, 404, "member")


def test_members_come_by_pages(team: dict[UUID, Client]) -> None:
    first = team[USER]("GET", "/v1/members", query="limit=3").json
    rest = team[USER]("GET", "/v1/members", query=f"limit=3&cursor={first['next_cursor']}").json

    people = [row["user_id"] for row in first["data"] + rest["data"]]
    assert sorted(people) == sorted(map(str, ROLES))
    assert rest["next_cursor"] is None


INVITED = "ada@example.com"


def invite(client: Client, email: str = INVITED, **body: Any) -> Any:
    answer = client("POST", "/v1/invitations", {"email": email} | body)
    assert answer.status == 201, answer.text
    return answer.json


def token_in(owner: psycopg.Connection, email: str = INVITED) -> str:
    (text,) = owner.execute(
        "select text_body from app.mails where recipient = %s "
        "order by created_at desc, id desc limit 1",
        [email],
    ).fetchone() or ("",)
    return str(text.partition(f"{LINK}#")[2].split()[0])


def accept(client: Client, token: str) -> Any:
    return client("POST", "/v1/invitations/accept", {"token": token})


def test_an_invitation_goes_by_mail_and_its_token_makes_a_member(
    team: dict[UUID, Client], calls: As, owner: psycopg.Connection, aws_services: Aws
) -> None:
    invited = invite(team[ADMIN], role="viewer")
    (message,) = aws_services.messages(aws_services.mail_queue)
    token = token_in(owner)

    joined = accept(calls(OTHER_USER, OTHER_USER), token)

    assert (joined.status, joined.json["role"]) == (201, "viewer")
    assert joined.json["account_id"] == str(ACCOUNT) == message["account_id"]
    assert role_of(owner, OTHER_USER) == "viewer"
    assert calls(OTHER_USER)("GET", "/v1/account").json["role"] == "viewer"
    assert {"token", "token_hash"} & invited.keys() == set()
    assert audited(owner)[-2:] == ["invitation.created", "member.joined"]
    assert role_of(owner, OTHER_USER, OTHER_USER) is None  # accepting founds no account


def test_the_token_is_kept_as_a_hash_and_its_mail_only_until_it_is_sent(
    team: dict[UUID, Client], owner: psycopg.Connection, aws_services: Aws, lambda_context: Any
) -> None:
    from functions.mail_sender.app import lambda_handler as mail_sender
    from tests.functions.conftest import sqs_event

    invite(team[USER])
    token = token_in(owner)
    mail_sender(sqs_event(*aws_services.messages(aws_services.mail_queue)), lambda_context)

    everything = [
        row[0]
        for table in ("mails", "invitations", "outbox", "audit_events")
        for row in owner.execute(f"select to_jsonb(kept)::text from app.{table} as kept".encode())
    ]
    assert owner.execute("select status from app.mails").fetchone() == ("sent",)
    assert len(token) == 43
    assert len(everything) >= 4
    assert not any(token in row for row in everything)


def test_accepted_twice_it_is_one_membership_and_for_another_it_is_gone(
    team: dict[UUID, Client],
    calls: As,
    owner: psycopg.Connection,
    environment: pytest.MonkeyPatch,
) -> None:
    environment.setenv("DATABASE_POOL_MAX", "4")
    forget()
    invite(team[USER])
    token = token_in(owner)
    me, now = person(OTHER_USER), datetime.now(UTC)
    with ThreadPoolExecutor(4) as pool:
        joining = [
            pool.submit(attempt, me.person, lambda c: invitations.accept(c, me, token, now=now))
            for _ in range(4)
        ]
        ends = [one.result() for one in joining]

    again = accept(calls(OTHER_USER), token)
    late = accept(calls(uuid4()), token)

    assert ends == ["done"] * 4
    assert (again.status, again.json["role"]) == (201, "member")
    assert (late.status, late.json["code"]) == (410, "GONE")
    assert audited(owner).count("member.joined") == 1


@pytest.mark.parametrize(
    "spoil",
    [
        "update app.invitations set expires_at = now()",
        "update app.invitations set revoked_at = now()",
    ],
)
def test_an_invitation_that_expired_or_was_revoked_is_gone(
    team: dict[UUID, Client], calls: As, owner: psycopg.Connection, spoil: str
) -> None:
    invite(team[USER])
    token = token_in(owner)
    owner.execute(spoil.encode())

    answer = accept(calls(OTHER_USER), token)

    assert answer.status == 410
    assert role_of(owner, OTHER_USER) is None


def test_revoked_by_its_account_it_leads_nowhere_and_another_may_follow(
    team: dict[UUID, Client], calls: As, owner: psycopg.Connection
) -> None:
    invited = invite(team[USER])
    token = token_in(owner)

    twice = team[USER]("POST", "/v1/invitations", {"email": INVITED.upper()})
    revoked = team[USER]("DELETE", f"/v1/invitations/{invited['id']}")
    again = team[USER]("DELETE", f"/v1/invitations/{invited['id']}")
    invite(team[USER])

    assert (twice.status, revoked.status, again.status) == (409, 204, 404)
    assert accept(calls(OTHER_USER), token).status == 410
    assert accept(calls(OTHER_USER), token_in(owner)).status == 201


def test_sent_again_only_the_newer_link_works(
    team: dict[UUID, Client], calls: As, owner: psycopg.Connection
) -> None:
    invited = invite(team[USER])
    older = token_in(owner)

    again = team[ADMIN]("POST", f"/v1/invitations/{invited['id']}/resend")
    newer = token_in(owner)

    assert again.status == 200
    assert accept(calls(OTHER_USER), older).status == 404
    assert accept(calls(OTHER_USER), newer).status == 201
    assert team[ADMIN]("POST", f"/v1/invitations/{invited['id']}/resend").status == 404


def test_a_verified_address_has_to_be_the_one_that_was_invited(
    team: dict[UUID, Client], calls: As, owner: psycopg.Connection
) -> None:
    invite(team[USER])
    token = token_in(owner)
    stranger = calls(OTHER_USER, email="eve@example.com", email_verified=True)
    same = calls(OTHER_USER, email=INVITED.upper(), email_verified=True)

    assert accept(stranger, token).status == 403
    assert role_of(owner, OTHER_USER) is None
    assert accept(same, token).status == 201


def test_a_member_stays_what_he_is_when_he_accepts_an_invitation(
    team: dict[UUID, Client], owner: psycopg.Connection
) -> None:
    invite(team[ADMIN], role="viewer")

    answer = accept(team[USER], token_in(owner))

    assert answer.status == 409
    assert role_of(owner, USER) == "owner"


@pytest.mark.parametrize(
    "token", ["", "a", "a" * 43, "a" * 44, "é" * 43, "' or true --" + "a" * 31, None, 1]
)
def test_a_guessed_token_opens_nothing(team: dict[UUID, Client], calls: As, token: Any) -> None:
    invite(team[USER])

    answer = calls(OTHER_USER)("POST", "/v1/invitations/accept", {"token": token})

    assert answer.status in {404, 422}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"email": "nobody"},
        {"email": "a@b.de\nBcc: c@d.de"},
        {"email": INVITED, "role": "owner"},
        {"email": INVITED, "account_id": str(uuid4())},
    ],
)
def test_an_invitation_that_makes_no_sense_is_refused(team: dict[UUID, Client], body: Any) -> None:
    assert team[USER]("POST", "/v1/invitations", body).status == 422


def test_an_account_cannot_mail_strangers_without_an_end(team: dict[UUID, Client]) -> None:
    for number in range(50):
        invite(team[USER], f"person{number}@example.com")

    answer = team[USER]("POST", "/v1/invitations", {"email": INVITED})

    assert (answer.status, answer.json["code"]) == (429, "RATE_LIMITED")


def test_a_company_name_cannot_write_the_mails_headers(
    team: dict[UUID, Client], owner: psycopg.Connection
) -> None:
    owner.execute("update app.accounts set name = %s", ["Evil\r\nBcc: all@example.com <b>"])

    invite(team[USER])

    ((subject, html),) = owner.execute("select subject, html_body from app.mails").fetchall()
    assert subject == "Evil Bcc: all@example.com <b> invites you to join"
    assert "<b>" not in html


def test_a_person_chooses_among_his_accounts(
    team: dict[UUID, Client], calls: As, owner: psycopg.Connection
) -> None:
    invite(team[USER])
    accept(calls(OTHER_USER), token_in(owner))
    calls(OTHER_USER, OTHER_USER, door=catalog_manager)("POST", "/v1/categories", {"name": "B"})

    found = calls(OTHER_USER, uuid4())("GET", "/v1/accounts").json["data"]

    assert {(row["account_id"], row["role"]) for row in found} == {
        (str(ACCOUNT), "member"),
        (str(OTHER_USER), "owner"),
    }


def test_a_withdrawn_token_is_refused_by_what_asks_no_membership(
    team: dict[UUID, Client], calls: As, owner: psycopg.Connection
) -> None:
    owner.execute("insert into ops.revoked_tokens (jti, expires_at) values ('gone', now())")

    assert calls(USER, jti="gone")("GET", "/v1/accounts").status == 401
    assert calls(USER, jti="gone")("DELETE", f"/v1/members/{USER}").status == 401


def test_who_manages_the_account_is_given_a_batch_that_exports_it(
    team: dict[UUID, Client], owner: psycopg.Connection, environment: pytest.MonkeyPatch
) -> None:
    import boto3

    queue = boto3.client("sqs").create_queue(QueueName="batch")["QueueUrl"]
    environment.setenv("BATCH_QUEUE_URL", queue)
    forget()

    once = {"idempotency-key": "export-1"}
    asked = [team[ADMIN]("POST", "/v1/account/export", headers=once) for _ in range(2)]

    assert [answer.status for answer in asked] == [202, 202]
    assert asked[0].json["operation"] == "export_account"
    assert asked[0].json["id"] == asked[1].json["id"]
    assert asked[0].json["counts"]["total"] > 30
    assert owner.execute("select count(*) from app.batch_jobs").fetchone() == (1,)
    for user in (MEMBER, VIEWER):
        assert team[user]("POST", "/v1/account/export").status == 403
