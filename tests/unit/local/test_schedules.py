"""Schedule expressions against the examples of the EventBridge Scheduler guide."""

import asyncio
import json
from datetime import UTC, datetime

import pytest

from local import schedules
from local.schedules import Schedule, ScheduleError, fire, next_time

NOW = datetime(2026, 11, 22, 13, 7, 30, tzinfo=UTC)  # a Sunday


@pytest.mark.parametrize(
    ("expression", "due"),
    [
        ("rate(1 minute)", "2026-11-22T13:08:30"),
        ("rate(5 minutes)", "2026-11-22T13:12:30"),
        ("rate(1 hour)", "2026-11-22T14:07:30"),
        ("rate(2 days)", "2026-11-24T13:07:30"),
        ("cron(0 10 * * ? *)", "2026-11-23T10:00:00"),
        ("cron(15 12 * * ? *)", "2026-11-23T12:15:00"),
        ("cron(15 13 * * ? *)", "2026-11-22T13:15:00"),
        ("cron(7 13 * * ? *)", "2026-11-23T13:07:00"),
        ("cron(0 18 ? * MON-FRI *)", "2026-11-23T18:00:00"),
        ("cron(0 8 1 * ? *)", "2026-12-01T08:00:00"),
        ("cron(0/15 * * * ? *)", "2026-11-22T13:15:00"),
        ("cron(0/10 * ? * MON-FRI *)", "2026-11-23T00:00:00"),
        ("cron(0/5 8-17 ? * MON-FRI *)", "2026-11-23T08:00:00"),
        ("cron(0 9 ? * 2#1 *)", "2026-12-07T09:00:00"),
        ("cron(15 10 ? * 6L 2026-2027)", "2026-11-27T10:15:00"),
        ("cron(0 0 L * ? *)", "2026-11-30T00:00:00"),
        ("cron(0 0 1W AUG ? 2027)", "2027-08-02T00:00:00"),
        ("cron(0 0 29 2 ? *)", "2028-02-29T00:00:00"),
        ("cron(0,30 1,13 * JAN,NOV ? *)", "2026-11-22T13:30:00"),
        ("cron(0 0 1 1 ? 2020)", None),
        ("at(2027-01-02T03:04:05)", "2027-01-02T03:04:05"),
        ("at(2026-11-22T13:00:00)", None),
    ],
)
def test_an_expression_is_due_next(expression, due):
    found = next_time(expression, NOW)

    assert found == (datetime.fromisoformat(due).replace(tzinfo=UTC) if due else None)


def test_a_cron_follows_its_time_zone_through_summer():
    winter = next_time("cron(0 9 * * ? *)", NOW, "Europe/Berlin")
    summer = next_time("cron(0 9 * * ? *)", datetime(2026, 7, 1, tzinfo=UTC), "Europe/Berlin")

    assert winter == datetime(2026, 11, 23, 8, tzinfo=UTC)
    assert summer == datetime(2026, 7, 1, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    "expression",
    [
        "rate(1 minutes)",
        "rate(2 minute)",
        "rate(0 minutes)",
        "rate(1 week)",
        "cron(0 10 * * *)",
        "cron(0 10 * * * *)",
        "cron(0 10 ? * ? *)",
        "cron(60 10 * * ? *)",
        "cron(0 24 * * ? *)",
        "cron(0 10 32 * ? *)",
        "cron(0 10 * FOO ? *)",
        "every minute",
    ],
)
def test_what_the_scheduler_would_refuse_is_refused(expression):
    with pytest.raises(ScheduleError):
        next_time(expression, NOW)


def test_without_an_input_the_target_gets_the_schedulers_notification():
    event = json.loads(Schedule("Sweep", "rate(1 minute)", "sweeper", "live").event(NOW))

    assert len(event.pop("id")) == 36
    assert event == {
        "version": "0",
        "detail-type": "Scheduled Event",
        "source": "aws.scheduler",
        "account": "000000000000",
        "time": "2026-11-22T13:07:30Z",
        "region": "us-east-1",
        "resources": ["arn:aws:scheduler:us-east-1:000000000000:schedule/default/Sweep"],
        "detail": "{}",
    }


def test_an_input_is_sent_as_it_is():
    schedule = Schedule.from_api(
        {
            "Name": "Sweep",
            "ScheduleExpression": "rate(1 minute)",
            "Target": {
                "Arn": "arn:aws:lambda:us-east-1:000000000000:function:sweeper:live",
                "Input": '{"a":1}',
            },
        }
    )

    assert (schedule.function, schedule.qualifier) == ("sweeper", "live")
    assert schedule.event(NOW) == b'{"a":1}'


def test_every_due_time_invokes_the_target(monkeypatch):
    sent = []

    class Target:
        async def send(self, function, payload, *, qualifier):
            sent.append((function, qualifier, payload))

    monkeypatch.setitem(schedules.UNITS, "minute", 0.01)
    schedule = Schedule("Sweep", "rate(1 minute)", "sweeper", "live", "{}")

    async def play():
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(fire(schedule, Target()), 0.2)

    asyncio.run(play())

    assert len(sent) >= 5
    assert set(sent) == {("sweeper", "live", b"{}")}
