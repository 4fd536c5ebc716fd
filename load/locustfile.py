"""The users of every scenario, for Locust: `python -m load NAME` starts it with a plan.

The plan (JSON, at LOAD_PLAN) has the phases, the stack's address and where the samples go.
"""

import hashlib
import hmac
import itertools
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import gevent
from locust import FastHttpUser, LoadTestShape, constant, events, task

PLAN: Final[dict[str, Any]] = json.loads(Path(os.environ["LOAD_PLAN"]).read_text())
SECRETS: Final[dict[str, str]] = PLAN["secrets"]
RUN: Final[str] = PLAN["run"]
REPOSITORIES: Final = 50
LONGEST_PAUSE: Final = 2.0  # seconds a user waits when told to come again
IDLE: Final = 0.02

numbers: Final = itertools.count(1)
samples: Final[list[list[Any]]] = []
accepted: Final[list[str]] = []
outcomes: Final[dict[str, dict[str, int]]] = {}
keys: Final[dict[str, dict[str, int]]] = {}
began: Final = time.time()
start: Final = time.monotonic()


class Running:
    """A phase under way: hands out what there is to send, and when."""

    def __init__(self, phase: dict[str, Any]) -> None:
        self.phase = phase
        self.begin = time.monotonic()
        self.end = self.begin + phase["seconds"]
        self.taken = 0
        self.finished = 0

    @property
    def users(self) -> int:
        return int(self.phase["users"])

    @property
    def over(self) -> bool:
        most = self.phase["requests"]
        return time.monotonic() >= self.end or (most is not None and self.finished >= most)

    def take(self) -> float | None:
        """When the next request is due; None when there is none."""
        most, rate = self.phase["requests"], self.phase["rate"]
        due = time.monotonic() if rate is None else self.begin + self.taken / rate
        if due >= self.end or (most is not None and self.taken >= most):
            return None
        self.taken += 1
        return due


class Phases(LoadTestShape):
    use_common_options = False

    def __init__(self) -> None:
        super().__init__()
        self.left = list(PLAN["phases"])
        self.running: Running | None = None

    def tick(self) -> tuple[int, float] | None:
        if self.running is None or self.running.over:
            if not self.left:
                self.running = None
                return None
            self.running = Running(self.left.pop(0))
        return self.running.users, self.running.users


def running() -> Running | None:
    shape = PLAN["shape"]
    return shape.running if shape else None


@events.init.add_listener
def remember_shape(environment: Any, **_: Any) -> None:
    PLAN["shape"] = environment.shape_class


PLAN["shape"] = None


class Sender(FastHttpUser):
    host = PLAN["api_url"]
    wait_time = constant(0)
    network_timeout = 35.0
    connection_timeout = 35.0

    @task
    def send(self) -> None:
        phase = running()
        due = phase.take() if phase else None
        if phase is None or due is None:
            gevent.sleep(IDLE)
            return
        gevent.sleep(max(0.0, due - time.monotonic()))
        try:
            BEHAVIOURS[phase.phase["behaviour"]](self, phase, due)
        finally:
            phase.finished += 1
        gevent.sleep(phase.phase["pause"])

    def ask(
        self,
        phase: Running,
        due: float,
        path: str,
        body: bytes,
        headers: dict[str, str],
        **also: Any,
    ) -> Any:
        """One POST, written down. A request counts from when it was due, so that a slow stack
        cannot hide by slowing its senders."""
        with self.client.post(path, data=body, headers=headers, catch_response=True) as response:
            status = response.status_code
            failed = status not in also.get("fine", (200,))
            response.failure(str(status)) if failed else response.success()
        now = time.monotonic()
        throttled = status in {429, 503} and b'"code"' not in (response.content or b"")
        name = phase.phase["name"]
        samples.append([due - start, now - due, status, failed, throttled, name, phase.users])
        if status == 200 and "event_id" in also:
            accepted.append(also["event_id"])
        return response


def github(
    user: Sender, phase: Running, due: float, *, kind: str = "pull_request", padding: int = 0
) -> None:
    number = next(numbers)
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    thing = {
        "number": number,
        "state": "open",
        "title": "A change",
        "body": "x" * padding,
        "user": {"login": "ada"},
        "created_at": moment,
        "updated_at": moment,
    }
    payload = {
        "action": "opened",
        "pull_request": thing,
        "repository": {"full_name": f"load/{RUN}-{number % REPOSITORIES}"},
        "sender": {"login": "ada"},
    }
    body = json.dumps(payload).encode()
    made = hmac.new(SECRETS["github"].encode(), body, hashlib.sha256).hexdigest()
    headers = {
        "content-type": "application/json",
        "x-github-event": kind,
        "x-github-delivery": f"{RUN}-{number}",
        "x-hub-signature-256": f"sha256={made}",
    }
    user.ask(phase, due, "/v1/webhooks/github", body, headers, event_id=f"{RUN}-{number}")


def stripe(user: Sender, phase: Running, due: float) -> None:
    """An event of money that nothing here follows from: the critical queue, and no business."""
    number, now = next(numbers), int(time.time())
    payload = {
        "id": f"{RUN}-{number}",
        "object": "event",
        "type": "radar.early_fraud_warning.created",
        "created": now,
        "data": {"object": {"id": f"issfr_{number}", "object": "radar.early_fraud_warning"}},
    }
    body = json.dumps(payload).encode()
    made = hmac.new(SECRETS["stripe"].encode(), b"%d." % now + body, hashlib.sha256).hexdigest()
    headers = {"content-type": "application/json", "stripe-signature": f"t={now},v1={made}"}
    user.ask(phase, due, "/v1/webhooks/stripe", body, headers, event_id=f"{RUN}-{number}")


def webhooks(user: Sender, phase: Running, due: float) -> None:
    github(user, phase, due, padding=phase.phase["body_bytes"])


def priorities(user: Sender, phase: Running, due: float) -> None:
    """The three classes of queue in turn."""
    match phase.taken % 3:
        case 0:
            stripe(user, phase, due)
        case 1:
            github(user, phase, due)
        case _:
            github(user, phase, due, kind="star")


def bearer(**more: str) -> dict[str, str]:
    token = PLAN["token"]
    return {"authorization": f"Bearer {token}", "content-type": "application/json", **more}


def portal(user: Sender, phase: Running, due: float) -> None:
    """Asks for Stripe's portal, and once more when told to come again."""
    name = f"{RUN}-{next(numbers)}"
    body = json.dumps({"return_url": f"{PLAN['origin']}/{name}"}).encode()
    for attempt in (1, 2):
        response = user.ask(phase, due, "/v1/billing/portal", body, bearer())
        outcomes[name] = {"status": response.status_code, "attempts": attempt}
        told = (response.headers or {}).get("retry-after")
        if response.status_code == 200 or told is None:
            return
        gevent.sleep(min(float(told), LONGEST_PAUSE))
        due = time.monotonic()


def keyed(user: Sender, phase: Running, due: float) -> None:
    """The same few orders over and over, each under its key. 409 says that a twin is at work."""
    key = f"{RUN}-{phase.phase['name']}-{phase.taken % phase.phase['keys']}"
    body = json.dumps({"name": key}).encode()
    headers = bearer(**{"idempotency-key": key})
    response = user.ask(phase, due, "/v1/clients", body, headers, fine=(201, 409))
    seen = keys.setdefault(key, {"answers": 0, "replayed": 0, "waiting": 0})
    if response.status_code in {201, 409}:
        seen["answers"] += 1
        seen["waiting"] += response.status_code == 409
        seen["replayed"] += (response.headers or {}).get("idempotency-replayed") == "true"


BEHAVIOURS: Final[dict[str, Callable[[Sender, Running, float], None]]] = {
    "webhooks": webhooks,
    "priorities": priorities,
    "portal": portal,
    "keyed": keyed,
}


@events.quit.add_listener
def write(**_: Any) -> None:
    measured = {"began": began, "samples": samples, "accepted": accepted}
    measured |= {"outcomes": outcomes, "keys": keys}
    Path(PLAN["measured"]).write_text(json.dumps(measured))
