"""Send drafts, each as if it were sent alone: quota, number, frozen version, link, PDF and mail."""

from typing import Final

from quotekit.batches.items import ById, by_id
from quotekit.batches.model import Operation, Outcome, Work
from quotekit.database import Connection
from quotekit.errors import NotFoundError
from quotekit.quotes.requests import SendRequest
from quotekit.settings import portal_settings

# Sent quotes of this slice hold the account's counters, for which others wait who hold a quote:
# whoever waited for them in turn would be in a deadlock. The slice is tried again instead.
HOLD: Final = """
select id from app.quotes
where account_id = (select auth.account_id()) and id in (%(id)s, (
    select revises from app.quotes where account_id = (select auth.account_id()) and id = %(id)s))
order by id for update nowait
"""


def apply_one(connection: Connection, work: Work, item: ById) -> Outcome:
    from quotekit.quotes.sending import Sending  # noqa: PLC0415 - letters, for this one only

    if connection.execute(HOLD, {"id": item.id}).fetchone() is None:
        raise NotFoundError("There is no such quote.")
    sending = Sending(work.parameters, portal_settings().url, work.now)
    sent = sending.send(connection, item.id)
    work.promises.extend(sending.promises)
    return Outcome("sent", data={"number": sent.number})


SEND_QUOTES: Final = Operation(
    name="send_quotes",
    item=ById,
    key=by_id,
    parameters=SendRequest,
    apply_one=apply_one,
    milliseconds=10,
)
