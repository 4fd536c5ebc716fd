"""Which of two statements about an object is the later one."""

from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quotekit.billing import objects, versions
from quotekit.billing.model import Version
from quotekit.webhooks.model import PermanentError
from tests.vendors import stripe_objects as of
from tests.vendors.stripe_objects import EPOCH, Json


def version(kind: str, created: int, *, final: bool = False, **over: Any) -> Version:
    return versions.opened(of.event(kind, {}, created, **over)).version(final=final)


def test_a_later_second_is_later_whatever_the_kind() -> None:
    created = version("price.created", EPOCH + 1)

    assert version("price.updated", EPOCH) < created


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("customer.subscription.created", "customer.subscription.updated"),
        ("customer.subscription.updated", "customer.subscription.deleted"),
        ("invoice.finalized", "invoice.payment_failed"),
        ("invoice.payment_failed", "invoice.payment_succeeded"),
        ("payment_method.attached", "payment_method.detached"),
        ("charge.dispute.created", "charge.dispute.funds_withdrawn"),
        ("charge.dispute.funds_withdrawn", "charge.dispute.closed"),
    ],
)
def test_within_a_second_the_kinds_have_their_order(earlier: str, later: str) -> None:
    assert version(earlier, EPOCH) < version(later, EPOCH)


def test_what_is_final_is_later_than_anything() -> None:
    assert version("product.updated", EPOCH + 99) < version("product.deleted", EPOCH)


def test_a_reading_is_older_than_any_event_of_its_second() -> None:
    read = Version(final=False, as_of=objects.moment(EPOCH))

    assert read < version("price.created", EPOCH)
    assert version("price.deleted", EPOCH - 1) > read  # final
    assert version("price.updated", EPOCH - 1) < read


MOMENTS: Final = st.builds(
    Version,
    final=st.booleans(),
    as_of=st.sampled_from([objects.moment(EPOCH), objects.moment(EPOCH + 1)]),
    rank=st.integers(0, 2),
    tie=st.sampled_from(["", "1 a", "1 b"]),
)


@given(MOMENTS, MOMENTS)
def test_two_different_statements_are_never_equal(one: Version, other: Version) -> None:
    assert (one < other) + (one > other) + (one == other) == 1


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"data": None},
        {"data": {"object": "x"}},
        of.event("a.b", {}, EPOCH) | {"created": True},
        of.event("a.b", {}, EPOCH) | {"type": 7},
        of.event("a.b", {}, EPOCH) | {"id": None},
        {"object": "v2.core.event", "id": "evt_1", "type": "v1.x", "related_object": {}},
    ],
)
def test_what_is_no_snapshot_event_is_permanent(payload: Json) -> None:
    with pytest.raises(PermanentError):
        versions.opened(payload)
