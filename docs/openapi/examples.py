"""A body to send to each operation, by its model; tests/functions/test_examples.py sends them, with
the ids of what exists there."""

from typing import Any, Final

from pydantic import BaseModel

LINE: Final = {"name": "Spring clean-up", "unit": "h", "quantity": "3.5", "unit_cost": "48"}
QUOTE: Final = {
    "client": {"name": "Grace Hopper", "email": "grace@example.com"},
    "currency": "USD",
    "tax_rate": "8.25",
    "markup_rate": "20",
    "line_items": [LINE],
}
NOBODY: Final = "01900000-0000-7000-8000-00000000dead"
CUT, FEED = ({"item_id": NOBODY, "quantity": quantity} for quantity in ("1", "4"))
TIERS: Final = [{"name": "Good", "lines": [CUT]}, {"name": "Better", "lines": [CUT, FEED]}]
RULE: Final = {"source": "stripe", "queue": "critical", "handler": "stripe", "note": "money"}
BODIES: Final[dict[str, Any]] = {
    "AccountChange": {"name": "Green Gardens", "version": 1},
    "Agreement": {"revision": 1, "total": "218.23", "name": "Grace Hopper"},
    "AssessmentChange": {"lawn_condition": "patchy", "weed_percent": "15", "version": 1},
    "AssessmentCreate": {"property_id": NOBODY, "area_sqft": "5000", "complexity": 4},
    "BatchCreate": {"operation": "delete_clients", "items": [NOBODY], "options": {"dry_run": True}},
    "BreakerDecision": {"phase": "open", "minutes": 30, "reason": "Stripe said so"},
    "Cancellation": {"when": "period_end"},
    "CategoryChange": {"colour": "#22c55e", "version": 1},
    "CategoryCreate": {"name": "Garden", "colour": "#16a34a"},
    "CheckoutRequest": {
        "price": "monthly",
        "success_url": "https://app.test/thanks",
        "cancel_url": "https://app.test/plans",
    },
    "ClientChange": {"phone": "+1 555 0100", "version": 1},
    "ClientCreate": {"name": "Ada Lovelace", "email": "ada@example.com"},
    "CompanyChange": {"company_name": "Green Gardens", "currency": "USD", "version": 0},
    "ConnectRequest": {
        "return_url": "https://app.test/payments",
        "refresh_url": "https://app.test/payments/again",
    },
    "Copying": {"name": "Weekly mowing", "unit_cost": "52"},
    "Decision": {"note": "Said so on the phone."},
    "DepositRequest": {"return_url": "https://app.test/thanks"},
    "Draft": {"revision": 1, "name": "Grace Hopper"},
    "DuplicateRequest": {"template_name": "Spring"},
    "EndpointChange": {"enabled": False},
    "EndpointCreate": {"name": "CRM"},
    "ErasureRequest": {"confirm": "Green Gardens"},
    "InvitationAccept": {"token": "the-mail-of-the-invitation-has-the-real-one"},
    "InvitationCreate": {"email": "ada@example.com", "role": "member"},
    "InvoiceCreate": {"due_days": 14},
    "ItemChange": {"unit_cost": "52", "version": 1},
    "ItemCreate": {"name": "Mowing", "unit": "h", "unit_cost": "48", "tags": ["lawn"]},
    "LogoOffer": {"content_type": "image/png"},
    "LogoUpload": {"key": f"accounts/{NOBODY}/logo-{NOBODY}"},
    "PackageChange": {"name": "Lawn, all year", "version": 1},
    "PackageCreate": {"name": "Lawn", "preselected": 2, "tiers": TIERS},
    "PackageUse": {"package_id": NOBODY, "group": "Your lawn"},
    "PaymentCreate": {"amount": "100.00", "method": "bank_transfer", "note": "March"},
    "PlanChange": {"price": "yearly"},
    "PortalRequest": {"return_url": "https://app.test/billing"},
    "PreferencesChange": {"tour_speed": "slow", "version": 0},
    "PropertyChange": {"gate_code": "0815", "version": 1},
    "PropertyCreate": {"client_id": NOBODY, "service_address": "1 Elm Street"},
    "Question": {"question": "Could you come in April?"},
    "QuoteChange": {"notes": "The gate is open from eight.", "version": 1},
    "QuoteCreate": QUOTE | {"line_items": [LINE | {"quantity_min": "2", "quantity_max": "8"}]},
    "ReconcileRequest": {"dry_run": True},
    "RedriveStart": {"source": "github", "reason": "the door was mended", "dry_run": True},
    "Refusal": {"reason": "We do it ourselves this year."},
    "Resolution": {"resolution": "Settled by hand."},
    "Retry": {"skipped": False},
    "RoleChange": {"role": "viewer", "version": 1},
    "RuleChange": {"label": "By area", "amount": "0.02", "version": 1},
    "RuleCreate": {
        "factor": "complexity",
        "kind": "percentage",
        "range_from": "8",
        "range_to": "10",
        "amount": "15",
        "label": "Hard to do",
    },
    "Rules": {"rules": [RULE]},
    "SecretRotate": {"overlap_seconds": 86400},
    "SendRequest": {"channel": "email", "message": "Thank you for asking us."},
    "SharedCategoryChange": {"description": "Still waters.", "version": 1},
    "SharedCategoryCreate": {"name": "Ponds", "colour": "#0ea5e9", "tier": "free"},
    "SharedItemChange": {"suggested_cost": "95", "version": 1},
    "SharedItemCreate": {
        "category_id": NOBODY,
        "name": "Algae removal",
        "unit": "visit",
        "suggested_cost": "80",
        "tier": "free",
    },
    "StepReport": {"event": "completed", "device": "mobile"},
    "TemplateChange": {"subject": "A word on {quote_number}", "version": 1},
    "TemplateCreate": {
        "kind": "reminder",
        "language": "en",
        "subject": "Your quote {quote_number}",
        "body": "Dear {client_name}, it stands until {valid_until}: {link}",
    },
    "Transfer": {"user_id": NOBODY},
    "UploadOffer": {"format": "ndjson", "bytes": 1024},
    "Where": {"session_id": "tab-1", "device": "mobile"},
}


def of(model: type[BaseModel]) -> dict[str, Any]:
    """The example of a body as OpenAPI says it; nothing where none is known."""
    found = BODIES.get(model.__name__)
    return {} if found is None else {"example": found}
