"""A company's colour on white paper: as it chose, and dark enough to read."""

import re
from typing import Final

DEFAULT: Final = "#1f5c4d"
HEX: Final = re.compile(r"#[0-9a-fA-F]{6}")
READABLE: Final = 4.5  # contrast with white paper, WCAG 2.2 AA


def chosen(colour: str | None) -> str:
    """The colour, or the house's where none was given that can be drawn."""
    given = colour or ""
    return given.lower() if HEX.fullmatch(given) else DEFAULT


def readable(colour: str) -> str:
    """The colour, darkened until text in it can be read on white."""
    channels = [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
    while 1.05 / (_luminance(channels) + 0.05) < READABLE:
        channels = [channel * 19 // 20 for channel in channels]
    return "#" + "".join(f"{channel:02x}" for channel in channels)


def _luminance(channels: list[int]) -> float:
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4  # noqa: PLR2004
        for part in (channel / 255 for channel in channels)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
