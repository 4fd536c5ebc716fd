"""Delete drafts; what was sent stays."""

from collections.abc import Sequence
from typing import Final

from quotekit import audit
from quotekit.batches.items import ById, answered, by_id, ids_of
from quotekit.batches.model import Operation, Outcome, Work
from quotekit.batches.operations import holding
from quotekit.database import Connection

DELETE: Final = """
delete from app.quotes
where account_id = (select auth.account_id()) and id = any(%(ids)s) and status = 'draft'
"""


def apply(connection: Connection, work: Work, items: Sequence[ById]) -> list[Outcome]:
    held = holding.quotes(connection, ids_of(items))
    drafts = [quote_id for quote_id, status in held.items() if status == "draft"]
    connection.execute(DELETE, {"ids": drafts})
    details = {"batch": str(work.job_id)}
    audit.record_all(connection, "quote.deleted", dict.fromkeys(drafts, details))
    outcomes = {quote_id: outcome(status) for quote_id, status in held.items()}
    return answered(items, outcomes)


def outcome(status: str) -> Outcome:
    if status == "draft":
        return Outcome("deleted")
    return Outcome("conflict", f"A quote that is {status} cannot be deleted.")


DELETE_QUOTES: Final = Operation(
    name="delete_quotes", item=ById, key=by_id, apply=apply, milliseconds=0.3
)
