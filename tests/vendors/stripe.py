"""Stripe as an HTTP server: form-encoded requests, its objects, its errors, its idempotency.

As Stripe does, it keeps an answer under its Idempotency-Key, failures of its own too; refuses the
key with other parameters; pages lists by `starting_after`, newest first; tells its time in `Date`.
`plans` says how the next requests go wrong; each takes one of them.
"""

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from tests.vendors import stripe_connect as connect
from tests.vendors import stripe_objects as of
from tests.vendors.stripe_connect import Connected
from tests.vendors.stripe_objects import Json

KEY: Final = "sk_test_1"
LARGEST_PAGE: Final = 100


class RefusedError(Exception):
    def __init__(self, status: int, kind: str, code: str | None, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"error": {"type": kind, "code": code, "message": message}}


@dataclass
class Plan:
    """What happens to one request: late, refused, or answered with something else."""

    status: int = 500
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    cut: bool = False
    after: bool = False
    """Whether it takes effect all the same, and only its answer is lost."""


@dataclass
class Request:
    method: str
    path: str
    params: Json
    key: str | None
    account: str | None = None
    """The connected account it is for, as the header Stripe-Account says."""


def declined(reason: str = "insufficient_funds") -> Plan:
    error = {
        "type": "card_error",
        "code": "card_declined",
        "decline_code": reason,
        "message": "Your card has insufficient funds.",
    }
    return Plan(402, {"error": error})


@dataclass
class Stripe:
    url: str = ""
    api_key: str = KEY
    now: int | None = None
    plans: list[Plan] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    answers: dict[str, tuple[Json, int, Json]] = field(default_factory=dict)
    customers: dict[str, Json] = field(default_factory=dict)
    products: dict[str, Json] = field(default_factory=dict)
    prices: dict[str, Json] = field(default_factory=dict)
    subscriptions: dict[str, Json] = field(default_factory=dict)
    sessions: dict[str, Json] = field(default_factory=dict)
    accounts: dict[str, Json] = field(default_factory=dict)
    connected: dict[str, Connected] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    gate: Callable[[Request], None] = lambda _: None

    @property
    def time(self) -> int:
        return int(time.time()) if self.now is None else self.now

    def posts(self, path: str) -> list[Request]:
        return [one for one in self.requests if one.method == "POST" and one.path == path]

    def sell(self, interval: str = "month", amount: int = 1200, plan: str = "premium") -> Json:
        """A price of the plan's product; the product comes with the first."""
        known = [p for p in self.products.values() if p["metadata"].get("plan") == plan]
        product = known[0] if known else of.product(plan)
        self.products[product["id"]] = product
        price = of.price(product["id"], interval, amount)
        self.prices[price["id"]] = price
        return price

    def pay(self, session_id: str) -> Json:
        """The payer completes a checkout: the session is over, a subscription begins."""
        session = self.sessions[session_id]
        assert session["status"] == "open"
        price = self.prices[session["metadata"]["price_id"]]
        held = self.subscribe(session["customer"], price, metadata=dict(session["metadata"]))
        session |= {"status": "complete", "url": None, "subscription": held["id"]}
        return held

    def subscribe(self, customer_id: str, price: Json, **over: Any) -> Json:
        held = of.subscription(customer_id, price, start=self.time, **over)
        self.subscriptions[held["id"]] = held
        return held

    def answer(self, request: Request) -> Json:
        if request.key is None:
            return self.handle(request)
        key = f"{request.account} {request.key}"  # each account has its own
        if key in self.answers:
            params, status, kept = self.answers[key]
            if params != {"path": request.path, **request.params}:
                message = "Keys for idempotent requests can only be used with the same parameters"
                raise RefusedError(400, "idempotency_error", None, message)
            if status >= 500:
                raise RefusedError(status, "api_error", None, "as before")
            return kept
        done = self.handle(request)
        same = {"path": request.path, **request.params}
        self.answers[key] = (same, 200, json.loads(json.dumps(done)))
        return done

    def handle(self, request: Request) -> Json:  # noqa: C901, PLR0911 - a line a route
        parts = request.path.removeprefix("/v1/").split("/")
        if request.account is not None:
            return self.handle_for(request.account, request, parts)
        match request.method, parts:
            case "GET", ["customers" | "products" | "prices" | "subscriptions" as kind]:
                return self.list(kind, getattr(self, kind), request.params)
            case "GET", ["checkout", "sessions"]:
                return self.list("checkout/sessions", self.sessions, request.params)
            case "GET", ["subscriptions", name]:
                return self.found(self.subscriptions, name)
            case "POST", ["customers"]:
                return self.make_customer(request.params)
            case "POST", ["checkout", "sessions"]:
                return self.make_session(request.params)
            case "POST", ["checkout", "sessions", name, "expire"]:
                return self.expire(name)
            case "POST", ["accounts"]:
                return self.make_account(request.params)
            case "POST", ["account_links"]:
                return self.make_link(request.params)
            case "POST", ["billing_portal", "sessions"]:
                return self.make_portal(request.params)
            case "POST", ["subscriptions", name]:
                return self.change(self.found(self.subscriptions, name), request.params)
            case "DELETE", ["subscriptions", name]:
                return self.end(self.found(self.subscriptions, name))
        raise RefusedError(404, "invalid_request_error", None, "Unrecognized request URL")

    def handle_for(self, account: str, request: Request, parts: list[str]) -> Json:
        if account not in self.connected:
            message = f"The provided key does not have access to account '{account}'"
            raise RefusedError(403, "invalid_request_error", "account_invalid", message)
        try:
            held = self.connected[account]
            return held.handle(request.method, parts, request.params, self.time)
        except connect.WrongError as error:
            raise RefusedError(400, "invalid_request_error", error.code, str(error)) from error

    def make_account(self, params: Json) -> Json:
        made = connect.account(type=params["type"], metadata=params["metadata"])
        self.accounts[made["id"]] = made
        self.connected[made["id"]] = Connected(made["id"])
        return made

    def make_link(self, params: Json) -> Json:
        self.found(self.accounts, params["account"])
        assert params["type"] == "account_onboarding"
        assert params["return_url"]
        assert params["refresh_url"]
        url = f"https://connect.stripe.com/setup/s/{of.new_id('link')}"
        return {"object": "account_link", "created": self.time, "url": url} | {
            "expires_at": self.time + 300
        }

    def found(self, things: dict[str, Json], name: str | None) -> Json:
        if name not in things:
            message = f"No such object: '{name}'"
            raise RefusedError(404, "invalid_request_error", "resource_missing", message)
        return things[name]

    def list(self, path: str, things: dict[str, Json], params: Json) -> Json:
        wanted = list(reversed(things.values()))
        if "customer" in params:
            wanted = [thing for thing in wanted if thing["customer"] == params["customer"]]
        if path == "subscriptions" and params.get("status") != "all":
            wanted = [thing for thing in wanted if thing["status"] != "canceled"]
        if after := params.get("starting_after"):
            self.found(things, after)
            names = [thing["id"] for thing in wanted]
            wanted = wanted[names.index(after) + 1 :]
        limit = int(params.get("limit", 10))
        if not 1 <= limit <= LARGEST_PAGE:
            raise RefusedError(400, "invalid_request_error", None, "Invalid limit")
        more = len(wanted) > limit
        return {"object": "list", "url": f"/v1/{path}", "has_more": more, "data": wanted[:limit]}

    def make_customer(self, params: Json) -> Json:
        made = of.customer(None, metadata=params.get("metadata", {}), created=self.time)
        self.customers[made["id"]] = made
        return made

    def make_session(self, params: Json) -> Json:
        self.found(self.customers, params.get("customer"))
        (line,) = params["line_items"].values()
        price = self.found(self.prices, line["price"])
        if not price["active"]:
            message = "The price specified is inactive."
            raise RefusedError(400, "invalid_request_error", "price_inactive", message)
        over = {name: params[name] for name in ("success_url", "cancel_url", "mode", "metadata")}
        made = of.session(params["customer"], None, created=self.time, **over)
        made |= {"client_reference_id": params.get("client_reference_id")}
        made |= {"expires_at": self.time + 86_400}
        self.sessions[made["id"]] = made
        return made

    def expire(self, name: str) -> Json:
        session = self.found(self.sessions, name)
        if session["status"] != "open":
            message = "Only Checkout Sessions with a status of open can be expired."
            raise RefusedError(400, "invalid_request_error", None, message)
        session |= {"status": "expired", "url": None}
        return session

    def make_portal(self, params: Json) -> Json:
        self.found(self.customers, params.get("customer"))
        name = of.new_id("bps")
        return {
            "id": name,
            "object": "billing_portal.session",
            "created": self.time,
            "customer": params["customer"],
            "livemode": False,
            "return_url": params["return_url"],
            "url": f"https://billing.stripe.com/p/session/{name}",
        }

    def change(self, held: Json, params: Json) -> Json:
        if held["status"] == "canceled":
            message = "A canceled subscription can only update its cancellation_details."
            raise RefusedError(400, "invalid_request_error", None, message)
        (item,) = held["items"]["data"]
        if "cancel_at_period_end" in params:
            ending = params["cancel_at_period_end"] == "true"
            end = item["current_period_end"] if ending else None
            canceled_at = self.time if ending else None
            held |= {"cancel_at_period_end": ending, "cancel_at": end, "canceled_at": canceled_at}
        for change in params.get("items", {}).values():
            assert change["id"] == item["id"]
            item["price"] = self.found(self.prices, change["price"])
        return held

    def end(self, held: Json) -> Json:
        if held["status"] == "canceled":
            message = f"No such subscription: '{held['id']}'"
            raise RefusedError(404, "invalid_request_error", "resource_missing", message)
        held |= {"status": "canceled", "canceled_at": self.time, "ended_at": self.time}
        return held


def decoded(text: str) -> Json:
    """`items[0][price]=x` as nested dictionaries; list places stay keys."""
    params: Json = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        *way, last = re.findall(r"[^\[\]]+", name)
        node = params
        for key in way:
            node = node.setdefault(key, {})
        node[last] = value
    return params


class Handler(BaseHTTPRequestHandler):
    stripe: Stripe

    def do_GET(self) -> None:
        self.serve()

    def do_POST(self) -> None:
        self.serve()

    def do_DELETE(self) -> None:
        self.serve()

    def serve(self) -> None:
        parts = urlsplit(self.path)
        text = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        params = decoded(text or parts.query)
        key = self.headers.get("Idempotency-Key")
        account = self.headers.get("Stripe-Account")
        request = Request(self.command, parts.path, params, key, account)
        self.stripe.gate(request)
        with self.stripe.lock:
            self.stripe.requests.append(request)
            plan = self.stripe.plans.pop(0) if self.stripe.plans else None
            if plan is None or plan.after:
                status, body, headers = self.judge(request)
        if plan is not None:
            time.sleep(plan.delay)
            if plan.cut:
                self.close_connection = True
                return
            if not plan.after or plan.status != 200:
                error = {"error": {"type": "api_error", "message": "as told"}}
                status, body, headers = plan.status, plan.body or error, plan.headers
                if key and status == 500:  # Stripe keeps its own failures too
                    self.stripe.answers[f"{account} {key}"] = (
                        {"path": parts.path, **params},
                        500,
                        {},
                    )
        self.tell(status, body, headers)

    def judge(self, request: Request) -> tuple[int, Any, dict[str, str]]:
        if self.headers.get("Authorization") != f"Bearer {self.stripe.api_key}":
            error = {"type": "invalid_request_error", "message": "Invalid API Key provided"}
            return 401, {"error": error}, {}
        try:
            return 200, self.stripe.answer(request), {}
        except RefusedError as error:
            return error.status, error.body, {}

    def tell(self, status: int, body: Any, headers: dict[str, str]) -> None:
        content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Request-Id": of.new_id("req"), **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def date_time_string(self, timestamp: float | None = None) -> str:
        return super().date_time_string(timestamp or self.stripe.time)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def serve() -> Iterator[Stripe]:
    stripe = Stripe()
    handler = type("StripeHandler", (Handler,), {"stripe": stripe})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    stripe.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield stripe
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
