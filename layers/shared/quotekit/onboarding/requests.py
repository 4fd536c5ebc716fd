"""What may be said of onboarding from outside."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from quotekit.bodies import Body, Day, given
from quotekit.onboarding.model import Device

TourId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z-]{0,59}$")]


class Where(Body):
    """From which session and kind of device, where the page wants that counted."""

    session_id: Annotated[str, StringConstraints(min_length=1, max_length=100)] | None = None
    device: Device | None = None


class StepReport(Where):
    """`viewed` is only counted; `completed` and `skipped` are kept as well."""

    event: Literal["viewed", "completed", "skipped"]


class PreferencesChange(Body):
    """What is left out stays; `version` (or If-Match) is the one it was made from."""

    show_tooltips: bool = given()
    auto_start_tours: bool = given()
    tour_speed: Literal["slow", "normal", "fast"] = given()
    skip_completed_tours: bool = given()
    enable_animations: bool = given()
    version: int | None = Field(default=None, ge=0)


class FunnelAsked(Body):
    """A tour, and the days (UTC) its persons began on; the last thirty unless told."""

    tour: TourId
    from_day: Day | None = Field(default=None, alias="from")
    to_day: Day | None = Field(default=None, alias="to")
