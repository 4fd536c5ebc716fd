"""What kind of image a logo is and how large, read from its first bytes."""

import base64
import struct
from dataclasses import dataclass
from typing import Final

LARGEST_SIDE: Final = 4096  # pixels: decoding takes four bytes for each
FRAME_MARKERS: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


class LogoError(ValueError):
    """The logo is not a PNG, JPEG, GIF or WebP image that can be drawn."""

    def __init__(self, problem: str | None = None) -> None:
        super().__init__(problem or type(self).__doc__)


@dataclass(frozen=True, slots=True)
class Logo:
    content: bytes
    media_type: str
    width: int
    height: int

    def as_svg(self) -> bytes:
        """The image inside a drawing: typst takes text files only."""
        encoded = base64.b64encode(self.content).decode()
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{self.width}" height="{self.height}">'
            f'<image width="{self.width}" height="{self.height}" '
            f'href="data:{self.media_type};base64,{encoded}"/></svg>'
        ).encode()


def read_logo(content: bytes) -> Logo:
    """Tell the image by its content, never by a name somebody gave it; raises LogoError."""
    try:
        media_type, width, height = _read(content)
    except (struct.error, IndexError) as error:
        raise LogoError from error
    if not (0 < width <= LARGEST_SIDE and 0 < height <= LARGEST_SIDE):
        raise LogoError(f"a logo has at most {LARGEST_SIDE} pixels on a side")
    return Logo(content, media_type, width, height)


def _read(content: bytes) -> tuple[str, int, int]:
    if content.startswith(b"\x89PNG\r\n\x1a\n") and content[12:16] == b"IHDR":
        return "image/png", *struct.unpack_from(">II", content, 16)
    if content.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif", *struct.unpack_from("<HH", content, 6)
    if content.startswith(b"\xff\xd8\xff"):
        return "image/jpeg", *_jpeg_size(content)
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return "image/webp", *_webp_size(content)
    raise LogoError


def _jpeg_size(content: bytes) -> tuple[int, int]:
    at = 2
    while True:
        marker, length = struct.unpack_from(">xBH", content, at)
        if marker in FRAME_MARKERS:
            height, width = struct.unpack_from(">HH", content, at + 5)
            return width, height
        at += 2 + length


def _webp_size(content: bytes) -> tuple[int, int]:
    kind = content[12:16]
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", content, 26)
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", content, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8X":
        sides = content[24:30]
        width, height = sides[:3], sides[3:]
        return int.from_bytes(width, "little") + 1, int.from_bytes(height, "little") + 1
    raise LogoError
