"""What the senders were told and what has to be there for it, counted without the product's help.

Both sides are brought to the same form, `Books`: the ledger's from the letters that were accepted,
the system's from its tables (`findings.py`). What differs is lost, doubled, invented or wrong.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal, NamedTuple

from tests.soak.letters import Letter, Subject

type Name = tuple[str, str | None, str]
type Effect = tuple[str, ...]

FINAL: Final = frozenset({"applied", "stale", "ignored"})


@dataclass
class Books:
    """`statuses` holds what each event came to, once for each row of it; `states` where each object
    is and since when."""

    statuses: dict[Name, list[str]] = field(default_factory=dict)
    effects: Counter[Effect] = field(default_factory=Counter)
    states: dict[Subject, tuple[str, int]] = field(default_factory=dict)


type Verdict = Literal["lost", "doubled", "invented", "wrong", "stuck"]


class Difference(NamedTuple):
    what: Verdict
    about: str


class Ledger:
    """`accept` is told of each 200 a sender saw, however often for one letter."""

    def __init__(self) -> None:
        self._letters: dict[Name, Letter] = {}
        self.accepted: Counter[Name] = Counter()

    def accept(self, letter: Letter) -> None:
        self.accepted[letter.name] += 1
        if letter.name not in self._letters:  # the body is not needed any more
            self._letters[letter.name] = replace(letter, body=b"")

    @property
    def names(self) -> set[Name]:
        return set(self._letters)

    def expected(self) -> Books:
        """What there is when every accepted letter counts once, in the order of happening."""
        books = Books()
        latest: dict[Subject, Letter] = {}
        for letter in self._letters.values():
            books.effects.update(letter.effects)
            known = latest.get(letter.subject)
            if letter.subject and (known is None or letter.at > known.at):
                latest[letter.subject] = letter
        shared = {e for letter in self._letters.values() if letter.shared for e in letter.effects}
        books.effects.update({effect: 1 - books.effects[effect] for effect in shared})
        books.states = {subject: (last.state, last.at) for subject, last in latest.items()}
        last_names = {last.name for last in latest.values()}
        for letter in self._letters.values():
            books.statuses[letter.name] = _outcomes(letter, is_last=letter.name in last_names)
        return books


def _outcomes(letter: Letter, *, is_last: bool) -> list[str]:
    """What may have become of it: what an object is at now can't have come too late."""
    if letter.state == "ignored":
        return ["ignored"]
    return ["applied"] if is_last or not letter.subject else ["applied", "stale"]


def differences(expected: Books, found: Books) -> list[Difference]:
    return [
        *_events(expected.statuses, found.statuses),
        *_effects(expected.effects, found.effects),
        *_states(expected.states, found.states),
    ]


def _events(
    expected: Mapping[Name, list[str]], found: Mapping[Name, list[str]]
) -> Iterable[Difference]:
    for name, allowed in expected.items():
        rows = found.get(name, [])
        if not rows:
            yield Difference("lost", f"event {name} is not there")
        elif len(rows) > 1:
            yield Difference("doubled", f"event {name} is there {len(rows)} times")
        elif rows[0] not in FINAL:
            yield Difference("stuck", f"event {name} is {rows[0]}")
        elif rows[0] not in allowed:
            yield Difference("wrong", f"event {name} is {rows[0]}, not {' or '.join(allowed)}")
    for name in found.keys() - expected.keys():
        yield Difference("invented", f"event {name} was never accepted")


def _effects(expected: Counter[Effect], found: Counter[Effect]) -> Iterable[Difference]:
    for effect in expected.keys() | found.keys():
        wanted, counted = expected[effect], found[effect]
        if counted == wanted:
            continue
        what: Verdict = "invented" if not wanted else "lost" if counted < wanted else "doubled"
        yield Difference(what, f"effect {effect} counts {counted}, not {wanted}")


def _states(
    expected: Mapping[Subject, tuple[str, int]], found: Mapping[Subject, tuple[str, int]]
) -> Iterable[Difference]:
    for subject in expected.keys() | found.keys():
        wanted, known = expected.get(subject), found.get(subject)
        if known != wanted:
            yield Difference("wrong", f"{subject} is {known}, not {wanted}")
