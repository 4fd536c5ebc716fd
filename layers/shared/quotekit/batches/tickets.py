"""Tickets: messages that wake workers. What there is to do, and whose turn it is, PostgreSQL says.

A ticket names the job that caused it, but its worker serves whichever job of that priority is due.
So a ticket too many costs one look, and one that is lost is made up for by the sweeper.
"""

from typing import Final
from uuid import UUID

from psycopg.types.json import Jsonb

from quotekit.batches.model import TOPICS, Priority
from quotekit.database import Connection
from quotekit.identifiers import new_id
from quotekit.outbox import Promise

MOST: Final = 4  # workers that a job's own tickets wake

INSERT: Final = """
insert into app.outbox (id, topic, payload)
select id, %(topic)s, %(payload)s from unnest(%(ids)s::uuid[]) as id
"""


def promise(
    connection: Connection, job_id: UUID, priority: Priority, count: int = 1
) -> list[Promise]:
    """Promise tickets for `count` chunks, a few at most, in the transaction that makes the work.

    They travel with the next statement; the caller delivers them after the commit.
    """
    payload = {"job_id": str(job_id)}
    topic = TOPICS[priority]
    made = [Promise(new_id(), topic, payload) for _ in range(min(count, MOST))]
    if made:
        values = {"ids": [one.id for one in made], "topic": topic, "payload": Jsonb(payload)}
        connection.defer(INSERT, values)
    return made
