"""What is taken of a sender's words, and what is not."""

import pytest

from quotekit.webhooks import extraction, model
from quotekit.webhooks.extraction import facts, group, moment, text


@pytest.mark.parametrize(
    ("value", "taken"),
    [
        *(
            ("evt_1", "evt_1"),
            (7, "7"),
            (0, "0"),
            ("é", "é"),
            ("a b", "a b"),
            ("x" * 255, "x" * 255),
        ),
        *((None, None), ("", None), (True, None), (1.5, None), ([], None), ({}, None)),
        *(("a\x00b", None), ("a\nb", None), ("\ud800", None), ("x" * 256, None), (10**300, None)),
    ],
)
def test_a_name_is_short_text_or_a_number(value, taken):
    assert text(value) == taken


@pytest.mark.parametrize(
    ("value", "taken"),
    [
        (1700000000, "2023-11-14T22:13:20+00:00"),
        (1700000000.5, "2023-11-14T22:13:20.500000+00:00"),
        (1700000000500, "2023-11-14T22:13:20.500000+00:00"),
        ("2026-11-22T10:00:00Z", "2026-11-22T10:00:00+00:00"),
        ("2026-11-22T12:00:00+02:00", "2026-11-22T12:00:00+02:00"),
        ("2026-11-22T10:00:00", "2026-11-22T10:00:00+00:00"),
        *((None, None), ("soon", None), (True, None), (10**30, None), (-(10**30), None)),
        *((float("inf"), None), ("", None), ([], None)),
    ],
)
def test_a_time_is_a_number_since_1970_or_iso_8601(value, taken):
    assert moment(value) == taken


@pytest.mark.parametrize("name", ["", "a b", "é", "x" * 200, "\ud800", "a\nb"])
def test_a_group_is_what_sqs_takes_whatever_the_name(name):
    found = group("stripe", name)

    assert len(found) <= 128
    assert found.isascii()
    assert " " not in found
    assert found.isprintable()


def test_the_fallback_for_an_id_is_the_workers():
    body = b'{"event": "x"}'

    found = facts("shippo", {}, body, {"event": "x"})

    assert found.event_id == model.body_id(body.decode()) == extraction.body_id(body)


def test_a_thin_event_of_stripe_names_its_related_object():
    payload = {
        "id": "evt_2",
        "object": "v2.core.event",
        "type": "v1.billing.meter.error_report_triggered",
        "created": "2026-11-22T10:00:00.000Z",
        "related_object": {"id": "mtr_1", "type": "billing.meter"},
    }

    found = facts("stripe", {}, b"", payload)

    assert (found.object_id, found.created_at) == ("mtr_1", "2026-11-22T10:00:00+00:00")


def test_an_expanded_customer_is_the_same_customer():
    whole = {"data": {"object": {"id": "sub_1", "customer": {"id": "cus_1"}}}}
    named = {"data": {"object": {"id": "sub_1", "customer": "cus_1"}}}

    groups = {facts("stripe", {}, b"", payload).group for payload in (whole, named)}

    assert groups == {"stripe:cus_1"}


@pytest.mark.parametrize(
    ("kind", "payload", "object_id", "created_at"),
    [
        (
            "push",
            {"repository": {"full_name": "o/r"}, "head_commit": {"timestamp": "2026-01-01T00:00Z"}},
            *("o/r", "2026-01-01T00:00:00+00:00"),
        ),
        ("installation", {"installation": {"id": 5, "updated_at": "2026-01-01T00:00Z"}},
         "5", "2026-01-01T00:00:00+00:00"),
        ("ping", {"zen": "…"}, None, None),
        ("issues", {"repository": {"full_name": "o/r"}, "issue": {"number": 3}}, "o/r#3", None),
    ],
)  # fmt: skip
def test_an_event_of_github_is_about_a_number_a_repository_or_an_installation(
    kind, payload, object_id, created_at
):
    found = facts("github", {"x-github-event": kind}, b"", payload)

    assert (found.type, found.object_id, found.created_at) == (kind, object_id, created_at)
