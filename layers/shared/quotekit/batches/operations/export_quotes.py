"""Quotes as a file: CSV, JSON, or a ZIP of their PDFs."""

from typing import Final

from quotekit.batches import exports
from quotekit.batches.items import ById, by_id
from quotekit.batches.model import Operation

EXPORT_QUOTES: Final = Operation(
    name="export_quotes",
    item=ById,
    key=by_id,
    parameters=exports.Parameters,
    produce=exports.produce,
    finish=exports.finish,
    milliseconds=10,  # printing takes 20, a row nothing
    most=50_000,  # what one invocation can put together
)
