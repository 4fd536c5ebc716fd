"""Stripe Connect: what accounts connected to a platform hold, and what their invoices go through.

Everything here is reached with the header `Stripe-Account` alone; a platform has none of it.
"""

from dataclasses import dataclass, field
from typing import Any

from tests.vendors import stripe_objects as of
from tests.vendors.stripe_objects import Json


class WrongError(Exception):
    """What Stripe refuses: a code and what it says of it."""

    def __init__(self, code: str | None, message: str) -> None:
        super().__init__(message)
        self.code = code


def account(**over: Any) -> Json:
    """A Standard account that was just made: nothing is submitted yet."""
    return {
        "id": of.new_id("acct"),
        "object": "account",
        "business_type": None,
        "capabilities": {},
        "charges_enabled": False,
        "country": "US",
        "created": of.EPOCH,
        "default_currency": "usd",
        "details_submitted": False,
        "email": None,
        "metadata": {},
        "payouts_enabled": False,
        "requirements": {
            "alternatives": [],
            "current_deadline": None,
            "currently_due": ["business_profile.url", "external_account"],
            "disabled_reason": "requirements.past_due",
            "errors": [],
            "eventually_due": ["external_account"],
            "past_due": ["external_account"],
            "pending_verification": [],
        },
        "type": "standard",
    } | over


def ready(thing: Json) -> Json:
    """The same once its owner has told Stripe all."""
    nothing: Json = {name: [] for name in thing["requirements"]}
    nothing |= {"current_deadline": None, "disabled_reason": None}
    enabled = {"charges_enabled": True, "payouts_enabled": True, "details_submitted": True}
    return thing | enabled | {"requirements": nothing}


@dataclass
class Connected:
    """One connected account."""

    id: str
    customers: dict[str, Json] = field(default_factory=dict)
    invoices: dict[str, Json] = field(default_factory=dict)
    sessions: dict[str, Json] = field(default_factory=dict)
    sent: list[str] = field(default_factory=list)
    """The invoices that were mailed, each time they were."""

    def handle(  # noqa: C901, PLR0911 - a line a route
        self, method: str, parts: list[str], params: Json, now: int
    ) -> Json:
        match method, parts:
            case "GET", ["customers"]:
                return listed(self.customers, params, "email")
            case "POST", ["customers"]:
                return self.make_customer(params)
            case "GET", ["invoices"]:
                return listed(self.invoices, params, "customer")
            case "GET", ["invoices", name]:
                return found(self.invoices, name)
            case "POST", ["invoices"]:
                return self.draft(params, now)
            case "DELETE", ["invoices", name]:
                self.expect(name, "draft")
                return {"id": self.invoices.pop(name)["id"], "deleted": True}
            case "POST", ["invoices", name, "add_lines"]:
                return self.fill(self.expect(name, "draft"), params)
            case "POST", ["invoices", name, "finalize"]:
                return self.finalise(self.expect(name, "draft"))
            case "POST", ["invoices", name, "send"]:
                self.sent.append(name)
                return self.expect(name, "open")
            case "POST", ["invoices", name, "void"]:
                return self.expect(name, "open", "uncollectible") | self.become(name, "void")
            case "POST", ["checkout", "sessions"]:
                return self.check_out(params, now)
            case "POST", ["checkout", "sessions", name, "expire"]:
                return self.expire(found(self.sessions, name))
        raise WrongError(None, f"Unrecognized request URL ({method}: /v1/{'/'.join(parts)})")

    def expect(self, name: str, *statuses: str) -> Json:
        held = found(self.invoices, name)
        if held["status"] not in statuses:
            raise WrongError("invoice_not_editable", f"This invoice is {held['status']}.")
        return held

    def become(self, name: str, status: str, **over: Any) -> Json:
        self.invoices[name] |= {"status": status, **over}
        return self.invoices[name]

    def make_customer(self, params: Json) -> Json:
        said = {"email": params["email"], "name": params.get("name"), "metadata": {}}
        made = of.customer(None, **said)
        self.customers[made["id"]] = made
        return made

    def draft(self, params: Json, now: int) -> Json:
        found(self.customers, params["customer"])
        if params["collection_method"] != "send_invoice" or int(params["due_date"]) <= now:
            raise WrongError("invalid_due_date", "due_date must be in the future.")
        made = of.invoice(
            params["customer"],
            status="draft",
            currency=params["currency"],
            collection_method="send_invoice",
            due_date=int(params["due_date"]),
            metadata=params["metadata"],
            description=params["description"],
            number=None,
            hosted_invoice_url=None,
            billing_reason="manual",
            created=now,
        )
        made |= dict.fromkeys(("amount_due", "amount_paid", "amount_remaining", "total"), 0)
        self.invoices[made["id"]] = made
        return made

    def fill(self, held: Json, params: Json) -> Json:
        for line in params["lines"].values():
            amount = int(line["amount"])
            made = {"id": of.new_id("il"), "object": "line_item", "amount": amount}
            held["lines"]["data"].append(made | {"description": line["description"]})
        total = sum(line["amount"] for line in held["lines"]["data"])
        held |= {"total": total, "subtotal": total, "amount_due": total, "amount_remaining": total}
        return held

    def finalise(self, held: Json) -> Json:
        url = f"https://invoice.stripe.com/i/{self.id}/{held['id']}"
        return self.become(held["id"], "open", hosted_invoice_url=url, number="F-1")

    def pay(self, name: str) -> Json:
        """The homeowner pays an invoice on its page."""
        due = self.expect(name, "open", "uncollectible")["amount_due"]
        return self.become(name, "paid", amount_paid=due, amount_remaining=0)

    def check_out(self, params: Json, now: int) -> Json:
        (line,) = params["line_items"].values()
        assert params["mode"] == "payment"
        amount = int(line["price_data"]["unit_amount"]) * int(line["quantity"])
        over = {name: params[name] for name in ("success_url", "cancel_url", "mode", "metadata")}
        made = of.session("", None, created=now, **over) | {"customer": None}
        made |= {"currency": line["price_data"]["currency"], "expires_at": now + 86_400}
        made |= {"amount_total": amount, "amount_subtotal": amount}
        self.sessions[made["id"]] = made
        return made

    def complete(self, name: str, payment_status: str = "paid") -> Json:
        """The homeowner goes through a checkout; some ways of paying take days afterwards."""
        session = found(self.sessions, name)
        assert session["status"] == "open"
        session |= {"status": "complete", "url": None, "payment_status": payment_status}
        session |= {"payment_intent": of.new_id("pi")}
        return session

    def expire(self, session: Json) -> Json:
        if session["status"] != "open":
            raise WrongError(None, "Only Checkout Sessions with a status of open can be expired.")
        session |= {"status": "expired", "url": None}
        return session


def found(things: dict[str, Json], name: str) -> Json:
    if name not in things:
        raise WrongError("resource_missing", f"No such object: '{name}'")
    return things[name]


def listed(things: dict[str, Json], params: Json, by: str) -> Json:
    wanted = [thing for thing in reversed(things.values()) if thing[by] == params[by]]
    return {"object": "list", "has_more": False, "data": wanted[: int(params["limit"])]}
