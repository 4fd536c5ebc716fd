"""What the shipped fonts can draw: a tagged PDF may not contain a character without a glyph."""

import struct
import unicodedata
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

FONTS: Final = Path(__file__).with_name("print") / "fonts"
SUBSTITUTE: Final = "□"
LINE_ENDS: Final = {ord(end): "\n" for end in "\v\f\x85\u2028\u2029"} | {ord("\t"): " "}
BYTE_ORDER_MARK: Final = "\ufeff"  # fonts have it, PDF/UA forbids it


def printable(text: str) -> str:
    """The text without control characters; what no font can draw becomes a box."""
    drawable = covered()
    normal = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n"))
    return "".join(_printed(character, drawable) for character in normal.translate(LINE_ENDS))


def _printed(character: str, drawable: frozenset[int]) -> str:
    if character == "\n":
        return character
    category = unicodedata.category(character)
    if category == "Cc" or character == BYTE_ORDER_MARK:
        return ""
    if ord(character) in drawable:
        return character
    # marks and invisible characters vanish, and with them Unicode's direction overrides, which
    # could turn the digits of a price around; letters leave a trace
    return "" if category in {"Cf", "Cn", "Mn", "Me"} else SUBSTITUTE


@cache
def covered() -> frozenset[int]:
    """The code points the fonts have glyphs for."""
    return frozenset(
        point
        for font in sorted(FONTS.glob("*.[ot]tf"))
        for first, last in _segments(font.read_bytes())
        for point in range(first, last + 1)
    )


def _segments(font: bytes) -> Iterator[tuple[int, int]]:
    """Ranges of a font's character map (OpenType `cmap`, subtable formats 4 and 12)."""
    (tables,) = struct.unpack_from(">H", font, 4)
    offsets = {
        font[at : at + 4]: struct.unpack_from(">I", font, at + 8)[0]
        for at in range(12, 12 + 16 * tables, 16)
    }
    cmap = offsets[b"cmap"]
    (subtables,) = struct.unpack_from(">H", font, cmap + 2)
    for number in range(subtables):
        start = cmap + struct.unpack_from(">I", font, cmap + 8 + 8 * number)[0]
        (form,) = struct.unpack_from(">H", font, start)
        if form == 4:  # noqa: PLR2004
            yield from _format_4(font, start)
        elif form == 12:  # noqa: PLR2004
            yield from _format_12(font, start)


def _format_4(font: bytes, start: int) -> Iterator[tuple[int, int]]:
    count = struct.unpack_from(">H", font, start + 6)[0] // 2
    lasts = struct.unpack_from(f">{count}H", font, start + 14)
    firsts = struct.unpack_from(f">{count}H", font, start + 16 + 2 * count)
    # the last segment, 0xFFFF, is there by definition and maps to no glyph
    yield from zip(firsts[:-1], lasts[:-1], strict=True)


def _format_12(font: bytes, start: int) -> Iterator[tuple[int, int]]:
    (count,) = struct.unpack_from(">I", font, start + 12)
    for first, last, _glyph in struct.iter_unpack(
        ">III", font[start + 16 : start + 16 + 12 * count]
    ):
        yield first, last
