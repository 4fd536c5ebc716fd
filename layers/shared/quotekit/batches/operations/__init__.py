"""What a batch can do: every operation, registered here and nowhere else."""

from collections.abc import Mapping
from typing import Final

from quotekit.batches.model import Operation
from quotekit.batches.operations.delete_clients import DELETE_CLIENTS

OPERATIONS: Final[Mapping[str, Operation]] = {
    operation.name: operation for operation in (DELETE_CLIENTS,)
}
