"""What a product's metadata says of its plan: strings in Stripe, features here.

A missing key means the plan's default; a malformed value is no value, and a warning says so."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

UNLIMITED: Final = "-1"
LARGEST: Final = 2_147_483_647
LONGEST_VALUE: Final = 100
PLAN: Final = "plan"
YES: Final = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
FLAGS: Final = (
    "advanced_reporting",
    "email_templates",
    "priority_support",
    "api_access",
    "premium_catalogue",
    "team_collaboration",
)


@dataclass(slots=True)
class Entitlements:
    """`features` by the names of the plans' columns; null is unlimited and was written as -1."""

    plan: str | None = None
    features: dict[str, Any] = field(default_factory=dict)
    warnings: list[dict[str, str]] = field(default_factory=list)

    def warn(self, key: str, value: str, reason: str) -> None:
        self.warnings.append({"key": key, "value": value[:LONGEST_VALUE], "reason": reason})


def limit(value: str) -> int | None:
    if value == UNLIMITED:
        return None
    if not (value.isascii() and value.isdecimal()) or not 0 < int(value[:11]) <= LARGEST:
        raise ValueError("must be a positive whole number, or -1 for unlimited")
    return int(value)


def switch(value: str) -> bool:
    if value.lower() not in YES:
        raise ValueError("must be true or false")
    return YES[value.lower()]


def unless(value: str) -> bool:
    return not switch(value)


# Later names of one feature win over earlier ones, which are aliases.
KEYS: Final[Mapping[str, tuple[str, Callable[[str], Any]]]] = {
    "max_quotes": ("quotes_per_month", limit),
    "max_clients": ("clients", limit),
    "custom_branding": ("watermark", unless),
    "bulk_operations": ("bulk_operations", switch),
    "analytics": ("analytics", switch),
    "analytics_access": ("analytics", switch),
    "trialing_keeps_access": ("trialing_keeps_access", switch),
    "past_due_keeps_access": ("past_due_keeps_access", switch),
    **{name: (name, switch) for name in FLAGS},
}


def read(metadata: Mapping[str, str]) -> Entitlements:
    """The plan and the features of a product's metadata; unknown keys are others' business."""
    found = Entitlements(plan=metadata.get(PLAN, "").strip() or None)
    for key, (feature, parse) in KEYS.items():
        if key not in metadata:
            continue
        try:
            found.features[feature] = parse(metadata[key].strip())
        except ValueError as error:
            found.warn(key, metadata[key], str(error))
    flags = {name: found.features.pop(name) for name in FLAGS if name in found.features}
    if flags:
        found.features["flags"] = flags
    return found
