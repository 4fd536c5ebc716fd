"""Every hour: what is older than its days is gone."""

import psycopg

from functions.record_purger.app import lambda_handler
from tests.conftest import Database
from tests.functions.conftest import LambdaContext, load_event

OLD = """
insert into ops.webhook_refusals (id, source, reason, sample, received_at)
select gen_random_uuid(), 'stripe', 'mismatch', '{}', now() - n * interval '1 day'
from generate_series(20, 40) as n
"""


class Roomy(LambdaContext):
    def get_remaining_time_in_millis(self) -> int:
        return 300_000


def test_a_tick_deletes_what_is_old_and_says_how_much(database: Database) -> None:
    with psycopg.connect(database.owner_url) as owner:
        owner.execute(OLD)

    answer = lambda_handler(load_event("record_purger"), Roomy())

    assert answer["finished"] is True
    assert answer["deleted"]["webhook_refusals"] == 11
    with psycopg.connect(database.owner_url) as owner:
        assert owner.execute("select count(*) from ops.webhook_refusals").fetchone() == (10,)


def test_a_tick_without_time_begins_nothing(database: Database) -> None:
    answer = lambda_handler(load_event("record_purger"), LambdaContext())

    assert answer == {"deleted": {"webhook_events": 0}, "finished": False}
