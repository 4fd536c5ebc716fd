"""Stripe's objects and events as its API version 2026-10-28 writes them, with every field that one
always has; ids are made up. `older_…` are of the versions before 2025-03-31."""

import itertools
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

API_VERSION: Final = "2026-10-28.endive"
OLDER_VERSION: Final = "2024-06-20"
EPOCH: Final = 1_790_000_000
MONTH: Final = 30 * 86_400

type Json = dict[str, Any]

_numbers: Final = itertools.count(1)


def new_id(prefix: str) -> str:
    return f"{prefix}_1Test{next(_numbers):012d}"


def event(
    kind: str, thing: Mapping[str, Any], created: int, *, previous: Json | None = None, **over: Any
) -> Json:
    """An event as Stripe posts it to a webhook endpoint."""
    data: Json = {"object": dict(thing)}
    if previous is not None:
        data["previous_attributes"] = previous
    return {
        "id": new_id("evt"),
        "object": "event",
        "api_version": API_VERSION,
        "created": created,
        "data": data,
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": new_id("req"), "idempotency_key": None},
        "type": kind,
    } | over


def customer(account: UUID | None = None, **over: Any) -> Json:
    return {
        "id": new_id("cus"),
        "object": "customer",
        "address": None,
        "balance": 0,
        "created": EPOCH,
        "currency": "usd",
        "default_source": None,
        "delinquent": False,
        "description": None,
        "email": "owner@example.com",
        "invoice_prefix": "0A1B2C3D",
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": None,
            "footer": None,
            "rendering_options": None,
        },
        "livemode": False,
        "metadata": {} if account is None else {"account_id": str(account)},
        "name": None,
        "next_invoice_sequence": 1,
        "phone": None,
        "preferred_locales": [],
        "shipping": None,
        "tax_exempt": "none",
        "test_clock": None,
    } | over


def product(plan: str | None = "premium", metadata: Json | None = None, **over: Any) -> Json:
    said = {} if plan is None else {"plan": plan}
    return {
        "id": new_id("prod"),
        "object": "product",
        "active": True,
        "created": EPOCH,
        "default_price": None,
        "description": "Everything",
        "images": [],
        "livemode": False,
        "marketing_features": [],
        "metadata": said | (metadata or {}),
        "name": "Premium",
        "package_dimensions": None,
        "shippable": None,
        "statement_descriptor": None,
        "tax_code": None,
        "type": "service",
        "unit_label": None,
        "updated": EPOCH,
        "url": None,
    } | over


def price(product_id: str, interval: str = "month", amount: int = 1200, **over: Any) -> Json:
    return {
        "id": new_id("price"),
        "object": "price",
        "active": True,
        "billing_scheme": "per_unit",
        "created": EPOCH,
        "currency": "usd",
        "custom_unit_amount": None,
        "livemode": False,
        "lookup_key": None,
        "metadata": {},
        "nickname": None,
        "product": product_id,
        "recurring": {
            "interval": interval,
            "interval_count": 1,
            "meter": None,
            "trial_period_days": None,
            "usage_type": "licensed",
        },
        "tax_behavior": "unspecified",
        "tiers_mode": None,
        "transform_quantity": None,
        "type": "recurring",
        "unit_amount": amount,
        "unit_amount_decimal": str(amount),
    } | over


def item(subscription_id: str, sold: Json, start: int, end: int, quantity: int = 1) -> Json:
    return {
        "id": new_id("si"),
        "object": "subscription_item",
        "billing_thresholds": None,
        "created": start,
        "current_period_end": end,
        "current_period_start": start,
        "discounts": [],
        "metadata": {},
        "plan": {"object": "plan", "id": sold.get("id"), "product": sold.get("product")},
        "price": sold,
        "quantity": quantity,
        "subscription": subscription_id,
        "tax_rates": [],
    }


def subscription(
    customer_id: str, sold: Json, *, start: int = EPOCH, status: str = "active", **over: Any
) -> Json:
    name = over.pop("id", None) or new_id("sub")
    items = [item(name, sold, start, start + MONTH)]
    return {
        "id": name,
        "object": "subscription",
        "application": None,
        "application_fee_percent": None,
        "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
        "billing_cycle_anchor": start,
        "billing_mode": {"type": "flexible"},
        "billing_schedules": [],
        "cancel_at": None,
        "cancel_at_period_end": False,
        "canceled_at": None,
        "cancellation_details": {"comment": None, "feedback": None, "reason": None},
        "collection_method": "charge_automatically",
        "created": start,
        "currency": "usd",
        "customer": customer_id,
        "days_until_due": None,
        "default_payment_method": None,
        "default_source": None,
        "description": None,
        "discounts": [],
        "ended_at": None,
        "invoice_settings": {"account_tax_ids": None, "issuer": {"type": "self"}},
        "items": {
            "object": "list",
            "data": items,
            "has_more": False,
            "total_count": 1,
            "url": f"/v1/subscription_items?subscription={name}",
        },
        "latest_invoice": new_id("in"),
        "livemode": False,
        "metadata": {},
        "on_behalf_of": None,
        "pause_collection": None,
        "pending_setup_intent": None,
        "pending_update": None,
        "schedule": None,
        "start_date": start,
        "status": status,
        "test_clock": None,
        "transfer_data": None,
        "trial_end": None,
        "trial_start": None,
    } | over


def older_subscription(customer_id: str, sold: Json, **over: Any) -> Json:
    """The same in an API version before 2025-03-31: one period, on the subscription itself."""
    thing = subscription(customer_id, sold, **over)
    (only,) = thing["items"]["data"]
    period = {name: only.pop(name) for name in ("current_period_start", "current_period_end")}
    return thing | period


def invoice(customer_id: str, subscription_id: str | None = None, **over: Any) -> Json:
    name = over.pop("id", None) or new_id("in")
    details: Json = {"metadata": {}, "subscription": subscription_id}
    parent = {
        "quote_details": None,
        "subscription_details": details,
        "type": "subscription_details",
    }
    return {
        "id": name,
        "object": "invoice",
        "account_country": "US",
        "account_name": "QuoteKit",
        "amount_due": 1200,
        "amount_overpaid": 0,
        "amount_paid": 1200,
        "amount_remaining": 0,
        "amount_shipping": 0,
        "application": None,
        "attempt_count": 1,
        "attempted": True,
        "auto_advance": False,
        "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
        "billing_reason": "subscription_cycle",
        "collection_method": "charge_automatically",
        "created": EPOCH,
        "currency": "usd",
        "customer": customer_id,
        "customer_email": "owner@example.com",
        "default_payment_method": None,
        "default_source": None,
        "default_tax_rates": [],
        "description": None,
        "discounts": [],
        "due_date": None,
        "hosted_invoice_url": f"https://invoice.stripe.com/i/acct_1Test/{name}",
        "invoice_pdf": f"https://pay.stripe.com/invoice/acct_1Test/{name}/pdf",
        "issuer": {"type": "self"},
        "latest_revision": None,
        "lines": {"object": "list", "data": [], "has_more": False, "url": "/v1/invoices/lines"},
        "livemode": False,
        "metadata": {},
        "number": "0A1B2C3D-0001",
        "on_behalf_of": None,
        "parent": parent if subscription_id else None,
        "payment_settings": {"payment_method_options": None, "payment_method_types": None},
        "period_end": EPOCH,
        "period_start": EPOCH - MONTH,
        "post_payment_credit_notes_amount": 0,
        "pre_payment_credit_notes_amount": 0,
        "starting_balance": 0,
        "status": "paid",
        "status_transitions": {
            "finalized_at": EPOCH,
            "marked_uncollectible_at": None,
            "paid_at": EPOCH,
            "voided_at": None,
        },
        "subtotal": 1200,
        "test_clock": None,
        "total": 1200,
    } | over


def older_invoice(customer_id: str, subscription_id: str, **over: Any) -> Json:
    """The same in an API version before 2025-03-31: subscription and payment on the invoice."""
    thing = invoice(customer_id, subscription_id, **over)
    del thing["parent"]
    return thing | {
        "charge": new_id("ch"),
        "paid": thing["status"] == "paid",
        "payment_intent": new_id("pi"),
        "subscription": subscription_id,
        "subscription_details": {"metadata": {}},
    }


def payment_method(customer_id: str | None, created: int = EPOCH, **over: Any) -> Json:
    return {
        "id": new_id("pm"),
        "object": "payment_method",
        "allow_redisplay": "always",
        "billing_details": {"address": None, "email": None, "name": None, "phone": None},
        "card": {
            "brand": "visa",
            "checks": {"address_line1_check": None, "cvc_check": "pass"},
            "country": "US",
            "display_brand": "visa",
            "exp_month": 4,
            "exp_year": 2031,
            "fingerprint": "Xt5EWLLDS7FJjR1c",
            "funding": "credit",
            "last4": "4242",
            "networks": {"available": ["visa"], "preferred": None},
            "three_d_secure_usage": {"supported": True},
            "wallet": None,
        },
        "created": created,
        "customer": customer_id,
        "livemode": False,
        "metadata": {},
        "type": "card",
    } | over


def setup_intent(customer_id: str, method_id: str) -> Json:
    return {
        "id": new_id("seti"),
        "object": "setup_intent",
        "application": None,
        "cancellation_reason": None,
        "client_secret": None,
        "created": EPOCH,
        "customer": customer_id,
        "description": None,
        "last_setup_error": None,
        "latest_attempt": new_id("setatt"),
        "livemode": False,
        "mandate": None,
        "metadata": {},
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": method_id,
        "payment_method_types": ["card"],
        "single_use_mandate": None,
        "status": "succeeded",
        "usage": "off_session",
    }


def session(customer_id: str, account: UUID | None, **over: Any) -> Json:
    name = over.pop("id", None) or new_id("cs_test")
    return {
        "id": name,
        "object": "checkout.session",
        "amount_subtotal": 1200,
        "amount_total": 1200,
        "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
        "cancel_url": "https://app.test/cancelled",
        "client_reference_id": None if account is None else str(account),
        "created": EPOCH,
        "currency": "usd",
        "custom_fields": [],
        "custom_text": {"after_submit": None, "shipping_address": None, "submit": None},
        "customer": customer_id,
        "customer_details": {"email": "owner@example.com", "name": None, "tax_exempt": "none"},
        "expires_at": EPOCH + 86_400,
        "invoice": None,
        "livemode": False,
        "metadata": {} if account is None else {"account_id": str(account)},
        "mode": "subscription",
        "payment_intent": None,
        "payment_link": None,
        "payment_method_types": ["card"],
        "payment_status": "unpaid",
        "setup_intent": None,
        "shipping_options": [],
        "status": "open",
        "subscription": None,
        "success_url": "https://app.test/paid",
        "ui_mode": "hosted",
        "url": f"https://checkout.stripe.com/c/pay/{name}",
    } | over


def charge(customer_id: str, payment_intent: str, *, refunded: int, amount: int = 1200) -> Json:
    return {
        "id": new_id("ch"),
        "object": "charge",
        "amount": amount,
        "amount_captured": amount,
        "amount_refunded": refunded,
        "application": None,
        "application_fee": None,
        "balance_transaction": new_id("txn"),
        "billing_details": {"address": None, "email": None, "name": None, "phone": None},
        "captured": True,
        "created": EPOCH,
        "currency": "usd",
        "customer": customer_id,
        "description": "Subscription update",
        "disputed": False,
        "failure_balance_transaction": None,
        "failure_code": None,
        "livemode": False,
        "metadata": {},
        "on_behalf_of": None,
        "paid": True,
        "payment_intent": payment_intent,
        "payment_method": new_id("pm"),
        "receipt_url": "https://pay.stripe.com/receipts/test",
        "refunded": refunded == amount,
        "review": None,
        "source": None,
        "source_transfer": None,
        "status": "succeeded",
        "transfer": None,
    }


def dispute(charge_id: str, payment_intent: str, **over: Any) -> Json:
    return {
        "id": new_id("du"),
        "object": "dispute",
        "amount": 1200,
        "balance_transactions": [],
        "charge": charge_id,
        "created": EPOCH,
        "currency": "usd",
        "enhanced_eligibility_types": [],
        "evidence": {"customer_name": None, "enhanced_evidence": {}, "product_description": None},
        "evidence_details": {
            "due_by": EPOCH + 7 * 86_400,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
        },
        "is_charge_refundable": False,
        "livemode": False,
        "metadata": {},
        "payment_intent": payment_intent,
        "payment_method_details": {
            "card": {
                "brand": "visa",
                "case_type": "chargeback",
                "network": "visa",
                "network_reason_code": "10.4",
            },
            "type": "card",
        },
        "reason": "fraudulent",
        "status": "needs_response",
    } | over
