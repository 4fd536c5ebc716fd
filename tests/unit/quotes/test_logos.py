"""Logos are told by their bytes; what cannot be drawn is refused before it is stored."""

import base64
import struct

import pytest

from quotekit.quotes.logos import LARGEST_SIDE, LogoError, read_logo
from tests.unit.quotes import samples

# the smallest images of each kind, 4 x 3 pixels
JPEG_START = "ffd8ffe000104a46494600010100000100010000ffc0000b080003000401011100"
WEBP_LOSSY = b"RIFF\x24\0\0\0WEBPVP8 \x18\0\0\0\x30\x01\0\x9d\x01\x2a\x04\0\x03\0"
WEBP_LOSSLESS = b"RIFF\x24\0\0\0WEBPVP8L\x18\0\0\0\x2f" + struct.pack("<I", 3 | 2 << 14)
WEBP_EXTENDED = b"RIFF\x24\0\0\0WEBPVP8X\x0a\0\0\0\x10\0\0\0\x03\0\0\x02\0\0"


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (samples.logo(4, 3), "image/png"),
        (b"GIF89a\x04\0\x03\0\x80\0\0", "image/gif"),
        (bytes.fromhex(JPEG_START), "image/jpeg"),
        (WEBP_LOSSY, "image/webp"),
        (WEBP_LOSSLESS, "image/webp"),
        (WEBP_EXTENDED, "image/webp"),
    ],
)
def test_kind_and_size_are_read_from_the_bytes(content, media_type):
    logo = read_logo(content)

    assert (logo.media_type, logo.width, logo.height) == (media_type, 4, 3)
    assert base64.b64encode(content) in logo.as_svg()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff",
        b"GIF89a",
        b"RIFF\0\0\0\0WEBPVP9 ",
        b"<svg onload='alert(1)'/>",
        b"%PDF-1.7",
        samples.logo(4, 3)[:20],
        b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR" + struct.pack(">II", LARGEST_SIDE + 1, 1),
        b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR" + struct.pack(">II", 1, 0),
    ],
)
def test_what_is_no_drawable_image_is_refused(content):
    with pytest.raises(LogoError):
        read_logo(content)
