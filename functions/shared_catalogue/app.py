"""HTTP /v1/catalogue: the catalogue that all accounts share, to look through and copy from."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any
from uuid import UUID

from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.utilities.typing import LambdaContext

from quotekit import api
from quotekit.catalog.model import Item
from quotekit.catalog.shared import browsing, copying, requests, stocking
from quotekit.catalog.shared.model import SharedCategory, SharedItem
from quotekit.database import Connection
from quotekit.operations import operators
from quotekit.paging import Page
from quotekit.performance import logger, metrics

app = api.Api()
BASE = "/v1/catalogue"
version_of = partial(api.expected_version, app)


@app.get(f"{BASE}/categories")
def list_shared_categories() -> api.Answer[Page[SharedCategory]]:
    return api.fetch(app, browsing.categories)


@app.get(f"{BASE}/items")
def list_shared_items(
    query: Annotated[requests.Browsing, Query()],
) -> api.Answer[Page[SharedItem]]:
    if not query.is_active:
        app.context["principal"] = operators.admit(api.caller(app), writing=False)
    return api.fetch(app, lambda c: browsing.items(c, query))


@app.get(f"{BASE}/items/<item_id>")
def get_shared_item(item_id: UUID) -> api.Answer[SharedItem]:
    return api.fetch(app, lambda c: browsing.get_item(c, item_id))


@app.put(f"{BASE}/items/<item_id>/favorite")
def favour(item_id: UUID) -> api.Answer[SharedItem]:
    return api.command(app, lambda c: browsing.favour(c, item_id, liked=True))


@app.delete(f"{BASE}/items/<item_id>/favorite")
def disfavour(item_id: UUID) -> api.Answer[SharedItem]:
    return api.command(app, lambda c: browsing.favour(c, item_id, liked=False))


@app.post(f"{BASE}/items/<item_id>/copy")
def copy_shared_item(item_id: UUID, body: requests.Copying | None = None) -> api.Created[Item]:
    return api.create(app, lambda c: copying.copy(c, item_id, body or requests.Copying()))


def stock[T](work: Callable[[Connection], T]) -> api.Answer[T]:
    app.context["principal"] = operators.admit(api.caller(app), writing=True)
    return api.command(app, work)


def add[T](work: Callable[[Connection], T]) -> api.Created[T]:
    app.context["principal"] = operators.admit(api.caller(app), writing=True)
    return api.create(app, work)


@app.post(f"{BASE}/categories")
def create_shared_category(body: requests.SharedCategoryCreate) -> api.Created[SharedCategory]:
    return add(lambda c: stocking.create_category(c, body))


@app.patch(f"{BASE}/categories/<category_id>")
def change_shared_category(
    category_id: UUID, body: requests.SharedCategoryChange
) -> api.Answer[SharedCategory]:
    version = version_of(body.version)
    return stock(lambda c: stocking.change_category(c, category_id, body, version=version))


@app.post(f"{BASE}/items")
def create_shared_item(body: requests.SharedItemCreate) -> api.Created[SharedItem]:
    return add(lambda c: stocking.create_item(c, body))


@app.patch(f"{BASE}/items/<item_id>")
def change_shared_item(item_id: UUID, body: requests.SharedItemChange) -> api.Answer[SharedItem]:
    version = version_of(body.version)
    return stock(lambda c: stocking.change_item(c, item_id, body, version=version))


@app.delete(f"{BASE}/items/<item_id>")
def remove_shared_item(item_id: UUID) -> api.Answer[None]:
    return stock(lambda c: stocking.remove_item(c, item_id))


@logger.inject_lambda_context(correlation_id_path=correlation_paths.API_GATEWAY_HTTP)
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return app.resolve(event, context)
