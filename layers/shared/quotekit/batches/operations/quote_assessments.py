"""Make a draft of each assessment, as if each were asked for alone; one a quote has stays."""

from typing import Final

from quotekit.batches.items import ById, by_id
from quotekit.batches.model import Code, Operation, Outcome, Work
from quotekit.database import Connection


def apply_one(connection: Connection, work: Work, item: ById) -> Outcome:
    from quotekit.assessments import quoting  # noqa: PLC0415 - rules, for this one only

    quoted = quoting.quote(connection, item.id, batch=str(work.job_id))
    code: Code = "created" if quoted.created else "unchanged"
    return Outcome(code, data={"id": str(quoted.quote.id)})


QUOTE_ASSESSMENTS: Final = Operation(
    name="quote_assessments", item=ById, key=by_id, apply_one=apply_one, milliseconds=5
)
