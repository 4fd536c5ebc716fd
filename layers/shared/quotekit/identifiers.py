"""UUIDs of version 7 (RFC 9562 §5.7): sorted by time, so indexes grow at one end."""

import os
import time
from typing import Final
from uuid import UUID

VERSION_AND_VARIANT: Final = (0x7 << 76) | (0b10 << 62)
RANDOM: Final = ~((0xF << 76) | (0b11 << 62)) & ((1 << 80) - 1)


def new_id() -> UUID:
    """A new UUID v7: 48 bits of milliseconds, 74 random bits. `uuid.uuid7` comes with 3.14."""
    random = int.from_bytes(os.urandom(10)) & RANDOM
    return UUID(int=(time.time_ns() // 1_000_000) << 80 | VERSION_AND_VARIANT | random)
