"""What a batch can do: every operation, registered here and nowhere else."""

from collections.abc import Mapping
from typing import Final

from quotekit.batches.model import Operation
from quotekit.batches.operations.bulk_create_items import BULK_CREATE_ITEMS
from quotekit.batches.operations.delete_clients import DELETE_CLIENTS
from quotekit.batches.operations.delete_quotes import DELETE_QUOTES
from quotekit.batches.operations.export_account import EXPORT_ACCOUNT
from quotekit.batches.operations.export_quotes import EXPORT_QUOTES
from quotekit.batches.operations.import_clients import IMPORT_CLIENTS
from quotekit.batches.operations.quote_assessments import QUOTE_ASSESSMENTS
from quotekit.batches.operations.recalculate_quotes import RECALCULATE_QUOTES
from quotekit.batches.operations.send_quotes import SEND_QUOTES
from quotekit.batches.operations.update_item_prices import UPDATE_ITEM_PRICES
from quotekit.batches.operations.update_quote_status import UPDATE_QUOTE_STATUS

OPERATIONS: Final[Mapping[str, Operation]] = {
    operation.name: operation
    for operation in (
        BULK_CREATE_ITEMS,
        DELETE_CLIENTS,
        DELETE_QUOTES,
        EXPORT_ACCOUNT,
        EXPORT_QUOTES,
        IMPORT_CLIENTS,
        QUOTE_ASSESSMENTS,
        RECALCULATE_QUOTES,
        SEND_QUOTES,
        UPDATE_ITEM_PRICES,
        UPDATE_QUOTE_STATUS,
    )
}
