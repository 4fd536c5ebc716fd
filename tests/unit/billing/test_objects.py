"""Stripe's JSON, read; and nothing a stranger could write there becomes another error."""

from collections.abc import Callable
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quotekit.billing import entries, objects
from quotekit.webhooks.model import PermanentError
from tests.vendors import stripe_objects as of
from tests.vendors.stripe_objects import EPOCH, MONTH, Json

CUSTOMER: Final = "cus_1"
PRICE: Final = of.price("prod_1")
READERS: Final[list[tuple[Callable[[Any], Any], Json]]] = [
    (objects.customer, of.customer()),
    (objects.product, of.product()),
    (objects.price, PRICE),
    (objects.subscription, of.subscription(CUSTOMER, PRICE)),
    (objects.payment_method, of.payment_method(CUSTOMER)),
    (entries.invoice, of.invoice(CUSTOMER)),
    (entries.refunds, of.charge(CUSTOMER, "pi_1", refunded=100)),
    (entries.dispute, of.dispute("ch_1", "pi_1")),
    (objects.session, of.session(CUSTOMER, None)),
]


@pytest.mark.parametrize(("read", "thing"), READERS)
def test_what_stripe_writes_is_read(read: Callable[[Any], Any], thing: Json) -> None:
    assert read(thing).id.endswith(thing["id"])


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=4,
)


@given(data=st.data())
def test_any_field_may_be_anything_and_the_only_error_is_permanent(data: st.DataObject) -> None:
    read, thing = data.draw(st.sampled_from(READERS))
    broken = thing | {data.draw(st.sampled_from(sorted(thing))): data.draw(values)}

    try:
        read(broken)
    except PermanentError:
        return


@pytest.mark.parametrize(("read", "thing"), READERS)
@pytest.mark.parametrize("nothing", [None, [], "x", 7, {}])
def test_what_is_no_object_is_permanent(
    read: Callable[[Any], Any], thing: Json, nothing: Any
) -> None:
    with pytest.raises(PermanentError):
        read(nothing)


def test_both_places_of_a_period_are_read() -> None:
    new = objects.subscription(of.subscription(CUSTOMER, PRICE))
    old = objects.subscription(of.older_subscription(CUSTOMER, PRICE))

    assert new.items[0].period_end == old.items[0].period_end == objects.moment(EPOCH + MONTH)


@pytest.mark.parametrize(
    "place",
    [
        {"payment_intent": "pi_1"},
        {"payment_intent": {"id": "pi_1", "object": "payment_intent"}},
        {"payments": {"data": [{"payment": {"type": "payment_intent", "payment_intent": "pi_1"}}]}},
    ],
)
def test_each_place_of_an_invoices_payment_is_read(place: Json) -> None:
    assert entries.invoice(of.invoice(CUSTOMER, **place)).payment_intent == "pi_1"


@pytest.mark.parametrize(
    ("status", "amount", "needs_answer"),
    [
        ("needs_response", -1200, True),
        ("under_review", -1200, False),
        ("lost", -1200, False),
        ("won", 0, False),
        ("warning_needs_response", 0, True),
        ("warning_closed", 0, False),
    ],
)
def test_a_dispute_counts_what_was_taken(status: str, amount: int, *, needs_answer: bool) -> None:
    entry = entries.dispute(of.dispute("ch_1", "pi_1", status=status))

    assert (entry.amount, entry.needs_answer) == (amount, needs_answer)


def test_a_detached_method_keeps_nothing_of_its_card() -> None:
    method = objects.payment_method(of.payment_method(None))

    assert (method.last4, method.brand, method.exp_year, method.type) == (None, None, None, None)


@pytest.mark.parametrize("metadata", [None, [], {}, {"account_id": 7}, {"account_id": "me"}])
def test_metadata_that_names_no_account_names_none(metadata: Any) -> None:
    assert objects.claimed_account({"metadata": metadata}) is None
