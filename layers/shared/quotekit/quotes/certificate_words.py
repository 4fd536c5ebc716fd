"""The words of the page that certifies an acceptance, in each language of a quote."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class CertificateWords:
    certificate: str
    certified: str
    accepted_by: str
    accepted_at: str
    chosen: str
    quantities: str
    accepted_total: str
    source_ip: str
    user_agent: str
    not_told: str
    fingerprint: str
    certificate_id: str
    signature: str
    signature_of: str
    not_drawn: str


WORDS: Final[Mapping[str, CertificateWords]] = MappingProxyType(
    {
        "en": CertificateWords(
            certificate="Certificate of acceptance",
            certified=(
                "The client accepted this quote on its page. These are the facts recorded at "
                "that moment."
            ),
            accepted_by="Accepted by",
            accepted_at="Accepted at",
            chosen="Chosen",
            quantities="Quantities",
            accepted_total="Accepted total",
            source_ip="Address of the request",
            user_agent="Browser",
            not_told="not told",
            fingerprint="SHA-256 of this version",
            certificate_id="Certificate",
            signature="Signature",
            signature_of="Signature of {name}",
            not_drawn="No signature was drawn; the typed name stands for it.",
        ),
        "de": CertificateWords(
            certificate="Annahmebestätigung",
            certified=(
                "Der Kunde hat dieses Angebot auf seiner Seite angenommen. In diesem Moment "
                "wurde festgehalten:"
            ),
            accepted_by="Angenommen von",
            accepted_at="Angenommen am",
            chosen="Gewählt",
            quantities="Mengen",
            accepted_total="Angenommener Betrag",
            source_ip="Adresse der Anfrage",
            user_agent="Browser",
            not_told="nicht angegeben",
            fingerprint="SHA-256 dieser Fassung",
            certificate_id="Bestätigung",
            signature="Unterschrift",
            signature_of="Unterschrift von {name}",
            not_drawn="Es wurde keine Unterschrift gezeichnet; der eingegebene Name steht für sie.",
        ),
        "fr": CertificateWords(
            certificate="Certificat d\u2019acceptation",
            certified=(
                "Le client a accepté ce devis sur sa page. Voici les faits enregistrés à cet "
                "instant."
            ),
            accepted_by="Accepté par",
            accepted_at="Accepté le",
            chosen="Choix",
            quantities="Quantités",
            accepted_total="Montant accepté",
            source_ip="Adresse de la requête",
            user_agent="Navigateur",
            not_told="non communiqué",
            fingerprint="SHA-256 de cette version",
            certificate_id="Certificat",
            signature="Signature",
            signature_of="Signature de {name}",
            not_drawn="Aucune signature n\u2019a été tracée ; le nom saisi en tient lieu.",
        ),
        "es": CertificateWords(
            certificate="Certificado de aceptación",
            certified=(
                "El cliente aceptó este presupuesto en su página. Estos son los datos "
                "registrados en ese momento."
            ),
            accepted_by="Aceptado por",
            accepted_at="Aceptado el",
            chosen="Elegido",
            quantities="Cantidades",
            accepted_total="Importe aceptado",
            source_ip="Dirección de la solicitud",
            user_agent="Navegador",
            not_told="no indicado",
            fingerprint="SHA-256 de esta versión",
            certificate_id="Certificado",
            signature="Firma",
            signature_of="Firma de {name}",
            not_drawn="No se trazó ninguna firma; el nombre escrito la sustituye.",
        ),
        "pt": CertificateWords(
            certificate="Certificado de aceitação",
            certified=(
                "O cliente aceitou este orçamento na página dele. Estes são os fatos "
                "registrados naquele momento."
            ),
            accepted_by="Aceito por",
            accepted_at="Aceito em",
            chosen="Escolhido",
            quantities="Quantidades",
            accepted_total="Valor aceito",
            source_ip="Endereço da solicitação",
            user_agent="Navegador",
            not_told="não informado",
            fingerprint="SHA-256 desta versão",
            certificate_id="Certificado",
            signature="Assinatura",
            signature_of="Assinatura de {name}",
            not_drawn="Nenhuma assinatura foi desenhada; o nome digitado a substitui.",
        ),
    }
)
