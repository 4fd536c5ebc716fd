"""A Stripe that fails, put before the running subscription-status and taken away again.

As on AWS: a new version of the function with another STRIPE_API_BASE, and the alias led to it.
"""

import json
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import boto3
import httpx

from tests.vendors import stripe as vendor
from tests.vendors import stripe_objects as of
from tests.vendors.stripe import Plan, Request

if TYPE_CHECKING:
    from load.running import Stack

FIFTH: Final = (True, False, False, False, False)
FUNCTION: Final = "quotekit-local-subscription-status"
ACCOUNT: Final = "insert into app.accounts (id, name) values (%s, 'load')"
OWNER: Final = "insert into app.members (account_id, user_id, role) values (%s, %s, 'owner')"
CUSTOMER: Final = """
insert into app.stripe_customers (id, account_id, claimed_at) values (%s, %s, now())
"""


@dataclass
class Failing:
    """One of each five calls fails, at a place drawn anew: a fifth in few calls as in many.

    `failed` are the requests of ours, by their return_url, that met a failure."""

    server: vendor.Stripe
    failed: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _left: list[bool] = field(default_factory=list)

    def gate(self, request: Request) -> None:
        with self._lock:
            self._left = self._left or random.sample(FIFTH, len(FIFTH))
            if not self._left.pop():
                return
            self.failed.add(str(request.params.get("return_url", "")).rpartition("/")[2])
            self.server.plans.append(Plan(503))  # unlike a 500, Stripe does not keep it


@contextmanager
def stripe(stack: "Stack", account: str, *, origin: str) -> Iterator[Failing]:
    customer = of.customer(id=f"cus_{account}")
    stack.write(ACCOUNT, account)
    stack.write(OWNER, account, account)
    stack.write(CUSTOMER, customer["id"], account)
    close_breaker(stack)
    with vendor.serve() as server:
        server.customers[customer["id"]] = customer
        found = Failing(server)
        server.gate = found.gate
        with led_to(stack, STRIPE_API_BASE=server.url, STRIPE_RETURN_ORIGINS=origin):
            yield found


def close_breaker(stack: "Stack") -> None:
    """Begin with a closed one, by the operators' own lever; 404 where none was ever needed."""
    answer = httpx.put(
        f"{stack.facts['api_url']}/v1/webhook-monitor/breakers/stripe",
        headers={"authorization": f"Bearer {stack.facts['admin_token']}"},
        json={"phase": "automatic", "reason": "a load scenario begins"},
        timeout=30,
    )
    if answer.status_code != HTTPStatus.NOT_FOUND:
        answer.raise_for_status()


@contextmanager
def led_to(stack: "Stack", **variables: str) -> Iterator[None]:
    """The alias leads to a version with these variables, and in the end to the one before."""
    functions, secrets = client(stack, "lambda"), client(stack, "secretsmanager")
    before = functions.get_alias(FunctionName=FUNCTION, Name="live")["FunctionVersion"]
    known = functions.get_function_configuration(FunctionName=FUNCTION)["Environment"]["Variables"]
    secret = known["STRIPE_SECRET"]
    secrets.create_secret(Name=secret, SecretString=json.dumps({"api_key": vendor.KEY}))
    try:
        lead(functions, known | variables)
        yield
    finally:
        secrets.delete_secret(SecretId=secret, ForceDeleteWithoutRecovery=True)
        configure(functions, known)
        functions.update_alias(FunctionName=FUNCTION, Name="live", FunctionVersion=before)


def lead(functions: Any, variables: dict[str, str]) -> None:
    configure(functions, variables)
    version = functions.publish_version(FunctionName=FUNCTION)["Version"]
    functions.update_alias(FunctionName=FUNCTION, Name="live", FunctionVersion=version)


def configure(functions: Any, variables: dict[str, str]) -> None:
    functions.update_function_configuration(
        FunctionName=FUNCTION, Environment={"Variables": variables}
    )


def client(stack: "Stack", service: str) -> Any:
    return boto3.client(
        service,  # type: ignore[call-overload]
        endpoint_url=stack.facts["aws_endpoint_url"],
        region_name=stack.facts["region"],
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106 the emulator's
    )
