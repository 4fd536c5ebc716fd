"""The words beside what a client may choose on his page; {braces} are filled in."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class ChoiceWords:
    choose_one: str
    quantity: str
    unfit: str


WORDS: Final[Mapping[str, ChoiceWords]] = MappingProxyType(
    {
        "en": ChoiceWords(
            choose_one="Please choose one. The total follows.",
            quantity="Quantity ({least} to {most})",
            unfit=(
                "{name}: please enter a quantity from {least} to {most}, in steps of {step}. "
                "Nothing was accepted yet."
            ),
        ),
        "de": ChoiceWords(
            choose_one="Bitte wählen Sie eines. Der Gesamtbetrag richtet sich danach.",
            quantity="Menge ({least} bis {most})",
            unfit=(
                "{name}: Bitte geben Sie eine Menge von {least} bis {most} in Schritten von {step} "
                "ein. Es wurde noch nichts angenommen."
            ),
        ),
        "fr": ChoiceWords(
            choose_one="Veuillez en choisir un. Le total suit.",
            quantity="Quantité ({least} à {most})",
            unfit=(
                "{name}\xa0: veuillez saisir une quantité de {least} à {most}, par pas de {step}. "
                "Rien n\u2019a encore été accepté."
            ),
        ),
        "es": ChoiceWords(
            choose_one="Elija una opción. El total se ajusta.",
            quantity="Cantidad (de {least} a {most})",
            unfit=(
                "{name}: indique una cantidad de {least} a {most}, en pasos de {step}. Todavía no "
                "se ha aceptado nada."
            ),
        ),
        "pt": ChoiceWords(
            choose_one="Escolha uma opção. O total acompanha.",
            quantity="Quantidade ({least} a {most})",
            unfit=(
                "{name}: informe uma quantidade de {least} a {most}, em passos de {step}. Nada foi "
                "aceito ainda."
            ),
        ),
    }
)
