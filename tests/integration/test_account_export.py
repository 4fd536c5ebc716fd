"""The export of all an account has: complete by the catalogue, and nothing of another's."""

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID
from zipfile import ZipFile

import boto3
import pytest
from moto import mock_aws

from quotekit import auth, aws, database
from quotekit.batches import engine, exporting, parts
from quotekit.errors import ForbiddenError
from tests.batching import Desk
from tests.conftest import Database, forget
from tests.operating import Account, founded


@pytest.fixture
def bucket(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("DOCUMENTS_BUCKET", "ASSETS_BUCKET"):
        monkeypatch.setenv(name, name.partition("_")[0].lower())
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        for topic in ("batch_high", "batch", "batch_low", "notifications", "mail", "pdf"):
            url = boto3.client("sqs").create_queue(QueueName=topic)["QueueUrl"]
            monkeypatch.setenv(f"{topic}_queue_url".upper(), url)
        forget()
        aws.forget()
        s3 = boto3.resource("s3")
        s3.create_bucket(Bucket="assets")
        yield s3.create_bucket(Bucket="documents")
    aws.forget()


@dataclass
class Export:
    """What an account was given."""

    file: ZipFile
    status: str
    codes: dict[str, int]

    def table(self, name: str) -> Any:
        return json.loads(self.file.read(f"{name}.json"))


def submit(account: Account, user: UUID | None = None) -> UUID:
    claims = {"sub": str(user or account.user), "account_id": str(account.id)}
    by = auth.principal(claims)
    with database.transaction(by.actor) as connection:
        return exporting.Export(by).submit(connection).id


def export(account: Account, bucket: Any) -> Export:
    job = submit(account)
    engine.serve("normal", job, remaining=lambda: 60.0)
    desk = Desk(account.owner_url)
    done = desk.job(job)
    key = desk.value("select result_key from app.batch_jobs where id = %s", job)
    desk.connection.close()
    return Export(
        ZipFile(io.BytesIO(bucket.Object(key).get()["Body"].read())), done.status, done.codes
    )


WITH_ACCOUNT: Final = """
select format('%s.%s', nspname, relname) from pg_attribute
join pg_class as relation on relation.oid = attrelid and relkind in ('r', 'p')
    and not relispartition
join pg_namespace as space on space.oid = relnamespace and nspname !~ '^pg_'
where attname = 'account_id' and not attisdropped
"""


def test_every_table_that_names_an_account_is_in_the_file(bucket: Any, database: Database) -> None:
    account = founded(database.owner_url)

    given = export(account, bucket)

    named = {row[0] for row in account.owner(WITH_ACCOUNT)}
    files = {name.removesuffix(".json") for name in given.file.namelist()}
    assert len(named) > 30
    assert named | {"app.accounts", "app.payment_methods"} <= files
    assert given.status == "completed"
    assert given.codes.keys() == {"exported"}


def test_a_new_table_is_in_the_next_export(bucket: Any, database: Database) -> None:
    account = founded(database.owner_url)
    account.owner(
        """create table app.novelties (account_id uuid not null, name text primary key);
        grant select on app.novelties to service_role"""
    )
    account.owner("insert into app.novelties values (%(id)s, 'new')", {"id": account.id})

    assert export(account, bucket).table("app.novelties") == [
        {"account_id": str(account.id), "name": "new"}
    ]


def test_it_holds_all_of_the_account_and_nothing_of_another(
    bucket: Any, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "ROWS", 7)  # many parts of a table
    account, stranger = founded(database.owner_url), founded(database.owner_url)
    for one in (account, stranger):
        one.plan()
        sent = one.sent()
        one.copies(one.quote(), 30)
    number = account.get(sent_of(account)).number

    given = export(account, bucket)

    everything = b"".join(given.file.read(name) for name in given.file.namelist())
    quotes = account.owner(
        "select id from app.quotes where account_id = %(id)s", {"id": account.id}
    )
    assert sorted(quote["id"] for quote in given.table("app.quotes")) == sorted(
        str(row[0]) for row in quotes
    )
    assert len(quotes) == 32
    assert str(stranger.id).encode() not in everything
    assert str(stranger.user).encode() not in everything
    assert f"quotes/{number}.pdf" in given.file.namelist()
    assert len([name for name in given.file.namelist() if name.endswith(".pdf")]) == 32
    assert given.table("app.accounts")[0]["id"] == str(account.id)
    assert json.loads(given.file.read("manifest.json"))["counts"]["app.quotes"] == 32
    assert sent.id not in {quote["id"] for quote in given.table("app.quotes")}


def sent_of(account: Account) -> UUID:
    (row,) = account.owner(
        "select id from app.quotes where account_id = %(id)s and number is not null",
        {"id": account.id},
    )
    found: UUID = row[0]
    return found


def test_hashes_of_links_and_tokens_stay_behind(bucket: Any, database: Database) -> None:
    account = founded(database.owner_url)
    account.sent()

    given = export(account, bucket)

    (link,) = given.table("app.quote_links")
    assert "token_hash" not in link
    assert "expires_at" in link


@pytest.mark.parametrize("role", ["member", "viewer"])
def test_only_who_manages_the_account_may_ask(bucket: Any, database: Database, role: str) -> None:
    account, other = founded(database.owner_url), Account(database.owner_url)
    values = {"account": account.id, "user": other.user, "role": role}
    account.owner("insert into app.members values (%(account)s, %(user)s, %(role)s)", values)

    with pytest.raises(ForbiddenError):
        submit(account, other.user)


def test_who_is_no_manager_any_more_gets_no_part(bucket: Any, database: Database) -> None:
    account, admin = founded(database.owner_url), Account(database.owner_url)
    values = {"account": account.id, "user": admin.user}
    account.owner("insert into app.members values (%(account)s, %(user)s, 'admin')", values)
    job = submit(account, admin.user)
    account.owner("update app.members set role = 'member' where user_id = %(user)s", values)

    engine.serve("normal", job, remaining=lambda: 60.0)

    desk = Desk(account.owner_url)
    assert desk.job(job).codes.keys() == {"forbidden"}
    desk.connection.close()


def test_a_batch_of_whoever_is_a_viewer_by_now_changes_nothing(
    bucket: Any, database: Database
) -> None:
    account, other = founded(database.owner_url), Account(database.owner_url)
    account.plan()
    values = {"account": account.id, "user": other.user}
    account.owner("insert into app.members values (%(account)s, %(user)s, 'member')", values)
    desk = Desk(account.owner_url)
    items = [str(account.client(f"Client {number}")) for number in range(30)]
    jobs = [
        desk.submit("delete_clients", items, account=account.id, created_by=other.user)
        for _ in range(2)
    ]

    account.owner("update app.members set role = 'viewer' where user_id = %(user)s", values)
    engine.serve("normal", jobs[0], remaining=lambda: 60.0)
    account.owner("delete from app.members where user_id = %(user)s", values)
    engine.serve("normal", jobs[1], remaining=lambda: 60.0)

    assert [desk.job(job).codes for job in jobs] == [{"forbidden": 30}] * 2
    kept = account.owner("select count(*) from app.clients where account_id = %(account)s", values)
    assert kept == [(30,)]
    desk.connection.close()
