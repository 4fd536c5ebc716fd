"""HTTP GET /v1/subscription, POST /v1/billing/…; every hour Stripe is read as a whole."""

from collections.abc import Callable
from datetime import UTC, datetime
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.utilities.typing import LambdaContext

from quotekit import api, auth, database, idempotency, performance
from quotekit.billing import requests, service, standing
from quotekit.performance import logger, metrics
from quotekit.secrets import SecretNotFoundError
from quotekit.settings import stripe_settings

if TYPE_CHECKING:
    from quotekit.billing.orders import Checkout, Order, Portal, Told
    from quotekit.billing.runs import Report

type Put[T] = Callable[[ModuleType, "Order"], T]

app = api.Api()

SECONDS: Final = 22  # for Stripe, of the 29 a caller may wait
MARGIN: Final = 5.0  # for the database, at the end of a scheduled reading


@app.get("/v1/subscription")
def get_subscription() -> api.Answer[standing.Standing]:
    return api.fetch(app, standing.current)


@app.post("/v1/billing/checkout")
def check_out(body: requests.CheckoutRequest) -> api.Answer["Checkout"]:
    service.check_return(stripe_settings(), body)
    return ask("checkout", lambda do, order: do.check_out(order, body), body)


@app.post("/v1/billing/portal")
def open_portal(body: requests.PortalRequest) -> api.Answer["Portal"]:
    service.check_return(stripe_settings(), body)
    return ask("portal", lambda do, order: do.open_portal(order, body.return_url))


@app.post("/v1/billing/cancel")
def cancel(body: requests.Cancellation | None = None) -> api.Answer["Told"]:
    when = body.when if body else "period_end"
    return ask("cancellation", lambda do, order: do.cancel(order, when))


@app.post("/v1/billing/resume")
def resume() -> api.Answer["Told"]:
    return ask("resumption", lambda do, order: do.resume(order))


@app.post("/v1/billing/change-plan")
def change_plan(body: requests.PlanChange) -> api.Answer["Told"]:
    return ask("plan_change", lambda do, order: do.change_plan(order), body)


def ask[T](what: str, put: Put[T], price: requests.PlanChange | None = None) -> api.Answer[T]:
    """Read, ask Stripe outside of any transaction, then write down who asked for what."""
    from quotekit.billing import client, orders

    actor, event = api.caller(app).actor, app.current_event
    key = event.headers.get("idempotency-key")
    once = key and idempotency.request(key, method="POST", path=event.path, body=event.body or "")
    with database.transaction(actor) as connection:
        payer = service.payer(connection)
        kept = idempotency.recall(connection, once) if once else None
        if kept is not None:
            return api.Answer.text(kept.status, kept.body, api.REPLAYED)
        offer = service.offer(connection, price.price, price.plan) if price else None
    order = orders.Order(client.stripe(SECONDS), payer, offer, key)
    answer = orders.place(order.stripe, payer.account_id, lambda: put(orders, order))
    if payer.customer_id is None and isinstance(answer, orders.Checkout):
        with database.transaction(database.SERVICE) as connection:
            service.remember(connection, payer, answer.customer_id, datetime.now(UTC))
    response = api.Answer.of(answer)
    with database.transaction(actor) as connection:
        service.note(connection, payer, what)
        if once:
            done = idempotency.Answer(response.status_code, response.body or "")
            idempotency.keep(connection, once, done)
    return response


@app.post("/v1/billing/reconcile")
def reconcile_now(
    body: requests.ReconcileRequest | None = None,
) -> api.Answer["Report"] | api.Accepted["Report"]:
    from quotekit.billing import reconcile

    with database.transaction(api.caller(app).actor) as connection:
        auth.require_role(connection, "admin")
    report = reconcile.read_stripe(SECONDS, dry_run=bool(body and body.dry_run))
    return (api.Answer if report.run.status == "done" else api.Accepted).of(report)


def watch(seconds: float) -> dict[str, Any]:
    """The hourly reading; what it found stays in rows for operators."""
    from quotekit.billing import reconcile

    try:
        with performance.measured("schedule"):
            report = reconcile.read_stripe(seconds, dry_run=None)
    except SecretNotFoundError:
        logger.info("stripe is not set up")
        return {"status": "not_set_up", "differences": None}
    logger.info("stripe read", status=report.run.status, differences=report.differences_total)
    return {"status": report.run.status, "differences": report.differences_total}


@logger.inject_lambda_context(correlation_id_path=correlation_paths.API_GATEWAY_HTTP)
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    if "routeKey" in event:
        return app.resolve(event, context)
    return watch(context.get_remaining_time_in_millis() / 1000 - MARGIN)
