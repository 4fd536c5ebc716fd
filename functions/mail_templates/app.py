"""HTTP /v1/mail-templates: an account's own words for the mails to its clients."""

from typing import Any, Final
from uuid import UUID

from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.utilities.typing import LambdaContext

from quotekit import api
from quotekit.paging import Page
from quotekit.performance import logger, metrics
from quotekit.quotes import basis, mail_templates
from quotekit.quotes.letters import Letter
from quotekit.quotes.mail_templates import Template, TemplateChange, TemplateCreate

app = api.Api()
BASE: Final = "/v1/mail-templates"


@app.post(BASE)
def create_template(body: TemplateCreate) -> api.Created[Template]:
    return api.create(app, lambda connection: mail_templates.create(connection, body))


@app.get(BASE)
def list_templates() -> api.Answer[Page[Template]]:
    return api.fetch(app, mail_templates.page)


@app.post(f"{BASE}/preview")
def preview_template(body: TemplateCreate) -> api.Answer[Letter]:
    return api.command(app, lambda c: mail_templates.preview(body, basis.company(c).company_name))


@app.get(f"{BASE}/<template_id>")
def get_template(template_id: UUID) -> api.Answer[Template]:
    return api.fetch(app, lambda connection: mail_templates.get(connection, template_id))


@app.patch(f"{BASE}/<template_id>")
def change_template(template_id: UUID, body: TemplateChange) -> api.Answer[Template]:
    version = api.expected_version(app, body.version)
    return api.command(app, lambda c: mail_templates.change(c, template_id, body, version=version))


@app.delete(f"{BASE}/<template_id>")
def delete_template(template_id: UUID) -> api.Answer[None]:
    return api.command(app, lambda connection: mail_templates.delete(connection, template_id))


@logger.inject_lambda_context(correlation_id_path=correlation_paths.API_GATEWAY_HTTP)
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return app.resolve(event, context)
