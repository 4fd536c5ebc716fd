"""HTTP /q/{token}: the client's page of a quote; /v1/quotes/{id}/link, …/questions: its owner's."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.utilities.typing import LambdaContext

from quotekit import api, paging, storage
from quotekit.pages import Page, Pages
from quotekit.performance import logger, metrics
from quotekit.portal import entry, messages, questions, replies, requests
from quotekit.portal.answers import Desk
from quotekit.portal.model import AskedQuestion
from quotekit.portal.page import brand_style
from quotekit.quotes import acceptances, links
from quotekit.quotes.acceptances import Acceptance
from quotekit.quotes.links import IssuedLink
from quotekit.quotes.logos import read_logo
from quotekit.settings import portal_settings, storage_settings

app = api.Api()
pages = Pages(messages.apology)


@pages.get("/q/brand/<colour>")
def brand(colour: str) -> Response[str]:
    return Response(HTTPStatus.OK, "text/css", brand_style(f"#{colour.removesuffix('.css')}"))


@pages.route("/q/<token>", method=["GET", "HEAD"])
def show(token: str) -> Page:
    return Page.html(*replies.shown(enter(token), pages.current_event.raw_query_string))


@pages.post("/q/<token>/total")
def total(token: str) -> Page | api.Answer[str]:
    desk, draft = enter(token), requests.form(requests.Draft, pages.form)
    if "application/json" in pages.current_event.headers.get("accept", ""):
        return api.Answer.text(HTTPStatus.OK, replies.totals(desk, draft), {})
    return Page.html(*replies.priced(desk, draft))


@pages.post("/q/<token>/accept")
def accept(token: str) -> Page:
    desk, given = enter(token), requests.form(requests.Agreement, pages.form)
    return Page.html(*replies.accepted(desk, given))


@pages.post("/q/<token>/decline")
def decline(token: str) -> Page:
    desk, given = enter(token), requests.form(requests.Refusal, pages.form)
    return Page.html(*replies.answered(desk, lambda: desk.decline(given)))


@pages.post("/q/<token>/question")
def ask(token: str) -> Page:
    desk, given = enter(token), requests.form(requests.Question, pages.form)
    return Page.html(*replies.answered(desk, lambda: desk.ask(given), query="?asked"))


@pages.get("/q/<token>/deposit")
def pay_deposit(token: str) -> Page:
    return Page.html(*replies.paying(enter(token)))


@pages.get("/q/<token>/logo")
def logo(token: str) -> Response[bytes]:
    content = storage.get(storage.assets(), enter(token).logo_key())
    return Response(HTTPStatus.OK, read_logo(content).media_type, content)


@pages.get("/q/<token>/pdf")
def pdf(token: str) -> Page:
    desk = enter(token)
    if (found := desk.printed()) is None:
        return Page.html(*replies.printing(desk, pages.languages))
    seconds = storage_settings().document_link_seconds
    link = storage.link(storage.documents(), found.key, seconds=seconds, filename="quote.pdf")
    return Page.html(HTTPStatus.SEE_OTHER, "", link)


def enter(token: str) -> Desk:
    visitor, now = entry.visitor(pages.current_event.raw_event), datetime.now(UTC)
    return Desk(entry.enter(token, visitor, now), now, links.address(portal_settings().url, token))


@app.get("/v1/quotes/<quote_id>/questions")
def list_questions(
    quote_id: UUID,
    limit: Annotated[int, Query(ge=1, le=100)] = 25,
    cursor: Annotated[str | None, Query(max_length=500)] = None,
) -> api.Answer[paging.Page[AskedQuestion]]:
    return api.fetch(app, lambda c: questions.list_questions(c, quote_id, limit, cursor))


@app.get("/v1/quotes/<quote_id>/acceptance")
def get_acceptance(quote_id: UUID) -> api.Answer[Acceptance]:
    return api.fetch(app, lambda c: acceptances.get(c, quote_id))


@app.post("/v1/quotes/<quote_id>/link")
def renew_link(quote_id: UUID) -> api.Created[IssuedLink]:
    url, now = portal_settings().url, datetime.now(UTC)
    return api.create(app, lambda connection: links.renew(connection, quote_id, url, now))


@app.delete("/v1/quotes/<quote_id>/link")
def revoke_link(quote_id: UUID) -> api.Answer[None]:
    return api.command(app, lambda connection: links.revoke(connection, quote_id))


@logger.inject_lambda_context(correlation_id_path=correlation_paths.API_GATEWAY_HTTP)
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return (pages if event["rawPath"].startswith("/q/") else app).resolve(event, context)
