"""The words of the mails about a client's answer; {braces} are filled in."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class NoticeWords:
    the_client: str
    accepted_subject: str
    accepted: str
    declined_subject: str
    declined: str
    asked_subject: str
    asked: str
    confirmed_subject: str
    confirmed: str


WORDS: Final[Mapping[str, NoticeWords]] = MappingProxyType(
    {
        "en": NoticeWords(
            the_client="The client",
            accepted_subject="Quote {number} accepted by {client}",
            accepted="{client} accepted the quote {number} of {total} on its page.",
            declined_subject="Quote {number} declined by {client}",
            declined="{client} declined the quote {number} of {total} on its page.",
            asked_subject="Question about quote {number} from {client}",
            asked=(
                "{client} asks about the quote {number}. Your answer to this email goes to the "
                "client."
            ),
            confirmed_subject="You accepted quote {number} from {company}",
            confirmed="You accepted the quote {number} of {company} over {total}. Thank you.",
        ),
        "de": NoticeWords(
            the_client="Der Kunde",
            accepted_subject="Angebot {number} angenommen von {client}",
            accepted=(
                "{client} hat das Angebot {number} über {total} auf der Angebotsseite angenommen."
            ),
            declined_subject="Angebot {number} abgelehnt von {client}",
            declined=(
                "{client} hat das Angebot {number} über {total} auf der Angebotsseite abgelehnt."
            ),
            asked_subject="Frage zum Angebot {number} von {client}",
            asked=(
                "{client} hat eine Frage zum Angebot {number}. Ihre Antwort auf diese E-Mail "
                "geht an den Kunden."
            ),
            confirmed_subject="Sie haben das Angebot {number} von {company} angenommen",
            confirmed=(
                "Sie haben das Angebot {number} von {company} über {total} angenommen. Vielen Dank."
            ),
        ),
        "fr": NoticeWords(
            the_client="Le client",
            accepted_subject="Devis {number} accepté par {client}",
            accepted="{client} a accepté le devis {number} de {total} sur sa page.",
            declined_subject="Devis {number} refusé par {client}",
            declined="{client} a refusé le devis {number} de {total} sur sa page.",
            asked_subject="Question de {client} sur le devis {number}",
            asked=(
                "{client} pose une question sur le devis {number}. Votre réponse à cet e-mail "
                "ira au client."
            ),
            confirmed_subject="Vous avez accepté le devis {number} de {company}",
            confirmed="Vous avez accepté le devis {number} de {company} pour {total}. Merci.",
        ),
        "es": NoticeWords(
            the_client="El cliente",
            accepted_subject="Presupuesto {number} aceptado por {client}",
            accepted="{client} aceptó el presupuesto {number} de {total} en su página.",
            declined_subject="Presupuesto {number} rechazado por {client}",
            declined="{client} rechazó el presupuesto {number} de {total} en su página.",
            asked_subject="Pregunta de {client} sobre el presupuesto {number}",
            asked=(
                "{client} pregunta por el presupuesto {number}. Su respuesta a este correo "
                "llega al cliente."
            ),
            confirmed_subject="Ha aceptado el presupuesto {number} de {company}",
            confirmed="Ha aceptado el presupuesto {number} de {company} por {total}. Gracias.",
        ),
        "pt": NoticeWords(
            the_client="O cliente",
            accepted_subject="Orçamento {number} aceito por {client}",
            accepted="{client} aceitou o orçamento {number} de {total} na página dele.",
            declined_subject="Orçamento {number} recusado por {client}",
            declined="{client} recusou o orçamento {number} de {total} na página dele.",
            asked_subject="Pergunta de {client} sobre o orçamento {number}",
            asked=(
                "{client} pergunta sobre o orçamento {number}. Sua resposta a este e-mail vai "
                "para o cliente."
            ),
            confirmed_subject="Você aceitou o orçamento {number} de {company}",
            confirmed=(
                "Você aceitou o orçamento {number} de {company} no valor de {total}. Obrigado."
            ),
        ),
    }
)
