"""What `bench.batch` runs of ours beside its peers: an operation that does nothing, on items.

`prepare` lays an upload down as the worker would, from a file; `work` is a worker's turn.
"""

import json
import sys
import time
from pathlib import Path
from uuid import UUID

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "layers/shared")]

import psycopg  # noqa: E402

from quotekit import outbox, queues, storage  # noqa: E402
from quotekit.batches import claims, engine, operations, preparing  # noqa: E402
from quotekit.batches.model import Operation, Outcome  # noqa: E402
from quotekit.bodies import Body  # noqa: E402
from quotekit.identifiers import new_id  # noqa: E402

ACCOUNT = UUID("01900000-0000-7000-8000-0000000000a1")
SETUP = "insert into app.accounts (id) values (%(account)s) on conflict do nothing"
UPLOAD = """
insert into app.batch_uploads (id, account_id, created_by, format, bytes, key, expires_at)
values (%(id)s, %(account)s, %(account)s, 'ndjson', %(bytes)s, 'upload', now() + interval '1 day')
"""
JOB = """
insert into app.batch_jobs (id, account_id, created_by, operation, upload_id, upload_etag, status)
values (%(id)s, %(account)s, %(account)s, 'noop', %(id)s, 'etag', 'preparing')
"""


class Item(Body):
    n: int


NOOP = Operation(
    name="noop",
    item=Item,
    apply=lambda _connection, _work, items: [Outcome("unchanged")] * len(items),
    milliseconds=0.01,
)


def prepare(owner_url: str, count: int) -> None:
    content = "\n".join(json.dumps({"n": n}) for n in range(count)).encode()

    def part(_bucket: str, _key: str, start: int, size: int, *, etag: str) -> bytes:
        return content[start : start + size]

    storage.documents = lambda: "documents"
    storage.part = part
    values = {"id": new_id(), "account": ACCOUNT, "bytes": len(content)}
    with psycopg.connect(owner_url, autocommit=True) as owner:
        for statement in (SETUP, UPLOAD, JOB):
            owner.execute(statement, values)
    started = time.time()
    claim = claims.claim("normal", seconds=60)
    assert claim is not None
    preparing.prepare(claim, claim.lease, until=lambda: False)
    print(json.dumps([started, time.time()]))


def work() -> None:
    started = time.time()
    engine.serve("normal", new_id(), lambda: 600.0)
    print(json.dumps([started, time.time()]))


if __name__ == "__main__":
    operations.OPERATIONS["noop"] = NOOP  # type: ignore[index]  # a dict, and only here
    queues.send = lambda _url, messages: iter(messages)  # type: ignore[assignment]
    queues.url = lambda topic: topic
    outbox.deliver([])
    if sys.argv[1] == "prepare":
        prepare(sys.argv[2], int(sys.argv[3]))
    else:
        work()
