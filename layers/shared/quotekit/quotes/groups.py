"""Groups of lines of which the client chooses one: good, better or best, never two of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from quotekit.errors import invalid


class Chooseable(Protocol):
    """A line, whether drafted, priced or printed."""

    @property
    def group(self) -> str | None: ...

    @property
    def choice(self) -> str | None: ...

    @property
    def selected(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Choice[L: Chooseable]:
    """One alternative of a group with its lines, in the quote's order."""

    name: str
    lines: tuple[L, ...]

    @property
    def selected(self) -> bool:
        return all(line.selected for line in self.lines)


def grouped[L: Chooseable](lines: Sequence[L]) -> Mapping[str, Sequence[Choice[L]]]:
    """The groups by name and their choices, each in the order of its first line."""
    found: dict[str, dict[str, list[L]]] = {}
    for line in lines:
        if line.group is not None and line.choice is not None:
            found.setdefault(line.group, {}).setdefault(line.choice, []).append(line)
    return {
        name: [Choice(choice, tuple(members)) for choice, members in choices.items()]
        for name, choices in found.items()
    }


def check(lines: Sequence[Chooseable]) -> None:
    """Raise InvalidInputError unless exactly one choice of each group is selected, whole."""
    for name, choices in grouped(lines).items():
        if len(choices) == 1:
            raise invalid("line_items", f"the group {name} has one choice only")
        if sum(choice.selected for choice in choices) != 1:
            raise invalid("line_items", f"of the group {name} exactly one choice is selected")
        if any(line.selected for choice in choices if not choice.selected for line in choice.lines):
            raise invalid("line_items", f"a choice of the group {name} is selected in part")
