"""What a file of quotes is made of."""

from typing import NamedTuple


class Entry(NamedTuple):
    """One quote in the file's own form; in an archive under a name."""

    content: bytes
    name: str = ""
