"""Which keys were there before, and where: a million of them in 42 MB.

A dict of so many would take some 140. An open-addressed table of 128-bit digests holds no key
itself; that two different keys among a million meet in one has a chance below 10⁻²⁶.
"""

from array import array
from hashlib import blake2b
from typing import Final

SMALLEST: Final = 1 << 10
FULL: Final = 0.6  # share of the places in use at which the table doubles


class Seen:
    """Remembers at which line each key came first."""

    def __init__(self) -> None:
        self._count = 0
        self._make(SMALLEST)

    def __len__(self) -> int:
        return self._count

    def first(self, key: str, line: int) -> int | None:
        """The line (1 or more) that had this key before; None when this one is its first."""
        digest = blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        high, low = int.from_bytes(digest[:8]), int.from_bytes(digest[8:])
        place = self._find(high, low)
        if self._lines[place]:
            return self._lines[place]
        self._put(place, high, low, line)
        if self._count > self._most:
            self._grow()
        return None

    def _make(self, places: int) -> None:
        self._mask = places - 1
        self._most = int(places * FULL)
        self._highs = array("Q", bytes(8 * places))
        self._lows = array("Q", bytes(8 * places))
        self._lines = array("I", bytes(4 * places))  # 0: nobody is here

    def _find(self, high: int, low: int) -> int:
        """Where the digest is, or would be."""
        place = high & self._mask
        while self._lines[place] and (self._highs[place] != high or self._lows[place] != low):
            place = (place + 1) & self._mask
        return place

    def _put(self, place: int, high: int, low: int, line: int) -> None:
        self._highs[place], self._lows[place], self._lines[place] = high, low, line
        self._count += 1

    def _grow(self) -> None:
        known = zip(self._highs, self._lows, self._lines, strict=True)
        self._count = 0
        self._make(2 * (self._mask + 1))
        for high, low, line in known:
            if line:
                self._put(self._find(high, low), high, low, line)
