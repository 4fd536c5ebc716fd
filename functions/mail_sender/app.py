"""The `mail` queue: one mail at a time to SES, sent once, its fate written where its owner sees
it."""

from typing import Any, Final
from uuid import UUID

from aws_lambda_powertools.utilities.batch import process_partial_response
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from quotekit import audit, database, mail, performance, queues, storage
from quotekit.mails import repository
from quotekit.mails.model import Mail
from quotekit.performance import logger, metrics
from quotekit.quotes import printing
from quotekit.records import RecordProcessor
from quotekit.settings import queue_settings

LEASE_SECONDS: Final = 60  # more than this function may run: whoever held it longer is dead

processor = RecordProcessor()


class MailNotSentError(Exception):
    """The message stays in the queue: later, or at its end in the dead-letter queue."""


def record_handler(record: SQSRecord) -> None:
    message = queues.decode(record)
    logger.append_keys(mail_id=message["mail_id"])
    with database.transaction(database.SERVICE) as connection:
        letter = repository.lease(
            connection,
            UUID(message["account_id"]),
            UUID(message["mail_id"]),
            seconds=LEASE_SECONDS,
        )
    if letter.status == "sent":
        return
    if not letter.leased:
        queues.back_off(record, queues.url("mail"), first=5, longest=300)
        raise MailNotSentError(letter.reason or "another worker is sending it")
    if letter.overtaken:
        drop(letter)
    else:
        send(record, letter)


def drop(letter: Mail) -> None:
    """A client who answered while his reminder was on its way is not reminded."""
    reason = "the quote was answered, replaced or expired first"
    with database.transaction(database.SERVICE) as connection:
        repository.give_back(connection, letter.id, reason, final=True)
        note(connection, letter, "mail.dropped", reason=reason)


def send(record: SQSRecord, letter: Mail) -> None:
    attachment = pdf_of(letter)
    message = mail.compose(
        sender_name=letter.sender_name,
        reply_to=letter.reply_to,
        recipient=letter.recipient,
        subject=letter.subject,
        text=letter.text_body,
        html=letter.html_body,
        message_id=str(letter.id),
        attachment=attachment,
    )
    try:
        provider_id = mail.send(message)
    except (mail.MailRefusedError, mail.MailDelayedError) as error:
        failed(record, letter, error)
        raise MailNotSentError(str(error)) from error
    with database.transaction(database.SERVICE) as connection:
        how = "attached" if attachment else "linked"
        repository.mark_sent(connection, letter.id, provider_id, how)
        note(connection, letter, "mail.sent", attachment=how)


def pdf_of(letter: Mail) -> tuple[str, bytes] | None:
    """The printed quote, unless there is none or it is too large to travel in a mail."""
    if letter.version_id is None:
        return None
    with database.transaction(database.SERVICE) as connection:
        printed = printing.latest(connection, letter.account_id, letter.version_id)
    if printed is None or printed.bytes > mail.LARGEST_ATTACHMENT:
        return None
    return letter.attachment_name, storage.get(storage.documents(), printed.key)


def failed(record: SQSRecord, letter: Mail, error: Exception) -> None:
    """Write down why; what can never go, or went wrong once too often, is failed for good."""
    last = queues.receives(record) >= queue_settings().mail_receives
    final = last or isinstance(error, mail.MailRefusedError)
    with database.transaction(database.SERVICE) as connection:
        repository.give_back(connection, letter.id, f"SES: {error}", final=final)
        if final:
            note(connection, letter, "mail.failed", reason=f"SES: {error}")
    if not last:
        queues.back_off(record, queues.url("mail"), first=5, longest=600)


def note(connection: database.Connection, letter: Mail, action: str, **details: str) -> None:
    about = letter.quote_id or letter.id
    details["recipient"] = letter.recipient
    audit.record_for(connection, letter.account_id, action, about, details)


@logger.inject_lambda_context
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    with performance.measured("mail queue") as request:
        answer = process_partial_response(event, record_handler, processor, context)
        request.failed = bool(answer["batchItemFailures"])
    return answer
