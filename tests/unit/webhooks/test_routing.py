"""Which rule decides, and what a published document must be."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quotekit.webhooks import routing
from quotekit.webhooks.routing import DEFAULTS, RoutingError, Rule, arranged, document, parse


def decided(kind: str, action: str | None = None, size: int = 100, *rules: Rule) -> str:
    return arranged(1, rules).rule("s", kind, action, size).handler


def rule(handler: str, kind: str = "*", action: str = "*", band: str = "*") -> Rule:
    return Rule("s", kind, action, band, "standard", handler)


@pytest.mark.parametrize(
    ("kind", "action", "size", "handler"),
    [
        ("invoice.paid", None, 10, "exact"),
        ("invoice.voided", None, 10, "longer"),
        ("in.x", None, 10, "shorter"),
        ("other", None, 10, "any"),
        ("other", "opened", 10, "opened"),
        ("other", "reopened", 10, "any"),
        ("other", None, 65_536, "any"),
        ("other", None, 65_537, "heavy"),
        ("invoice.paid", "opened", 99_999, "exact"),
    ],
)
def test_the_most_exact_rule_decides_by_type_then_action_then_size(kind, action, size, handler):
    rules = [
        *(rule("any"), rule("heavy", band="heavy"), rule("opened", action="opened")),
        *(rule("shorter", "in*"), rule("longer", "invoice.*"), rule("exact", "invoice.paid")),
    ]

    for order in (rules, rules[::-1]):
        assert decided(kind, action, size, *order) == handler


def test_an_event_without_a_rule_goes_to_the_standard_queue_and_its_source():
    found = arranged(1, []).rule("easypost", "tracker.updated", None, 10)

    assert (found.queue, found.handler, found.debounce_seconds) == ("standard", "easypost", None)


def test_the_light_line_is_a_setting(monkeypatch):
    monkeypatch.setenv("WEBHOOK_LIGHT_LINE", "1024")

    assert decided("x", None, 1025, rule("any"), rule("heavy", band="heavy")) == "heavy"


def test_what_is_published_is_what_is_read():
    content = json.dumps(document(3, DEFAULTS)).encode()

    assert parse(content) == arranged(3, DEFAULTS)


GOOD = document(1, [rule("stripe")])
FIRST = GOOD["rules"][0]


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"null", b"[]", b"{}", b"\xff", b"[" * 100_000, b'{"version": 1, "rules": 3}'),
        *(b'{"version": 1, "rules": [3]}', b'{"version": 1, "rules": [{}]}'),
        json.dumps(GOOD | {"version": 0}).encode(),
        json.dumps(GOOD | {"version": "1"}).encode(),
        json.dumps(GOOD | {"rules": [FIRST | {"queue": "fast"}]}).encode(),
        json.dumps(GOOD | {"rules": [FIRST | {"size_band": "huge"}]}).encode(),
        json.dumps(GOOD | {"rules": [FIRST | {"size_band": []}]}).encode(),
        json.dumps(GOOD | {"rules": [FIRST | {"queue": []}]}).encode(),
        json.dumps(GOOD | {"rules": [FIRST | {"type": 1}]}).encode(),
        json.dumps(GOOD | {"rules": [FIRST | {"type": "*.paid"}]}).encode(),
        json.dumps(GOOD | {"rules": [FIRST | {"handler": ""}]}).encode(),
        json.dumps(GOOD | {"rules": [FIRST | {"debounce_seconds": 0}]}).encode(),
        json.dumps(GOOD | {"rules": [FIRST | {"unknown": 1}]}).encode(),
    ],
)
def test_a_document_with_anything_wrong_is_refused_whole(content):
    with pytest.raises(RoutingError):
        parse(content)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(
    changes=st.dictionaries(st.sampled_from(Rule._fields), json_values, min_size=1),
    version=json_values,
)
def test_a_document_is_read_or_refused_but_breaks_nothing(changes, version):
    content = json.dumps({"version": version, "rules": [FIRST | changes]}).encode()

    try:
        found = parse(content)
    except RoutingError:
        return

    routed = [found.rule(str(changes.get("source", "s")), "x", None, 1)]
    assert all(one.queue in routing.QUEUES for one in routed)
