"""What may be said of an erasure from outside."""

from typing import Annotated

from pydantic import Field, StringConstraints

from quotekit import paging
from quotekit.bodies import Body


class ErasureRequest(Body):
    """`confirm` is the account's name, its company's, or the account's id."""

    confirm: Annotated[str, StringConstraints(min_length=1, max_length=200)]


class Listing(Body):
    """Which page of the receipts, the newest first; with `account_sha256` that account's alone."""

    account_sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = None
    limit: Annotated[int, Field(ge=1, le=paging.MOST)] = 25
    cursor: Annotated[str, StringConstraints(max_length=500)] | None = None
