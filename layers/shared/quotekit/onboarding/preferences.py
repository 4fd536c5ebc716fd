"""How a person wants to be shown round."""

from dataclasses import asdict
from typing import Final, LiteralString

from psycopg.rows import class_row

from quotekit import audit
from quotekit.auth import Principal
from quotekit.database import Connection
from quotekit.errors import StaleVersionError
from quotekit.onboarding.model import Preferences
from quotekit.onboarding.requests import PreferencesChange

COLUMNS: Final[LiteralString] = """show_tooltips, auto_start_tours, tour_speed,
    skip_completed_tours, enable_animations, version, updated_at"""
GET: Final[LiteralString] = (
    "select "
    + COLUMNS
    + """ from app.onboarding_preferences
where account_id = (select auth.account_id()) and user_id = (select auth.uid())"""
)


def get(connection: Connection) -> Preferences:
    """The caller's, or the defaults."""
    with connection.cursor(row_factory=class_row(Preferences)) as cursor:
        return cursor.execute(GET).fetchone() or Preferences()


# The first change founds the row: it is made from version 0 and inserts version 1.
CHANGE: Final[LiteralString] = (
    """
insert into app.onboarding_preferences as kept (show_tooltips, auto_start_tours, tour_speed,
    skip_completed_tours, enable_animations)
select %(show_tooltips)s, %(auto_start_tours)s, %(tour_speed)s, %(skip_completed_tours)s,
    %(enable_animations)s
on conflict (account_id, user_id) do update
set show_tooltips = excluded.show_tooltips, auto_start_tours = excluded.auto_start_tours,
    tour_speed = excluded.tour_speed, skip_completed_tours = excluded.skip_completed_tours,
    enable_animations = excluded.enable_animations, version = kept.version + 1
where kept.version = %(version)s
returning """
    + COLUMNS
)


def change(
    connection: Connection, caller: Principal, body: PreferencesChange, *, version: int
) -> Preferences:
    """Change the caller's. Raises StaleVersionError."""
    found = get(connection)
    if found.version != version:
        raise StaleVersionError
    said = body.model_dump(exclude_unset=True, exclude={"version"})
    with connection.cursor(row_factory=class_row(Preferences)) as cursor:
        changed = cursor.execute(CHANGE, asdict(found) | said).fetchone()
    if changed is None:
        raise StaleVersionError
    fields = {"fields": sorted(said)}
    audit.record(connection, "onboarding_preferences.changed", caller.user_id, fields)
    return changed
