"""EventBridge Scheduler: rate(), cron() and at() expressions, and the loop that fires them."""

import asyncio
import calendar
import json
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, Protocol
from zoneinfo import ZoneInfo

from local.invocation import ACCOUNT, REGION

UNITS: Final = {"minute": 60, "hour": 3600, "day": 86400}
MONTHS: Final = {name.upper(): number for number, name in enumerate(calendar.month_abbr) if name}
DAYS: Final = {
    name: i for i, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"), 1)
}
HORIZON_DAYS: Final = 366 * 5


class ScheduleError(ValueError):
    """The expression is not one EventBridge Scheduler accepts."""


class Sender(Protocol):
    async def send(self, function: str, payload: bytes, *, qualifier: str) -> None: ...


@dataclass(frozen=True)
class Schedule:
    name: str
    expression: str
    function: str
    qualifier: str
    input: str | None = None
    timezone: str = "UTC"

    @classmethod
    def from_api(cls, answer: dict[str, Any]) -> "Schedule":
        target = answer["Target"]
        function, _, qualifier = target["Arn"].split(":function:")[1].partition(":")
        return cls(
            answer["Name"],
            answer["ScheduleExpression"],
            function,
            qualifier or "$LATEST",
            target.get("Input"),
            answer.get("ScheduleExpressionTimezone") or "UTC",
        )

    def event(self, now: datetime) -> bytes:
        """The target's own input, or the notification Scheduler sends without one."""
        if self.input:
            return self.input.encode()
        return json.dumps(
            {
                "version": "0",
                "id": str(uuid.uuid4()),
                "detail-type": "Scheduled Event",
                "source": "aws.scheduler",
                "account": ACCOUNT,
                "time": f"{now:%Y-%m-%dT%H:%M:%SZ}",
                "region": REGION,
                "resources": [f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/default/{self.name}"],
                "detail": "{}",
            }
        ).encode()


async def fire(schedule: Schedule, sender: Sender) -> None:
    """Invoke the target at every due time until cancelled, or until there is none left."""
    due = next_time(schedule.expression, datetime.now(UTC), schedule.timezone)
    while due:
        await asyncio.sleep(max(0.0, (due - datetime.now(UTC)).total_seconds()))
        await sender.send(schedule.function, schedule.event(due), qualifier=schedule.qualifier)
        due = next_time(schedule.expression, max(due, datetime.now(UTC)), schedule.timezone)


def next_time(expression: str, after: datetime, timezone: str = "UTC") -> datetime | None:
    """When it is due next, in UTC; a rate counts from `after`."""
    match = re.fullmatch(r"(rate|cron|at)\((.+)\)", expression)
    if match is None:
        raise ScheduleError(expression)
    kind, detail = match.groups()
    if kind == "rate":
        return after + _rate(detail)
    zone = ZoneInfo(timezone)
    if kind == "at":
        moment = datetime.fromisoformat(detail).replace(tzinfo=zone).astimezone(UTC)
        return moment if moment > after else None
    return Cron.parse(detail).next(after.astimezone(zone))


def _rate(detail: str) -> timedelta:
    match = re.fullmatch(r"([1-9]\d*) (minute|hour|day)(s?)", detail)
    if match is None or (match[1] == "1") == bool(match[3]):
        raise ScheduleError(f"rate({detail})")
    return timedelta(seconds=int(match[1]) * UNITS[match[2]])


@dataclass(frozen=True)
class Cron:
    """Minutes, hours, day of month, month, day of week (1 = Sunday), year."""

    minutes: frozenset[int]
    hours: frozenset[int]
    month_days: str
    months: frozenset[int]
    week_days: str
    years: frozenset[int]

    @classmethod
    def parse(cls, detail: str) -> "Cron":
        fields = detail.split()
        if len(fields) != 6 or (fields[2] == "?") == (fields[4] == "?"):  # noqa: PLR2004
            raise ScheduleError(f"cron({detail})")
        try:
            cron = cls(
                _numbers(fields[0], 0, 59),
                _numbers(fields[1], 0, 23),
                fields[2],
                _numbers(_named(fields[3], MONTHS), 1, 12),
                _named(fields[4], DAYS),
                _numbers(fields[5], 1970, 2199),
            )
            cron.days(2024, 2)
        except (ValueError, KeyError) as error:
            raise ScheduleError(f"cron({detail})") from error
        return cron

    def next(self, after: datetime) -> datetime | None:
        moment = after.replace(second=0, microsecond=0) + timedelta(minutes=1)
        for offset in range(HORIZON_DAYS):
            day = moment.date() + timedelta(days=offset)
            if not self._falls_on(day):
                continue
            for hour in sorted(self.hours):
                for minute in sorted(self.minutes):
                    due = datetime(day.year, day.month, day.day, hour, minute, tzinfo=after.tzinfo)
                    if due >= moment:
                        return due.astimezone(UTC)
        return None

    def _falls_on(self, day: date) -> bool:
        return (
            day.year in self.years
            and day.month in self.months
            and day.day in self.days(day.year, day.month)
        )

    def days(self, year: int, month: int) -> set[int]:
        last = calendar.monthrange(year, month)[1]
        every = [date(year, month, day) for day in range(1, last + 1)]
        if self.week_days == "?":
            return set(_month_days(self.month_days, every))
        return set(_week_days(self.week_days, every))


def _month_days(field: str, every: list[date]) -> Iterator[int]:
    for part in field.split(","):
        if part == "L":
            yield every[-1].day
        elif part.endswith("W"):
            wanted = every[-1].day if part == "LW" else int(part[:-1])
            working = [day for day in every if day.isoweekday() <= 5]  # noqa: PLR2004  # Friday
            yield min(working, key=lambda day: abs(day.day - wanted)).day
        else:
            yield from _numbers(part, 1, 31)


def _week_days(field: str, every: list[date]) -> Iterator[int]:
    for part in field.split(","):
        if match := re.fullmatch(r"([1-7])#([1-5])", part):
            yield from [day.day for day in every if _week_day(day) == int(match[1])][
                int(match[2]) - 1 : int(match[2])
            ]
        elif match := re.fullmatch(r"([1-7])L", part):
            yield [day.day for day in every if _week_day(day) == int(match[1])][-1]
        else:
            wanted = _numbers(part, 1, 7)
            yield from [day.day for day in every if _week_day(day) in wanted]


def _week_day(day: date) -> int:
    return day.isoweekday() % 7 + 1


def _named(field: str, names: dict[str, int]) -> str:
    return re.sub(r"[A-Z]{3}", lambda match: str(names[match[0]]), field)


def _numbers(field: str, low: int, high: int) -> frozenset[int]:
    """The values a field such as `*`, `5`, `1-5`, `0/15` or a list of these stands for."""
    values: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        start = low if first == "*" else int(first)
        end = int(last) if last else (high if first == "*" or step else start)
        if not low <= start <= end <= high:
            raise ScheduleError(field)
        values.update(range(start, end + 1, int(step or 1)))
    return frozenset(values)
