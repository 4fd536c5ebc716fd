"""All an account has, as a ZIP of JSON and PDFs."""

from collections.abc import Sequence
from typing import Final

from quotekit.batches import parts
from quotekit.batches.model import Operation, Produced, Result, Work


def produce(work: Work, items: Sequence[parts.Part]) -> Produced:
    from quotekit.batches import takeout  # noqa: PLC0415 - printing is heavy, and for this only

    return takeout.produce(work, items)


def finish(work: Work, keys: Sequence[str], key: str) -> Result:
    from quotekit.batches import takeout  # noqa: PLC0415

    return takeout.finish(work, keys, key)


EXPORT_ACCOUNT: Final = Operation(
    name="export_account",
    item=parts.Part,
    key=parts.key,
    produce=produce,
    finish=finish,
    feature=None,  # whose data it is may have it, whatever he pays
    managers=True,
    milliseconds=500,
    most=100_000,
)
