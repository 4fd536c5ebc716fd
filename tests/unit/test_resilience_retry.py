"""Trying again: when, how often, how long, and never past a deadline."""

import email.message
import io
import urllib.error
from datetime import UTC, datetime

import httpx
import pytest
import stripe
from botocore.exceptions import ClientError, EndpointConnectionError
from hypothesis import given
from hypothesis import strategies as st

from quotekit.errors import DatabaseUnavailableError, NotFoundError
from quotekit.resilience import failures, retry
from quotekit.resilience.retry import Policy, attempts


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.pauses: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    def __call__(self) -> float:
        return self.now


def http_error(status: int, **headers: str) -> urllib.error.HTTPError:
    message = email.message.Message()
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    return urllib.error.HTTPError("http://x.test", status, "", message, io.BytesIO())


def httpx_error(status: int, **headers: str) -> httpx.HTTPStatusError:
    response = httpx.Response(status, headers={k.replace("_", "-"): v for k, v in headers.items()})
    return httpx.HTTPStatusError(
        "", request=httpx.Request("GET", "http://x.test"), response=response
    )


def aws_error(status: int, **headers: str) -> ClientError:
    given = {k.replace("_", "-"): v for k, v in headers.items()}
    answer = {"ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": given}}
    return ClientError(answer, "SendMessage")  # type: ignore[arg-type]


def stripe_error(status: int, **headers: str) -> stripe.StripeError:
    given = {k.replace("_", "-"): v for k, v in headers.items()}
    return stripe.APIError("", http_status=status, headers=given)


MAKERS = [http_error, httpx_error, aws_error, stripe_error]


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize(
    ("status", "passing"), [(400, False), (404, False), (408, True), (429, True), (503, True)]
)
def test_an_http_status_says_whether_asking_again_helps(make, status, passing):
    error = make(status)

    assert failures.status(error) == status
    assert failures.is_passing(error) is passing
    assert failures.verdict(error) is not passing


@pytest.mark.parametrize(
    "error",
    [
        ConnectionResetError(),
        TimeoutError(),
        urllib.error.URLError("no name"),
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("slow"),
        stripe.APIConnectionError("refused"),
        EndpointConnectionError(endpoint_url="http://x.test"),
        DatabaseUnavailableError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_service_that_was_not_reached_may_be_asked_again(error):
    assert failures.is_passing(error)
    assert failures.verdict(error) is False


def test_a_mistake_of_our_own_says_nothing_about_the_service():
    assert failures.verdict(ValueError()) is None
    assert failures.verdict(NotFoundError()) is True


NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        ("Sun, 22 Nov 2026 12:00:30 GMT", 30.0),
        ("Sun, 22 Nov 2026 11:00:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(make, text, seconds):
    assert failures.retry_after(make(503, Retry_After=text), NOON) == seconds


def test_an_error_without_headers_asks_for_no_pause():
    assert failures.retry_after(ConnectionResetError()) is None


def run(errors, *, policy=retry.DEFAULT, seconds=None):
    """Calls made until one succeeds; each takes an error from the list."""
    clock = Clock()
    calls = 0
    until = None if seconds is None else clock.now + seconds
    for attempt in attempts(policy, until=until, sleep=clock.sleep, clock=clock):
        with attempt:
            calls += 1
            if calls <= len(errors):
                raise errors[calls - 1]
    return calls, clock


def test_a_call_that_succeeds_is_made_once():
    calls, clock = run([])

    assert (calls, clock.pauses) == (1, [])


def test_what_may_pass_is_tried_again_until_it_has():
    calls, _ = run([TimeoutError(), http_error(503)])

    assert calls == 3


def test_the_last_error_rises_unchanged():
    errors = [TimeoutError(str(number)) for number in range(9)]

    with pytest.raises(TimeoutError, match="3"):
        run(errors)


def test_an_answer_is_not_asked_for_again():
    with pytest.raises(urllib.error.HTTPError):
        run([http_error(404)])


@given(st.integers(1, 12), st.floats(0.001, 10), st.floats(0.001, 100))
def test_pauses_grow_to_a_limit_and_are_never_longer(attempts_, first, longest):
    policy = Policy(attempts_ + 1, first, longest)

    _, clock = run([TimeoutError()] * attempts_, policy=policy)

    most = [min(longest, first * 2**number) for number in range(attempts_)]
    assert all(0 <= pause <= limit for pause, limit in zip(clock.pauses, most, strict=True))


def test_pauses_are_jittered_over_their_whole_length():
    pauses = [run([TimeoutError()], policy=Policy(2, 1.0, 1.0))[1].pauses[0] for _ in range(400)]

    assert min(pauses) < 0.1
    assert max(pauses) > 0.9


@given(st.integers(0, 60))
def test_a_pause_is_never_shorter_than_the_service_asked_for(seconds):
    _, clock = run([http_error(429, Retry_After=str(seconds))])

    assert seconds <= clock.pauses[0] <= seconds + retry.DEFAULT.first


def test_what_the_service_asks_for_beyond_the_deadline_is_not_waited_for():
    calls = []

    def sleep(seconds: float) -> None:
        raise AssertionError(f"slept {seconds} seconds")

    def work() -> None:
        for attempt in attempts(until=10.0, sleep=sleep, clock=lambda: 0.0):
            with attempt:
                calls.append(attempt.number)
                raise http_error(503, Retry_After="30")

    with pytest.raises(urllib.error.HTTPError):
        work()

    assert calls == [1]


@given(st.floats(0.01, 60), st.lists(st.integers(0, 20), min_size=1, max_size=8))
def test_no_pause_ends_after_the_deadline(seconds, asked):
    clock = Clock()
    errors = iter([http_error(503, Retry_After=str(value)) for value in asked])

    try:
        for attempt in attempts(
            Policy(50), until=clock.now + seconds, sleep=clock.sleep, clock=clock
        ):
            with attempt:
                for error in errors:
                    raise error
    except urllib.error.HTTPError:
        pass

    assert clock.now < 1000 + seconds


def test_the_deadline_leaves_a_margin_before_lambda_ends_the_function(monkeypatch):
    class Context:
        def get_remaining_time_in_millis(self) -> int:
            return 30_000

    monkeypatch.setattr("time.monotonic", lambda: 500.0)

    assert retry.deadline(Context(), margin=2.0) == 528.0  # type: ignore[arg-type]
