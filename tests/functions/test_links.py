"""Every HTTP door, asked in sequences: an answer leads to what is asked next, by the links of
docs/openapi.json. Never a 5xx or what the document does not say; what was made is there, what was
removed is not; what the document forbids is refused, whatever came before.

schemathesis walks, and finds by itself which fields of a body an answer gives. QUOTEKIT_SEQUENCES
sets how many seeds there are, QUOTEKIT_STEPS how many requests each asks.
"""

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from copy import deepcopy
from functools import cache
from http import HTTPStatus
from typing import Any, Final
from unittest import SkipTest

import boto3
import hypothesis
import psycopg
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase
from hypothesis import settings as rules
from hypothesis.internal.conjecture import engine
from hypothesis.stateful import rule
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.core.transport import Response
from schemathesis.generation.stateful.state_machine import StepInput, StepOutput
from schemathesis.specs.openapi import checks

from quotekit import exchange
from quotekit.catalog import clients
from quotekit.errors import NotFoundError
from quotekit.resilience.breaker import CircuitOpenError
from tests import documented
from tests.functions.conftest import ACCOUNT, USER, Aws, Issuer
from tests.functions.test_bad_input import (  # noqa: F401 fixtures
    HOST,
    ON_PURPOSE,
    REFUSALS,
    Caller,
    as_told,
    forget,
    furnish,
    owner,
    queue_batches,
)
from tests.functions.test_examples import real
from tests.functions.test_subscription_status import amazon_services, stripe  # noqa: F401 fixtures
from tests.furnishing import FURNISHED
from tests.vendors import aws as vendor
from tests.vendors.stripe import Stripe

SEQUENCES: Final = int(os.environ.get("QUOTEKIT_SEQUENCES", "4"))
STEPS: Final = int(os.environ.get("QUOTEKIT_STEPS", "600"))
RULES: Final = rules(
    max_examples=1,
    stateful_step_count=1_000_000,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
CHECKS: Final = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
    checks.use_after_free,
]
# What was done to a quote is known even when it is gone.
EXCEPTIONS: Final = {(checks.use_after_free, "/v1/quotes/{quote_id}/history")}


@cache
def schema() -> Any:
    """The document, with what schemathesis finds for bodies; it has the links for paths itself."""
    found = schemathesis.openapi.from_dict(deepcopy(documented.document()) | {"security": []})
    found.config.generation.update(modes=list(GenerationMode))
    found.config.checks.negative_data_rejection = REFUSALS
    found.analysis.inject_links()
    for methods in found.raw_schema["paths"].values():
        for operation in methods.values():
            for answer in operation["responses"].values():
                for name, link in [*answer.get("links", {}).items()]:
                    if "x-schemathesis" in link and "requestBody" not in link:
                        del answer["links"][name]
    return found


@pytest.fixture
def everything(
    aws_services: Aws,
    stripe: Stripe,  # noqa: F811
    amazon_services: vendor.Aws,  # noqa: F811
    environment: pytest.MonkeyPatch,
) -> Iterator[None]:
    """What stands around all doors at once: boto3 asks moto, the house's own client a server."""
    queue_batches(amazon_services, environment)
    environment.setattr(exchange, "endpoint", lambda _: amazon_services.url)
    environment.delenv("AWS_SESSION_TOKEN", raising=False)
    # hypothesis would end a sequence after some thirty bodies, for having drawn too much.
    for module in (engine, hypothesis.stateful):
        environment.setattr(module, "BUFFER_SIZE", 1 << 24)
    furnish(amazon_services, environment)
    for name in ("WEBHOOKS_CRITICAL", "WEBHOOKS", "WEBHOOKS_BULK"):
        url = boto3.client("sqs").create_queue(QueueName=name)["QueueUrl"]
        environment.setenv(f"{name}_QUEUE_URL", url)
        amazon_services.queues[url] = []
    forget()
    yield
    forget()


@pytest.fixture
def callers(
    everything: None,
    owner: psycopg.Connection[Any],  # noqa: F811
    issuer: Issuer,
) -> Iterator[dict[str, Caller]]:
    """One for each door, who knows what exists behind it."""
    token = issuer.token(USER, ACCOUNT)
    # What is mailed is looked for among all mails, so it comes first.
    doors = sorted({one.tags[0] for one in operations()}, key=lambda door: door != "quote-mails")
    found = {door: Caller(token, owner) for door in doors}
    for door in doors:
        FURNISHED.get(door, lambda _: None)(found[door])
    yield found
    for caller in found.values():
        caller.gateway.loop.close()


def operations() -> list[Any]:
    return [one.ok() for one in schema().get_all_operations()]


class Asking:
    """What becomes of each step: sent to the door, looked at, complained of and gone on."""

    callers: dict[str, Caller]
    complaints: dict[str, str]  # by operation and kind; the first of each
    answered: Counter[tuple[str, int]]  # operations and statuses
    begun: list[Any]
    enough: int
    recorder: Any
    led: set[str]  # the parameters that a link gave

    def setup(self) -> None:
        self.begun.append(self)

    def step(self, input: StepInput) -> StepOutput | None:  # noqa: A002 its name there
        if self.answered.total() >= self.enough:
            raise SkipTest("enough")  # hypothesis ends at once; it would repeat any other
        hypothesis.assume(len(self.begun) > 1)  # the first is one call, again and again
        self.led = {str(name) for _, name in input.applied_parameters}
        if input.case.meta.generation.mode.is_positive:
            self.better(input.case, named=input.transition is not None)
        try:
            return super().step(input)  # type: ignore[misc]
        except (requests.exceptions.RequestException, UnicodeError):
            return None  # what HTTP cannot carry

    def better(self, case: Case[Any], *, named: bool) -> None:
        """A cursor is a page's own or none; every second body is an example's, and every second
        address, unless a link named it, is of what is there."""
        if "cursor" not in self.led:
            case.query.pop("cursor", None)
        if len(self.recorder.cases) % 2:
            return
        caller = self.callers[case.operation.tags[0]]
        for name in () if named else list(case.path_parameters):
            known = caller.id_of(case.operation.path, name)
            case.path_parameters[name] = known or case.path_parameters[name]
        body = case.operation.definition.raw.get("requestBody", {}).get("content", {})
        if "example" in (said := body.get(case.media_type, {})):
            case.body = real(said["example"], caller.known)

    def call(self, case: Case[Any], **_: Any) -> Response:
        caller = self.callers[case.operation.tags[0]]
        given = case.as_transport_kwargs(base_url=HOST)
        given["headers"] = {**given["headers"], "Authorization": f"Bearer {caller.token}"}
        request = requests.Request(**given).prepare()
        return as_told(caller.gateway.send(request), request)

    def validate_response(self, response: Response, case: Case[Any], *_: Any, **__: Any) -> None:
        operation, status = case.operation, response.status_code
        self.answered[operation.label, status] += 1
        is_left_alone = str(CircuitOpenError.__doc__) in response.text  # as an operator decided
        if is_left_alone or (operation.path, status) in ON_PURPOSE:
            return
        wanted = [check for check in CHECKS if (check, operation.path) not in EXCEPTIONS]
        if operation.path.endswith("}"):  # what is below may come later: a result, an acceptance
            wanted.append(checks.ensure_resource_availability)
        try:
            case.validate_response(response, checks=wanted, recorder=self.recorder)
        except FailureGroup as group:
            for failure in group.exceptions:
                story = "\n".join(self.story())
                said = f"{failure.message}\n{story}\n{response.content[:500]!r}"
                self.complaints.setdefault(f"{operation.label}: {failure.title}", said)

    def story(self) -> Iterator[str]:
        """What was asked so far, and what was answered."""
        for case in self.recorder.find_all_cases():
            if answer := self.recorder.find_response(case_id=case.id):
                yield f"{answer.request.method} {answer.request.url} -> {answer.status_code}"


def walk(callers: dict[str, Caller], seed: int, subject: str = "/", enough: int = STEPS) -> Any:
    """Ask in sequences about what is below a path."""
    machine: Any = schema().include(path_regex=f"^{subject}").as_state_machine()
    alone = [one for one in operations() if one.label not in machine._transitions.operations]
    rest = {one.definition.raw["operationId"]: ask(one) for one in alone if subject == "/"}
    kept: dict[str, Any] = {"complaints": {}, "answered": Counter(), "begun": []}
    given = {"callers": callers, "enough": enough}
    made: Any = type("Sequence", (Asking, machine), rest | kept | given)

    with suppress(SkipTest):
        hypothesis.seed(seed)(made).run(settings=RULES)
    return made


def ask(operation: Any) -> Any:
    """A step for what no link leads to or from."""

    def asked(self: Any, case: Case[Any]) -> None:
        self.recorder.record_case(case=case)
        self.step(StepInput.initial(case))

    return rule(case=operation.as_strategy())(asked)


@pytest.mark.parametrize("seed", range(SEQUENCES))
def test_whatever_was_asked_before_the_answer_is_as_documented(
    seed: int, callers: dict[str, Caller], subtests: pytest.Subtests
) -> None:
    walked = walk(callers, seed)

    for what, story in walked.complaints.items():
        with subtests.test(what):
            pytest.fail(story)


# ---- that it finds what it looks for ----


def keep(*_: Any) -> None:
    """A removal that removes nothing."""


def lose(*_: Any) -> None:
    raise NotFoundError


def break_(*_: Any) -> None:
    raise RuntimeError


@pytest.mark.parametrize(
    ("function", "wrong", "complaint"),
    [
        ("delete", keep, "Deleted resource still available"),
        ("get", lose, "Created resource not found"),
        ("get", break_, "Server error"),
    ],
)
def test_what_is_wrong_after_something_is_found(
    function: str,
    wrong: Any,
    complaint: str,
    callers: dict[str, Caller],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(clients, function, wrong)

    walked = (walk(callers, seed, "/v1/clients", enough=100) for seed in range(5))

    found = {what for one in walked for what in one.complaints}
    assert f"GET /v1/clients/{{thing_id}}: {complaint}" in found


def test_the_links_of_the_document_are_followed_from_answer_to_answer(
    callers: dict[str, Caller],
) -> None:
    asked = ("GET", "PATCH", "DELETE")
    wanted = {f"{method} /v1/clients/{{thing_id}}" for method in asked}

    for seed in range(10):  # what a seed comes to depends on the ids there are
        if not wanted:
            break
        walked = walk(callers, seed, subject="/v1/clients", enough=100)
        assert walked.complaints == {}
        wanted -= {
            label for label, status in walked.answered if status < HTTPStatus.MULTIPLE_CHOICES
        }

    assert wanted == set()
