"""HTTP /v1/invoices, /v1/payments/connect and what a quote is paid by; each minute, what is due at
Stripe."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final
from uuid import UUID

from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.utilities.typing import LambdaContext

from quotekit import api, audit, database, performance
from quotekit.billing import service as billing
from quotekit.invoices import repository, requests, service
from quotekit.invoices.model import Invoice, Summary
from quotekit.paging import Page
from quotekit.performance import logger, metrics
from quotekit.secrets import SecretNotFoundError
from quotekit.settings import stripe_settings

if TYPE_CHECKING:
    from quotekit.invoices.connecting import Connected
    from quotekit.invoices.deposits import DepositLink
    from quotekit.invoices.onboarding import Linked

app = api.Api()

SECONDS: Final = 22  # for Stripe, of the 29 a caller may wait
MARGIN: Final = 5.0  # for the database, at the end of a scheduled run


@app.post("/v1/quotes/<quote_id>/invoice")
def create_invoice(
    quote_id: UUID, body: requests.InvoiceCreate | None = None
) -> api.Created[Invoice]:
    asked, now = body or requests.InvoiceCreate(), datetime.now(UTC)
    return api.create(app, lambda c: service.create(c, quote_id, asked, now))


@app.post("/v1/quotes/<quote_id>/deposit-link")
def link_deposit(quote_id: UUID, body: requests.DepositRequest) -> api.Answer["DepositLink"]:
    from quotekit.invoices import deposits
    from quotekit.quotes import repository as quotes

    billing.check_return(stripe_settings(), body)
    with database.transaction(api.caller(app).actor) as connection:
        account_id = quotes.get(connection, quote_id).account_id
        audit.record(connection, "quote.deposit_asked", quote_id)
    now = datetime.now(UTC)
    back = deposits.Return(body.return_url, body.return_url)
    link = deposits.link(account_id, quote_id, back, now=now, seconds=SECONDS)
    return api.Answer.of(link)


@app.get("/v1/invoices")
def list_invoices(query: Annotated[requests.Listing, Query()]) -> api.Answer[Page[Summary]]:
    return api.fetch(app, lambda c: repository.listed(c, query, datetime.now(UTC)))


@app.get("/v1/invoices/<invoice_id>")
def get_invoice(invoice_id: UUID) -> api.Answer[Invoice]:
    return api.fetch(app, lambda c: repository.get(c, invoice_id, datetime.now(UTC)))


@app.post("/v1/invoices/<invoice_id>/payments")
def record_payment(invoice_id: UUID, body: requests.PaymentCreate) -> api.Created[Invoice]:
    return api.create(app, lambda c: service.pay(c, invoice_id, body, datetime.now(UTC)))


@app.post("/v1/invoices/<invoice_id>/void")
def void_invoice(invoice_id: UUID) -> api.Answer[Invoice]:
    """First at Stripe, where its client may just be paying; then here."""
    with database.transaction(api.caller(app).actor) as connection:
        invoice = repository.get(connection, invoice_id, datetime.now(UTC), lock=True)
    if invoice.stripe is not None and invoice.status != "void":
        from quotekit.billing import client
        from quotekit.invoices import placing

        placing.void(client.stripe(SECONDS), invoice)
    return api.command(app, lambda c: service.void(c, invoice_id, datetime.now(UTC)))


@app.get("/v1/payments/connect")
def get_connected() -> api.Answer["Connected"]:
    from quotekit.invoices import connecting

    return api.fetch(app, connecting.standing)


@app.post("/v1/payments/connect")
def connect(body: requests.ConnectRequest) -> api.Created["Linked"]:
    from quotekit.invoices import onboarding

    billing.check_return(stripe_settings(), body)
    with database.transaction(api.caller(app).actor) as connection:
        payer = billing.payer(connection)
    return api.Created.of(onboarding.connect(payer.account_id, body, SECONDS))


def sweep(seconds: float) -> dict[str, Any]:
    from quotekit.invoices import placing

    try:
        with performance.measured("schedule"):
            counts = placing.sweep(seconds)
    except SecretNotFoundError:
        logger.info("stripe is not set up")
        return {"status": "not_set_up"}
    logger.info("invoices at stripe", counts=counts)
    return {"status": "done", **counts}


@logger.inject_lambda_context(correlation_id_path=correlation_paths.API_GATEWAY_HTTP)
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    if "routeKey" in event:
        return app.resolve(event, context)
    return sweep(context.get_remaining_time_in_millis() / 1000 - MARGIN)
