"""The words of a client's page about the deposit; {braces} are filled in."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class PaymentWords:
    pay: str
    paid: str
    waiting: str
    failed_title: str
    failed: str
    again: str


WORDS: Final[Mapping[str, PaymentWords]] = MappingProxyType(
    {
        "en": PaymentWords(
            pay="Pay the deposit of {amount}",
            paid="A deposit of {amount} was paid on {date}.",
            waiting=(
                "We are waiting for your bank\u2019s word on the deposit. As soon as it has come, "
                "this page says so."
            ),
            failed_title="The deposit cannot be paid just now",
            failed="The payment service does not answer. Nothing was charged.",
            again="Try again",
        ),
        "de": PaymentWords(
            pay="Anzahlung von {amount} leisten",
            paid="Eine Anzahlung von {amount} wurde am {date} geleistet.",
            waiting=(
                "Wir warten auf die Bestätigung Ihrer Bank zur Anzahlung. Sobald sie da ist, steht "
                "es auf dieser Seite."
            ),
            failed_title="Die Anzahlung ist im Moment nicht möglich",
            failed="Der Zahlungsdienst antwortet nicht. Es wurde nichts abgebucht.",
            again="Erneut versuchen",
        ),
        "fr": PaymentWords(
            pay="Payer l\u2019acompte de {amount}",
            paid="Un acompte de {amount} a été payé le {date}.",
            waiting=(
                "Nous attendons la confirmation de votre banque pour l\u2019acompte. Dès "
                "qu\u2019elle arrive, cette page l\u2019indique."
            ),
            failed_title="L\u2019acompte ne peut pas être payé pour le moment",
            failed="Le service de paiement ne répond pas. Rien n\u2019a été débité.",
            again="Réessayer",
        ),
        "es": PaymentWords(
            pay="Pagar el anticipo de {amount}",
            paid="Se pagó un anticipo de {amount} el {date}.",
            waiting=(
                "Esperamos la confirmación de su banco sobre el anticipo. En cuanto llegue, esta "
                "página lo dirá."
            ),
            failed_title="El anticipo no se puede pagar en este momento",
            failed="El servicio de pago no responde. No se ha cobrado nada.",
            again="Intentar de nuevo",
        ),
        "pt": PaymentWords(
            pay="Pagar o sinal de {amount}",
            paid="Um sinal de {amount} foi pago em {date}.",
            waiting=(
                "Aguardamos a confirmação do seu banco sobre o sinal. Assim que chegar, esta "
                "página dirá."
            ),
            failed_title="O sinal não pode ser pago no momento",
            failed="O serviço de pagamento não responde. Nada foi cobrado.",
            again="Tentar de novo",
        ),
    }
)
