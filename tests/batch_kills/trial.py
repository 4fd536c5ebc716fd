"""The same jobs twice, once in peace and once under kills: both have to come to the same end."""

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid5

from tests.batch_kills.driver import SHORTEST_LEASE, Plans, Stage, Tally
from tests.batch_kills.worker import STEPS, SWEEPER_STEPS
from tests.batching import ACCOUNT, USER, Desk, entries

NAMES: Final = UUID("01900000-0000-7000-8000-00000000beef")
URL: Final = "https://example.com/batches"
PRICED: Final = 120
UPLOADED: Final = 200
PEACEFUL_LEASES: Final = 10  # that the undisturbed run is thought to take
ITEM: Final = """
insert into app.items (id, account_id, name, unit, unit_cost)
values (%(id)s, %(account_id)s, %(name)s, 'piece', %(cost)s) on conflict do nothing
"""
UPLOAD: Final = """
insert into app.batch_uploads (id, account_id, created_by, format, bytes, key, expires_at)
values (%(id)s, %(account_id)s, %(user)s, 'ndjson', %(bytes)s, %(key)s, now() + interval '1 day')
"""
PREPARING: Final = """
insert into app.batch_jobs (id, account_id, created_by, operation, upload_id, upload_etag,
    notify_url, status)
values (%(id)s, %(account_id)s, %(user)s, 'write_slowly', %(id)s, 'etag', %(url)s, 'preparing')
"""
TOLD: Final = """
select event, count(*) from app.batch_notices where job_id = %s and event <> 'progress'
group by event
"""
LEFT: Final = """
select (select count(*) from app.batch_chunks where state <> 'done')
    + (select count(*) from app.batch_jobs where lease is not null or finished_at is null)
"""


def faulty(count: int, **more: Any) -> list[dict[str, Any]]:
    """Items of which some cannot be done."""
    items = entries(count, **more)
    items[count // 3] |= {"fault": "missing"}
    items[count // 2] |= {"fault": "boom"}
    return items


@dataclass
class Round:
    """One set of jobs."""

    desk: Desk
    folder: Path
    number: int
    jobs: dict[str, UUID] = field(default_factory=dict)

    def submit(self) -> list[str]:
        priced = [uuid5(NAMES, f"{self.number} {n}") for n in range(PRICED)]
        values = [
            {"id": item, "account_id": ACCOUNT, "name": str(item), "cost": n + 1}
            for n, item in enumerate(priced)
        ]
        with self.desk.connection.cursor() as cursor:
            cursor.executemany(ITEM, values)
        prices = [{"id": str(item)} for item in priced]
        more: dict[str, Any] = {"parameters": {"percent": "10"}}
        submit = self.desk.submit
        self.jobs = {
            "export": submit("write_lines", faulty(160), chunk=40, notify_url=URL),
            "one by one": submit("write_entry", faulty(120, seconds=0.001), chunk=30),
            "together": submit("write_entries", faulty(300), chunk=25, notify_url=URL),
            "prices": submit("update_item_prices", prices, chunk=20, **more),
            "upload": self.upload(),
        }
        return [str(job) for job in self.jobs.values()]

    def upload(self) -> UUID:
        job = uuid5(NAMES, f"upload {self.number}")
        lines = [json.dumps(entry) for entry in entries(UPLOADED)]
        lines[20] = '{"n": "no number"}'
        content = "\n".join(lines).encode()
        key = f"uploads/{job}"
        (self.folder / key.replace("/", "_")).write_bytes(content)
        values = {"id": job, "account_id": ACCOUNT, "user": USER, "url": URL, "key": key}
        with self.desk.connection.transaction():
            self.desk.connection.execute(UPLOAD, values | {"bytes": len(content)})
            self.desk.connection.execute(PREPARING, values)
        return job

    def ends(self) -> dict[str, Any]:
        """What the jobs came to, from their rows and from everything they had an effect on."""
        query = "select unit_cost from app.items where name = %s"
        names = [str(uuid5(NAMES, f"{self.number} {n}")) for n in range(PRICED)]
        found: dict[str, Any] = {"costs": [self.desk.value(query, name) for name in names]}
        for name, job in self.jobs.items():
            found[name] = vars(self.desk.job(job)) | {
                "ledger": self.desk.entries(job),
                "told": dict(self.desk.connection.execute(TOLD, [job]).fetchall()),
                "result": self.result(job),
            }
        return found

    def result(self, job: UUID) -> bytes | None:
        key = self.desk.value("select result_key from app.batch_jobs where id = %s", job)
        return (self.folder / key.replace("/", "_")).read_bytes() if key else None


@dataclass
class Verdict:
    """What a trial showed."""

    tally: Tally
    rounds: int
    complaints: list[str]

    @property
    def never_died_at(self) -> set[str]:
        return (STEPS.keys() | SWEEPER_STEPS.keys()) - self.tally.killed.keys()


def trial(
    peaceful: Desk, urls: tuple[str, str], disturbed: Desk, folder: Path, *, seed: int, deaths: int
) -> Verdict:
    """Jobs in peace in one database, then rounds of them in another until all have died."""
    (folder / "peace").mkdir()
    (folder / "kills").mkdir()
    started = time.monotonic()
    expected = _peace(peaceful, urls[0], folder / "peace")
    lease = max(SHORTEST_LEASE, (time.monotonic() - started) / PEACEFUL_LEASES)
    plans = Plans(seed, deaths=deaths)
    stage = Stage(urls[1], folder / "kills", plans, lease=lease)
    complaints: list[str] = []
    number = 0
    try:
        while not plans.done and not complaints and number < deaths + 20:
            current = Round(disturbed, folder / "kills", number)
            stage.run(disturbed, current.submit(), seconds=60 + 60 * lease)
            complaints += compared(expected, current.ends(), number)
            number += 1
    except TimeoutError as error:
        complaints.append(str(error))
    finally:
        stage.close()
    if disturbed.value(LEFT):
        complaints.append(f"{disturbed.value(LEFT)} leases or chunks were left")
    return Verdict(stage.tally, number, complaints + stage.tally.errors)


def _peace(desk: Desk, url: str, folder: Path) -> dict[str, Any]:
    stage = Stage(url, folder, None, lease=30)
    only = Round(desk, folder, 0)
    try:
        stage.run(desk, only.submit(), seconds=120)
    finally:
        stage.close()
    return only.ends()


def compared(expected: dict[str, Any], found: dict[str, Any], number: int) -> list[str]:
    return [
        f"round {number}, {name}: {_difference(expected[name], found[name])}"
        for name in expected
        if expected[name] != found[name]
    ]


def _difference(expected: Any, found: Any) -> str:
    if isinstance(expected, dict):
        return "; ".join(
            f"{name}: {str(found[name])[:300]} instead of {str(value)[:300]}"
            for name, value in expected.items()
            if found[name] != value
        )
    return f"{str(found)[:300]} instead of {str(expected)[:300]}"
