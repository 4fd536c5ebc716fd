"""What a product's metadata may say, and what it cannot."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quotekit.billing import entitlements


def test_a_key_that_is_missing_says_nothing() -> None:
    said = entitlements.read({})

    assert (said.plan, said.features, said.warnings) == (None, {}, [])


@pytest.mark.parametrize(("text", "limit"), [("5", 5), (" 12 ", 12), ("-1", None)])
def test_a_limit_is_a_positive_number_or_unlimited_on_purpose(text: str, limit: int | None) -> None:
    assert entitlements.read({"max_quotes": text}).features == {"quotes_per_month": limit}


@pytest.mark.parametrize(
    "text", ["", "0", "-2", "1.5", "unlimited", "null", "1e3", "٣", "2147483648", "9" * 5000]
)
def test_what_is_no_limit_is_ignored_with_a_warning(text: str) -> None:
    said = entitlements.read({"max_quotes": text})

    assert said.features == {}
    assert [warning["key"] for warning in said.warnings] == ["max_quotes"]
    assert len(said.warnings[0]["value"]) <= 100


def test_own_branding_is_no_watermark() -> None:
    assert entitlements.read({"custom_branding": "TRUE"}).features == {"watermark": False}


def test_the_longer_of_two_names_wins() -> None:
    said = entitlements.read({"analytics_access": "true", "analytics": "false"})

    assert said.features == {"analytics": True}


def test_declared_flags_are_kept_together_and_others_are_others_business() -> None:
    said = entitlements.read({"api_access": "yes", "colour": "blue", "plan": "premium"})

    assert (said.plan, said.features) == ("premium", {"flags": {"api_access": True}})
    assert said.warnings == []


metadata = st.dictionaries(
    st.sampled_from([*entitlements.KEYS, "plan", "other"]),
    st.one_of(st.text(max_size=30), st.sampled_from(["true", "false", "-1", "7"])),
)


@given(metadata)
def test_nothing_becomes_unlimited_that_was_not_written_so(said: dict[str, str]) -> None:
    found = entitlements.read(said)

    for key, feature in (("max_quotes", "quotes_per_month"), ("max_clients", "clients")):
        if feature in found.features and found.features[feature] is None:
            assert said[key].strip() == "-1"
    warned = {warning["key"] for warning in found.warnings}
    known = [key for key in said if key in entitlements.KEYS]
    assert warned <= set(known)
