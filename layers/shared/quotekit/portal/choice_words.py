"""The words beside what a client may choose on his page; {braces} are filled in."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class ChoiceWords:
    choose_one: str


WORDS: Final[Mapping[str, ChoiceWords]] = MappingProxyType(
    {
        "en": ChoiceWords(choose_one="Please choose one. The total follows."),
        "de": ChoiceWords(
            choose_one="Bitte wählen Sie eines. Der Gesamtbetrag richtet sich danach."
        ),
        "fr": ChoiceWords(choose_one="Veuillez en choisir un. Le total suit."),
        "es": ChoiceWords(choose_one="Elija una opción. El total se ajusta."),
        "pt": ChoiceWords(choose_one="Escolha uma opção. O total acompanha."),
    }
)
