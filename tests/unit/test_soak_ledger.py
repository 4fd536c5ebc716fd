"""The ledger of the crash harness sees what is lost, doubled, invented, wrong or stuck."""

from collections.abc import Callable
from itertools import pairwise
from random import Random

import pytest

from tests.soak import events, findings
from tests.soak.ledger import Books, Difference, Ledger, differences
from tests.soak.letters import Letter, Place

RUN = "unit"


def letters(kind: str, length: int) -> list[Letter]:
    """The history of one object."""
    return [events.write(RUN, Place(kind, 7, version, length)) for version in range(length)]


def ledger_of(told: list[Letter]) -> Ledger:
    ledger = Ledger()
    for letter in told:
        ledger.accept(letter)
    return ledger


def right(told: list[Letter]) -> Books:
    """What a system that makes no mistake has: of several statuses the first that may be."""
    books = ledger_of(told).expected()
    books.statuses = {name: allowed[:1] for name, allowed in books.statuses.items()}
    return books


def kinds(found: list[Difference]) -> list[str]:
    return [difference.what for difference in found]


HISTORY = [*letters("pull_request", 6), *letters("subscription", 4), *letters("parcel", 3)]
HISTORY += [*letters("order", 5), *letters("tenant_event", 1), *letters("star", 1)]


@pytest.mark.parametrize("seed", range(5))
def test_any_order_with_duplicates_is_what_in_order_replay_is(seed: int) -> None:
    chance = Random(seed)
    told = HISTORY + chance.choices(HISTORY, k=len(HISTORY))
    chance.shuffle(told)

    found = differences(ledger_of(told).expected(), right(HISTORY))

    assert found == []


def lose_an_event(books: Books) -> None:
    books.statuses.popitem()


def double_an_event(books: Books) -> None:
    books.statuses[next(iter(books.statuses))] *= 2


def invent_an_event(books: Books) -> None:
    books.statuses["github", None, "nobody's"] = ["applied"]


def leave_an_event(books: Books) -> None:
    books.statuses[next(iter(books.statuses))] = ["failed"]


def call_the_latest_stale(books: Books) -> None:
    books.statuses[HISTORY[5].name] = ["stale"]


def lose_an_effect(books: Books) -> None:
    del books.effects[HISTORY[1].effects[0]]


def double_an_effect(books: Books) -> None:
    books.effects[HISTORY[0].effects[0]] += 1


def double_a_collapsed_effect(books: Books) -> None:
    books.effects[HISTORY[2].effects[0]] += 1


def double_a_shared_effect(books: Books) -> None:
    (books.effects[next(effect for effect in books.effects if effect[0] == "scan")]) += 1


def invent_an_effect(books: Books) -> None:
    books.effects["shop", "nobody's"] += 1


def move_a_state_back(books: Books) -> None:
    subject = HISTORY[0].subject
    books.states[subject] = (HISTORY[4].state, HISTORY[4].at)


def forget_an_object(books: Books) -> None:
    books.states.popitem()


@pytest.mark.parametrize(
    ("break_it", "verdict"),
    [
        (lose_an_event, "lost"),
        (double_an_event, "doubled"),
        (invent_an_event, "invented"),
        (leave_an_event, "stuck"),
        (call_the_latest_stale, "wrong"),
        (lose_an_effect, "lost"),
        (double_an_effect, "doubled"),
        (double_a_collapsed_effect, "doubled"),
        (double_a_shared_effect, "doubled"),
        (invent_an_effect, "invented"),
        (move_a_state_back, "wrong"),
        (forget_an_object, "wrong"),
    ],
)
def test_one_mistake_is_found_and_named(break_it: Callable[[Books], None], verdict: str) -> None:
    books = right(HISTORY)
    break_it(books)

    found = differences(ledger_of(HISTORY).expected(), books)

    assert kinds(found) == [verdict]


STEPS = [(None, None), ("free", "trialing"), ("premium", "trialing"), ("premium", "active")]
CHANGES = [("a", *old, *new) for old, new in pairwise(STEPS)]


def test_audited_changes_in_any_order_lead_to_the_standing() -> None:
    assert list(findings.unbalanced(CHANGES[::-1], {"a": STEPS[-1]})) == []  # type: ignore[dict-item]


@pytest.mark.parametrize(
    "changes", [CHANGES[1:], CHANGES[:1] + CHANGES[2:], [*CHANGES, CHANGES[1]], []]
)
def test_an_audited_change_too_many_or_too_few_is_found(
    changes: list[tuple[str | None, ...]],
) -> None:
    found = list(findings.unbalanced(changes, {"a": ("premium", "active")}))

    assert kinds(found) == ["wrong"]


def test_every_letter_is_sent_and_half_of_all_deliveries_are_duplicates() -> None:
    places = events.histories(Random(1), 500)
    sent = events.deliveries(Random(1), places, 1000)

    written = [events.write(RUN, place) for place in places]

    assert len(places) == len({letter.name for letter in written}) == 500
    assert (len(sent), set(sent)) == (1000, set(places))
    assert {letter.source for letter in written} == {
        *("github", "stripe", "tiktok-shop", "easypost", "shippo", "standard"),
    }
    assert sent == events.deliveries(Random(1), events.histories(Random(1), 500), 1000)
