"""What an account has outside of PostgreSQL: objects in S3 with all their versions, and secrets.

A page of versions is counted before it is deleted, up to the key that is noted: killed between the
two, it is deleted next time and not counted again.
"""

import time
from collections.abc import Iterator
from typing import Final, NamedTuple

from quotekit import database, storage
from quotekit.database import SERVICE
from quotekit.operations.erasure.model import Open
from quotekit.webhooks import publishing

END: Final = "~"  # behind every key below a prefix


class Place(NamedTuple):
    """Where objects of the account lie; `name` is what the receipt calls it."""

    name: str
    bucket: str
    prefix: str


def places(erasure: Open) -> Iterator[Place]:
    documents, account = storage.documents(), erasure.account_id
    yield Place("documents/accounts", documents, f"accounts/{account}/")
    yield Place("documents/uploads", documents, f"uploads/{account}/")
    yield Place("assets/accounts", storage.assets(), f"accounts/{account}/")
    for job in sorted(erasure.known.jobs):
        yield Place("documents/batches", documents, f"batches/{job}/")


def clear(erasure: Open, until: float) -> bool:
    """Delete it all; whether nothing is left."""
    noted = dict(erasure.noted)
    for place in places(erasure):
        if noted.get(place.name, "") >= place.prefix + END:
            continue
        while page := storage.versions(place.bucket, place.prefix):
            if time.monotonic() >= until:
                return False
            known = noted.get(place.name, "")
            count = sum(item.key > known and not item.is_marker for item in page)
            noted[place.name] = max(known, page[-1].key)
            if not note(erasure, place, count, known, noted[place.name]):
                return False
            storage.erase(place.bucket, page)
        known, noted[place.name] = noted.get(place.name, ""), place.prefix + END
        if not note(erasure, place, 0, known, noted[place.name]):
            return False
    for endpoint in erasure.known.endpoints:
        publishing.remove_secret(endpoint)
    return True


NOTE: Final = """
update ops.erasures
set noted = noted || jsonb_build_object(%(name)s::text, %(key)s::text),
    deleted_objects = deleted_objects || jsonb_build_object(%(name)s::text,
        coalesce((deleted_objects -> %(name)s)::bigint, 0) + %(count)s)
where id = %(id)s and coalesce(noted ->> %(name)s, '') = %(known)s
returning id
"""


def note(erasure: Open, place: Place, count: int, known: str, key: str) -> bool:
    """Count what is deleted next, up to a key; False when another worker is at it."""
    values = {"id": erasure.id, "name": place.name, "count": count, "known": known, "key": key}
    with database.transaction(SERVICE) as connection:
        return connection.execute(NOTE, values).fetchone() is not None
