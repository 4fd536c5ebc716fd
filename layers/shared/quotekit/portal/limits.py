"""How often a page may be asked for: by one address, and with one link."""

import hashlib
from collections.abc import Sequence
from typing import Final

from quotekit.database import Connection
from quotekit.errors import RateLimitedError

PLACES: Final = 65_536
PER_ADDRESS: Final = 240  # a minute; an office shares one
PER_LINK: Final = 60

# The place of the address is always the lower one, so two requests never wait for each other.
COUNT: Final = """
insert into ops.portal_requests as known (place) values (%(address)s), (%(link)s)
on conflict (place) do update set
    requests = case when known.begun_at > now() - interval '1 minute' then known.requests + 1
        else 1 end,
    begun_at = case when known.begun_at > now() - interval '1 minute' then known.begun_at
        else now() end
returning requests
"""


def count(connection: Connection, source_ip: str, token: str) -> Sequence[int]:
    """Count a request; how many came within a minute from the address, and with the link."""
    values = {"address": place(source_ip), "link": PLACES + place(token)}
    return [row[0] for row in connection.execute(COUNT, values)]


def place(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:2])


def check(counted: Sequence[int]) -> None:
    """Raises RateLimitedError."""
    by_address, by_link = counted
    if by_address > PER_ADDRESS or by_link > PER_LINK:
        raise RateLimitedError
