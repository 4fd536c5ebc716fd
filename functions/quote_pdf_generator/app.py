"""HTTP POST /v1/quotes/{id}/pdf, and the `pdf` queue: a quote as PDF in S3."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.utilities.batch import process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from quotekit import api, database, outbox, performance, queues, storage
from quotekit.performance import logger, metrics
from quotekit.quotes import acceptances, basis, document, printing, repository
from quotekit.quotes.logos import LogoError
from quotekit.quotes.printing import Download, Printed, Sheet
from quotekit.records import RecordProcessor
from quotekit.settings import queue_settings, storage_settings

app = api.Api()
processor = RecordProcessor()


@app.post("/v1/quotes/<quote_id>/pdf")
def print_quote(quote_id: UUID) -> api.Answer[Download]:
    with database.reading(api.caller(app).actor) as connection:
        found = repository.get(connection, quote_id)
        sheet = compose(connection, found)
        known = printing.printed(connection, sheet)
    known = known if known and storage.exists(storage.documents(), known.key) else None
    printed = known or print_sheet(sheet)
    return api.command(app, lambda _: download(sheet, printed))


def compose(connection: database.Connection, found: repository.Found) -> Sheet:
    company = basis.company(connection, found.account_id)
    watermark = basis.watermark(connection, found.account_id)
    logo = None
    if company.logo_key:
        try:
            logo = storage.get(storage.assets(), company.logo_key)
        except FileNotFoundError:
            logger.warning("the logo is gone", key=company.logo_key)
    accepted = acceptances.of_quote(connection, found.quote.id, found.account_id)
    return printing.compose(found, company, logo=logo, watermark=watermark, accepted=accepted)


def print_sheet(sheet: Sheet) -> Printed:
    """Print, store, and note it: killed in between, the next attempt makes the same object
    again."""
    try:
        pdf = document.render(sheet.document)
    except LogoError:  # a good beginning and a broken rest: the quote goes without it
        logger.warning("the logo cannot be drawn", quote_id=str(sheet.found.quote.id))
        pdf = document.render(printing.without_logo(sheet.document))
    storage.put(storage.documents(), sheet.key, pdf.content, "application/pdf")
    with database.transaction(database.SERVICE) as connection:
        return printing.keep(connection, sheet, pdf)


def download(sheet: Sheet, printed: Printed) -> Download:
    seconds = storage_settings().document_link_seconds
    name = printing.filename(sheet.found.quote.number)
    return Download(
        url=storage.link(storage.documents(), printed.key, seconds=seconds, filename=name),
        expires_at=datetime.now(UTC) + timedelta(seconds=seconds),
        sha256=printed.sha256,
        bytes=printed.bytes,
        pages=printed.pages,
    )


def record_handler(record: SQSRecord) -> None:
    message = queues.decode(record)
    logger.append_keys(version_id=message["version_id"])
    with database.transaction(database.SERVICE) as connection:
        found = repository.get_version(
            connection, UUID(message["account_id"]), UUID(message["version_id"])
        )
        sheet = compose(connection, found)
    try:
        print_sheet(sheet)
    except Exception as error:
        failed(record, message, sheet, error)
        raise
    release(message)


def failed(record: SQSRecord, message: dict[str, Any], sheet: Sheet, error: Exception) -> None:
    """On the last delivery say what went wrong, and let the mail go without its attachment."""
    if queues.receives(record) < queue_settings().pdf_receives:
        queues.back_off(record, queues.url("pdf"), first=5, longest=300)
        return
    with database.transaction(database.SERVICE) as connection:
        printing.note_failure(connection, sheet, type(error).__name__)
    release(message)


def release(message: dict[str, Any]) -> None:
    with database.transaction(database.SERVICE) as connection:
        waiting = outbox.release(connection, UUID(message["outbox_id"]))
    outbox.deliver(waiting)


@logger.inject_lambda_context(correlation_id_path=correlation_paths.API_GATEWAY_HTTP)
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> Any:  # noqa: ANN401
    if "Records" not in event:
        return app.resolve(event, context)
    with performance.measured("pdf queue") as request:
        answer = process_partial_response(event, record_handler, processor, context)
        request.failed = bool(answer["batchItemFailures"])
    return answer
