"""Record for many quotes what became of them: the same steps as one by one, and no other."""

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, StringConstraints

from quotekit import audit
from quotekit.batches.items import ById, answered, by_id, ids_of
from quotekit.batches.model import Operation, Outcome, Work
from quotekit.batches.operations import holding
from quotekit.bodies import Body
from quotekit.database import Connection
from quotekit.quotes import lifecycle

ALLOWED: Final = """
select status from unnest(%(statuses)s::text[]) as status
where app.quote_may_become(status, %(status)s)
"""


def _not_by_sending(status: Any) -> Any:  # noqa: ANN401 - whatever was sent
    if status == "sent":
        raise ValueError("send_quotes sends: it takes quota and number, and writes to the client")
    return status


class Parameters(Body):
    """`note` is kept with the quote as the reason."""

    status: Annotated[
        Literal["accepted", "declined", "converted", "expired"], BeforeValidator(_not_by_sending)
    ]
    note: Annotated[str, StringConstraints(max_length=2000)] | None = None


def apply(connection: Connection, work: Work, items: Sequence[ById]) -> list[Outcome]:
    wanted: Parameters = work.parameters
    held = holding.quotes(connection, ids_of(items))
    may = allowed(connection, set(held.values()), wanted.status)
    changed = [quote_id for quote_id, status in held.items() if status in may]
    if changed:
        lifecycle.change_status(connection, changed, wanted.status, wanted.note)
        details = {"batch": str(work.job_id)} | ({"note": wanted.note} if wanted.note else {})
        audit.record_all(connection, f"quote.{wanted.status}", dict.fromkeys(changed, details))

    outcomes = {quote: outcome(status, wanted.status, may) for quote, status in held.items()}
    return answered(items, outcomes)


def allowed(connection: Connection, statuses: set[str], status: str) -> set[str]:
    """Which of the statuses may become that one: the database knows, and would refuse the rest."""
    values = {"statuses": sorted(statuses), "status": status}
    return {row[0] for row in connection.execute(ALLOWED, values)}


def outcome(status: str, wanted: str, may: set[str]) -> Outcome:
    if status == wanted:
        return Outcome("unchanged")
    if status not in may:
        return Outcome("conflict", f"A quote that is {status} cannot become {wanted}.")
    return Outcome("changed")


UPDATE_QUOTE_STATUS: Final = Operation(
    name="update_quote_status",
    item=ById,
    key=by_id,
    parameters=Parameters,
    apply=apply,
    milliseconds=0.1,
)
