"""HTTP /v1/clients, /v1/items, /v1/categories, /v1/company-settings: what quotes are made of."""

from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any
from uuid import UUID

from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.utilities.typing import LambdaContext

from quotekit import api, things
from quotekit.accounts import company, logo
from quotekit.accounts.requests import CompanyChange, LogoOffer, LogoUpload
from quotekit.catalog import categories, clients, items, requests
from quotekit.catalog.model import Category, Client, Item
from quotekit.paging import Page
from quotekit.performance import logger, metrics

app = api.Api()
read, write, create = partial(api.fetch, app), partial(api.command, app), partial(api.create, app)
version_of = partial(api.expected_version, app)


@app.post("/v1/clients")
def create_client(body: requests.ClientCreate) -> api.Created[Client]:
    return create(lambda c: clients.create(c, body))


@app.get("/v1/clients")
def list_clients(query: Annotated[requests.Listing, Query()]) -> api.Answer[Page[Client]]:
    return read(lambda c: clients.page(c, query))


@app.patch("/v1/clients/<thing_id>")
def change_client(thing_id: UUID, body: requests.ClientChange) -> api.Answer[Client]:
    return write(lambda c: clients.change(c, thing_id, body, version=version_of(body.version)))


@app.post("/v1/items")
def create_item(body: requests.ItemCreate) -> api.Created[Item]:
    return create(lambda c: items.create(c, body))


@app.get("/v1/items")
def list_items(query: Annotated[requests.ItemListing, Query()]) -> api.Answer[Page[Item]]:
    return read(lambda c: items.page(c, query))


@app.patch("/v1/items/<thing_id>")
def change_item(thing_id: UUID, body: requests.ItemChange) -> api.Answer[Item]:
    return write(lambda c: items.change(c, thing_id, body, version=version_of(body.version)))


@app.post("/v1/categories")
def create_category(body: requests.CategoryCreate) -> api.Created[Category]:
    return create(lambda c: categories.create(c, body))


@app.get("/v1/categories")
def list_categories() -> api.Answer[Page[Category]]:
    return read(categories.page)


@app.patch("/v1/categories/<thing_id>")
def change_category(thing_id: UUID, body: requests.CategoryChange) -> api.Answer[Category]:
    return write(lambda c: categories.change(c, thing_id, body, version=version_of(body.version)))


things.serve(app, "/v1/clients", clients)
things.serve(app, "/v1/items", items)
things.serve(app, "/v1/categories", categories)


@app.get("/v1/company-settings")
def get_settings() -> api.Answer[company.Settings]:
    return read(lambda c: logo.linked(company.get(c)))


@app.patch("/v1/company-settings")
def change_settings(body: CompanyChange) -> api.Answer[company.Settings]:
    account_id, version = api.caller(app).account_id, version_of(body.version)
    return write(lambda c: logo.linked(company.change(c, account_id, body, version=version)))


@app.post("/v1/company-settings/logo")
def offer_logo(body: LogoOffer) -> api.Created[logo.LogoForm]:
    return create(lambda c: logo.offer(c, api.caller(app).account_id, body, now=datetime.now(UTC)))


@app.put("/v1/company-settings/logo")
def accept_logo(body: LogoUpload) -> api.Answer[company.Settings]:
    key = logo.accept(account_id := api.caller(app).account_id, body.key)
    return write(lambda c: logo.linked(company.set_logo(c, account_id, key)))


@app.delete("/v1/company-settings/logo")
def remove_logo() -> api.Answer[None]:
    return write(company.remove_logo)


@logger.inject_lambda_context(correlation_id_path=correlation_paths.API_GATEWAY_HTTP)
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return app.resolve(event, context)
