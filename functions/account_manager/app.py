"""HTTP /v1/account, /v1/accounts, /v1/members, /v1/invitations: whose an account is, who else works
in it, and all it has as a file."""

from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any
from uuid import UUID

from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.utilities.typing import LambdaContext

from quotekit import api, outbox
from quotekit.accounts import account, invitations, members, requests
from quotekit.accounts.account import Account, Membership
from quotekit.accounts.invitations import Invitation, Inviting
from quotekit.accounts.members import Member
from quotekit.batches.repository import Job
from quotekit.paging import Page
from quotekit.performance import logger, metrics

app = api.Api()
read, write = partial(api.fetch, app), partial(api.command, app)
version_of = partial(api.expected_version, app)
Asked = Annotated[requests.Listing, Query()]


@app.get("/v1/account")
def get_account() -> api.Answer[Account]:
    return read(account.get)


@app.patch("/v1/account")
def change_account(body: requests.AccountChange) -> api.Answer[Account]:
    return write(lambda c: account.change(c, body, version=version_of(body.version)))


@app.post("/v1/account/transfer")
def transfer_account(body: requests.Transfer) -> api.Answer[None]:
    return write(lambda c: members.transfer(c, api.caller(app), body.user_id))


@app.post("/v1/account/export")
def export_account() -> api.Accepted[Job]:
    """Make a ZIP of all the account has; the batch's result is where it is."""
    from quotekit.batches import exporting

    asking = exporting.Export(api.caller(app))
    response = api.accept(app, asking.submit)
    outbox.deliver(asking.promises)
    return response


@app.get("/v1/accounts")
def list_accounts(query: Asked) -> api.Answer[Page[Membership]]:
    api.as_person(app)
    return read(lambda c: account.mine(c, query))


@app.get("/v1/members")
def list_members(query: Asked) -> api.Answer[Page[Member]]:
    return read(lambda c: members.page(c, query))


@app.patch("/v1/members/<user_id>")
def change_member(user_id: UUID, body: requests.RoleChange) -> api.Answer[Member]:
    caller, version = api.caller(app), version_of(body.version)
    return write(lambda c: members.change(c, caller, user_id, body, version=version))


@app.delete("/v1/members/<user_id>")
def remove_member(user_id: UUID) -> api.Answer[None]:
    caller = api.caller(app)
    if user_id == caller.user_id:
        api.as_person(app)  # a viewer, too, may leave
    return write(lambda c: members.remove(c, caller, user_id))


@app.post("/v1/invitations")
def invite(body: requests.InvitationCreate) -> api.Created[Invitation]:
    inviting = Inviting(datetime.now(UTC))
    response = api.create(app, lambda c: inviting.invite(c, body))
    outbox.deliver(inviting.promises)
    return response


@app.get("/v1/invitations")
def list_invitations(query: Asked) -> api.Answer[Page[Invitation]]:
    return read(lambda c: invitations.page(c, query))


@app.post("/v1/invitations/accept")
def accept_invitation(body: requests.InvitationAccept) -> api.Created[Membership]:
    caller, now = api.as_person(app), datetime.now(UTC)
    return api.create(app, lambda c: invitations.accept(c, caller, body.token, now=now))


@app.post("/v1/invitations/<invitation_id>/resend")
def resend_invitation(invitation_id: UUID) -> api.Answer[Invitation]:
    inviting = Inviting(datetime.now(UTC))
    response = write(lambda c: inviting.resend(c, invitation_id))
    outbox.deliver(inviting.promises)
    return response


@app.delete("/v1/invitations/<invitation_id>")
def revoke_invitation(invitation_id: UUID) -> api.Answer[None]:
    return write(lambda c: invitations.revoke(c, invitation_id))


@logger.inject_lambda_context(correlation_id_path=correlation_paths.API_GATEWAY_HTTP)
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return app.resolve(event, context)
