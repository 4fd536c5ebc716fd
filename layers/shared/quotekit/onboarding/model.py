"""What onboarding is made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

type Status = Literal["not_started", "in_progress", "completed", "skipped", "abandoned"]
type Outcome = Literal["completed", "skipped"]
type Device = Literal["desktop", "mobile", "tablet"]


@dataclass(frozen=True, slots=True)
class ChecklistStep:
    """One thing an account does first; `reached_at` is when its own rows say it did."""

    key: str
    title: str
    done: bool
    reached_at: datetime | None


@dataclass(frozen=True, slots=True)
class Checklist:
    """`percent` is rounded down; `completed_at` is when the last step was reached."""

    steps: Sequence[ChecklistStep]
    done: int
    total: int
    percent: int
    completed_at: datetime | None


@dataclass(frozen=True, slots=True)
class TourStep:
    """`fact` names what the database has to know before the step can be completed."""

    key: str
    title: str
    fact: str | None
    outcome: Outcome | None
    done_at: datetime | None


@dataclass(frozen=True, slots=True)
class Tour:
    """A tour and how far the caller is; `reason` says why it is not available to him."""

    id: str
    name: str
    description: str
    gate: Literal["all", "free", "paid"]
    requires: Sequence[str]
    available: bool
    reason: str | None
    status: Status
    current_step: str | None
    steps: Sequence[TourStep]
    started_at: datetime | None
    completed_at: datetime | None
    last_active_at: datetime | None


@dataclass(frozen=True, slots=True)
class Preferences:
    """How a person wants to be shown round; version 0 are the defaults."""

    show_tooltips: bool = True
    auto_start_tours: bool = True
    tour_speed: Literal["slow", "normal", "fast"] = "normal"
    skip_completed_tours: bool = True
    enable_animations: bool = True
    version: int = 0
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class FunnelStep:
    """Persons who came to a step, were done with it, left it out, or left the tour there.

    `median_seconds` is from the first look at it to its completion, of those who did both."""

    key: str
    reached: int
    completed: int
    skipped: int
    dropped: int
    median_seconds: float | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Funnel:
    """What became of the persons who began a tour in a period; shares are of `started`."""

    tour: str
    from_time: datetime
    to_time: datetime
    started: int
    completed: int
    skipped: int
    completion_rate: float | None
    reason: str | None
    steps: Sequence[FunnelStep]
    source: str
    observed_at: datetime
