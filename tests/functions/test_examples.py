"""The example bodies of docs/openapi.json, sent to the real doors: each is taken."""

from collections.abc import Callable, Mapping
from typing import Any, Final
from uuid import UUID

import boto3
import pytest
import requests

from quotekit.batches import engine
from quotekit.resilience import breakers
from tests import documented
from tests.functions.conftest import OTHER_USER, Issuer
from tests.functions.test_account_manager import token_in
from tests.functions.test_bad_input import (  # noqa: F401 fixtures
    HOST,
    Caller,
    batch_services,
    caller,
    invoice_services,
    own_aws,
    owner,
)
from tests.functions.test_catalog_manager import PNG
from tests.functions.test_subscription_status import (  # noqa: F401 fixtures
    Billing,
    amazon_services,
    billing,
    stripe,
)
from tests.furnishing import GUEST
from tests.integration.test_billing_effects import apply
from tests.vendors import stripe_connect
from tests.vendors import stripe_objects as of

JSON: Final = "application/json"
FORM: Final = "application/x-www-form-urlencoded"
# Doors whose bodies have no example.
WITHOUT: Final = {
    "webhook-handler": "a sender's own document, signed over its bytes: no body is taken without "
    "its signature; tests/functions/test_webhook_handler.py sends real ones"
}

# ---- what comes before an operation, besides tests/furnishing.py ----


def send(caller: Caller, _: pytest.FixtureRequest) -> None:  # noqa: F811
    caller.do(f"/v1/quotes/{caller.known['quote_id']}/send", {"channel": "link"})


def accept(caller: Caller, request: pytest.FixtureRequest) -> None:  # noqa: F811
    send(caller, request)
    caller.do(f"/v1/quotes/{caller.known['quote_id']}/accept")


def upload_logo(caller: Caller, _: pytest.FixtureRequest) -> None:  # noqa: F811
    key = caller.do("/v1/company-settings/logo", {"content_type": "image/png"})["key"]
    boto3.client("s3").put_object(Bucket="assets", Key=key, Body=PNG)
    caller.known["key"] = key


def fail_batch(caller: Caller, _: pytest.FixtureRequest) -> None:  # noqa: F811
    engine.serve("normal", UUID(caller.known["job_id"]), lambda: 60.0)


def ask_stripe(_: Caller, __: pytest.FixtureRequest) -> None:
    """A breaker is there once something went through it."""
    breakers.forget()
    with pytest.raises(TimeoutError), breakers.guard("stripe"):
        raise TimeoutError
    breakers.forget()


def be_invited(caller: Caller, request: pytest.FixtureRequest) -> None:  # noqa: F811
    """The caller is somebody else, who has the invitation's mail."""
    caller.owner.execute("delete from app.members where user_id = %s", [OTHER_USER])
    issuer: Issuer = request.getfixturevalue("issuer")
    caller.known["token"] = token_in(caller.owner, GUEST)
    caller.token = issuer.token(OTHER_USER)


def start_tour(caller: Caller, _: pytest.FixtureRequest) -> None:  # noqa: F811
    caller.do(f"/v1/onboarding/tours/{caller.known['tour_id']}/start")


def connect(caller: Caller, request: pytest.FixtureRequest) -> None:  # noqa: F811
    """The contractor's account at Stripe takes payments, as Stripe's event says."""
    back = "https://app.test/payments"
    caller.do("/v1/payments/connect", {"return_url": back, "refresh_url": back})
    at_stripe = request.getfixturevalue("stripe")
    (account,) = at_stripe.accounts.values()
    ready = stripe_connect.ready(account)
    apply(of.event("account.updated", ready, at_stripe.time, account=account["id"]))


def sell(caller: Caller, request: pytest.FixtureRequest) -> Billing:  # noqa: F811
    """Nobody pays yet; Stripe has a price for each interval."""
    caller.owner.execute("delete from app.subscriptions")
    found: Billing = request.getfixturevalue("billing")
    found.sell("year", 12000)
    return found


def subscribe(caller: Caller, request: pytest.FixtureRequest) -> None:  # noqa: F811
    found = sell(caller, request)
    found.subscribe(found.sell())


def offer_monthly(caller: Caller, request: pytest.FixtureRequest) -> None:  # noqa: F811
    sell(caller, request).sell()


BEFORE: Final[Mapping[str, Callable[[Caller, pytest.FixtureRequest], Any]]] = {
    "abandon_tour": start_tour,
    "accept_invitation": be_invited,
    "accept_logo": upload_logo,
    "accept_quote": send,
    "change_plan": subscribe,
    "check_out": offer_monthly,
    "convert_quote": accept,
    "decide": ask_stripe,
    "decline_quote": send,
    "link_deposit": connect,
    "open_portal": subscribe,
    "post_billing_cancel": subscribe,
    "reconcile_now": subscribe,
    "report_step": start_tour,
    "retry_failed": fail_batch,
}


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    """Those with a body, by method and path."""
    return [
        (method, path, operation)
        for path, methods in documented.document()["paths"].items()
        for method, operation in methods.items()
        if "requestBody" in operation
    ]


def real(example: Any, known: Mapping[str, str]) -> Any:
    """An example with the ids of what exists here in the place of its own."""
    match example:
        case dict():
            return {name: known.get(name, real(value, known)) for name, value in example.items()}
        case list():
            return [real(value, known) for value in example]
    return example


SENT: Final = [
    pytest.param(asked[2]["tags"][0], asked, id=asked[2]["operationId"])
    for asked in operations()
    if asked[2]["tags"][0] not in WITHOUT
]


@pytest.mark.parametrize(("door", "asked"), SENT)
def test_the_example_is_taken(
    door: str,
    asked: tuple[str, str, dict[str, Any]],
    caller: Caller,  # noqa: F811
    request: pytest.FixtureRequest,
) -> None:
    method, path, operation = asked
    ((kind, said),) = operation["requestBody"]["content"].items()
    assert "example" in said, "docs/openapi/examples.py has none for it"
    if before := BEFORE.get(operation["operationId"]):
        before(caller, request)
    place = HOST + path
    for name in documented.placeholders(path):
        place = place.replace(f"{{{name}}}", str(caller.id_of(path, name)))
    body = {"json" if kind == JSON else "data": real(said["example"], caller.known)}

    answer = caller.ask(path, method, requests.Request(method.upper(), place, **body))

    assert answer
    assert answer.status in ({200, 303} if kind == FORM else range(200, 300)), answer.text


def test_every_exception_is_one() -> None:
    found = [operation for _, _, operation in operations()]

    assert BEFORE.keys() <= {operation["operationId"] for operation in found}
    assert WITHOUT.keys() <= {operation["tags"][0] for operation in found}
