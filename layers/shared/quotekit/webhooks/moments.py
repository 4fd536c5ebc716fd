"""The times that senders give: ISO, or a number since 1970."""

from datetime import UTC, datetime
from typing import Final

MILLISECONDS: Final = 100_000_000_000  # numbers above are milliseconds, not seconds


def moment(value: object) -> datetime | None:
    """An aware time; one without a zone is UTC. None for what is no time."""
    try:
        if isinstance(value, str):
            found = datetime.fromisoformat(value)
            return found if found.tzinfo else found.replace(tzinfo=UTC)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value / 1000 if value > MILLISECONDS else value, UTC)
    except (ValueError, OverflowError, OSError):
        pass
    return None
