"""HTTP /v1/batches: batches submitted, followed, stopped; their results."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.utilities.typing import LambdaContext

from quotekit import api, outbox
from quotekit.batches import notices, outcomes, repository, requests, uploads
from quotekit.batches.controlling import Control
from quotekit.batches.repository import Job, Result, Summary
from quotekit.database import Connection
from quotekit.paging import Page
from quotekit.performance import logger, metrics

app = api.Api()


@app.post("/v1/batches")
def create_batch(body: requests.BatchCreate) -> api.Accepted[Job]:
    from quotekit.batches import service

    caller, now = api.caller(app), datetime.now(UTC)
    submission = service.submission(body, caller.account_id)
    if body.upload:
        submission.upload_etag = uploads.etag(caller.actor, body.upload, now=now)
    response = api.accept(app, submission.submit)
    outbox.deliver(submission.promises)
    return response


@app.get("/v1/batches")
def list_batches(query: Annotated[requests.Listing, Query()]) -> api.Answer[Page[Summary]]:
    return api.fetch(app, lambda connection: repository.page(connection, query))


@app.post("/v1/batches/uploads")
def offer_upload(body: requests.UploadOffer) -> api.Created[uploads.Upload]:
    account_id, now = api.caller(app).account_id, datetime.now(UTC)
    return api.create(app, lambda c: uploads.offer(c, account_id, body, now=now))


@app.get("/v1/batches/signing-secret")
def show_signing_secret() -> api.Answer[notices.Signing]:
    return api.Answer.of(notices.signing(api.caller(app)))


@app.get("/v1/batches/<job_id>")
def get_batch(job_id: UUID) -> api.Answer[Job]:
    return api.fetch(app, lambda connection: repository.get(connection, job_id))


@app.get("/v1/batches/<job_id>/items")
def list_items(
    job_id: UUID, query: Annotated[requests.ItemListing, Query()]
) -> api.Answer[Page[outcomes.Outcome]]:
    """A page; with `Accept: application/x-ndjson` all of them, by a redirect when they are many."""
    if "application/x-ndjson" in app.current_event.headers.get("accept", ""):
        return download_items(job_id, query)
    return api.fetch(app, lambda connection: outcomes.page(connection, job_id, query))


def download_items(job_id: UUID, query: requests.ItemListing) -> api.Answer[Any]:
    from quotekit.batches import downloads

    text, url = downloads.items(api.caller(app).actor, job_id, query.status)
    if url is None:
        return api.Answer(200, downloads.NDJSON, text)
    return api.Answer(303, None, "", {"Location": url})


@app.get("/v1/batches/<job_id>/result")
def get_result(job_id: UUID) -> api.Answer[Result]:
    from quotekit.batches import downloads

    actor, now = api.caller(app).actor, datetime.now(UTC)
    return api.Answer.of(downloads.result(actor, job_id, now=now))


@app.get("/v1/batches/<job_id>/notifications")
def list_notifications(job_id: UUID) -> api.Answer[Page[notices.Told]]:
    return api.fetch(app, lambda connection: Page(notices.told(connection, job_id), None))


def serve(verb: str, do: Callable[[Control, Connection, UUID], Job]) -> None:
    def answer(job_id: UUID) -> api.Accepted[Job]:
        return change(lambda control, c: do(control, c, job_id))

    answer.__name__ = verb
    app.post(f"/v1/batches/<job_id>/{verb}")(answer)


serve("cancel", Control.cancel)
serve("pause", Control.pause)
serve("resume", Control.resume)


@app.post("/v1/batches/<job_id>/retry-failed")
def retry_failed(job_id: UUID, body: requests.Retry | None = None) -> api.Accepted[Job]:
    actor, skipped = api.caller(app).actor, body is not None and body.skipped
    return change(lambda control, c: control.retry(c, job_id, actor, skipped=skipped))


def change(do: Callable[[Control, Connection], Job]) -> api.Accepted[Job]:
    control = Control()
    response = api.accept(app, lambda c: do(control, c))
    outbox.deliver(control.promises)
    return response


@logger.inject_lambda_context(correlation_id_path=correlation_paths.API_GATEWAY_HTTP)
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return app.resolve(event, context)
