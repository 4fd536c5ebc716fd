"""HTTP /v1/packages: good, better and best ways to do a job, and one put on a quote."""

from typing import Annotated, Any
from uuid import UUID

from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.utilities.typing import LambdaContext

from quotekit import api
from quotekit.catalog.requests import Listing
from quotekit.packages import service as packages
from quotekit.packages.model import Package
from quotekit.packages.requests import PackageChange, PackageCreate, PackageUse
from quotekit.paging import Page
from quotekit.performance import logger, metrics
from quotekit.quotes.model import Quote

app = api.Api()


@app.post("/v1/packages")
def create_package(body: PackageCreate) -> api.Created[Package]:
    return api.create(app, lambda c: packages.create(c, body))


@app.get("/v1/packages")
def list_packages(query: Annotated[Listing, Query()]) -> api.Answer[Page[Package]]:
    return api.fetch(app, lambda c: packages.page(c, query))


@app.get("/v1/packages/<package_id>")
def get_package(package_id: UUID) -> api.Answer[Package]:
    return api.fetch(app, lambda c: packages.get(c, package_id))


@app.patch("/v1/packages/<package_id>")
def change_package(package_id: UUID, body: PackageChange) -> api.Answer[Package]:
    version = api.expected_version(app, body.version)
    return api.command(app, lambda c: packages.change(c, package_id, body, version=version))


@app.delete("/v1/packages/<package_id>")
def delete_package(package_id: UUID) -> api.Answer[None]:
    return api.command(app, lambda c: packages.delete(c, package_id))


@app.post("/v1/quotes/<quote_id>/packages")
def put_package_on_quote(quote_id: UUID, body: PackageUse) -> api.Answer[Quote]:
    return api.command(app, lambda c: packages.put_on_quote(c, quote_id, body))


@logger.inject_lambda_context(correlation_id_path=correlation_paths.API_GATEWAY_HTTP)
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return app.resolve(event, context)
