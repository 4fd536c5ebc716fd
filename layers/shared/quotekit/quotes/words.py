"""Every word QuoteKit itself puts into a PDF or a mail; {braces} are filled in by the caller."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class Words:
    quote: str
    draft: str
    number: str
    date: str
    valid_until: str
    prepared_by: str
    prepared_for: str
    description: str
    quantity: str
    unit_price: str
    tax: str
    tax_on: str
    tax_included: str
    amount: str
    discount: str
    subtotal: str
    total: str
    deposit: str
    optional_items: str
    selected: str
    not_selected: str
    notes: str
    terms: str
    page: str
    logo_of: str
    made_with: str
    subject: str
    greeting: str
    greeting_without_name: str
    here_is: str
    view: str
    attached: str
    regards: str
    reminder_subject: str
    reminder: str
    replaces: str


WORDS: Final[Mapping[str, Words]] = MappingProxyType(
    {
        "en": Words(
            quote="Quote",
            draft="Draft",
            number="Number",
            date="Date",
            valid_until="Valid until",
            prepared_by="Prepared by",
            prepared_for="Prepared for",
            description="Description",
            quantity="Quantity",
            unit_price="Unit price",
            tax="Tax",
            tax_on="{tax} {rate} on {net}",
            tax_included="Includes {tax} {rate} on {net}",
            amount="Amount",
            discount="Discount",
            subtotal="Subtotal",
            total="Total",
            deposit="Deposit due on acceptance",
            optional_items="Optional items",
            selected="Selected, included in the total",
            not_selected="Not selected, not included in the total",
            notes="Notes",
            terms="Terms",
            page="Page {page} of {pages}",
            logo_of="Logo of {company}",
            made_with="Made with QuoteKit",
            subject="Quote {number} from {company}",
            greeting="Hello {client},",
            greeting_without_name="Hello,",
            here_is="{company} has prepared quote {number} for you.",
            view="View the quote",
            attached="The quote is attached as a PDF.",
            regards="Kind regards",
            reminder_subject="Reminder: quote {number} from {company}",
            reminder="Quote {number} from {company} is waiting for your answer.",
            replaces="Replaces",
        ),
        "de": Words(
            quote="Angebot",
            draft="Entwurf",
            number="Nummer",
            date="Datum",
            valid_until="Gültig bis",
            prepared_by="Angebot von",
            prepared_for="Angebot für",
            description="Beschreibung",
            quantity="Menge",
            unit_price="Einzelpreis",
            tax="MwSt.",
            tax_on="{rate} {tax} auf {net}",
            tax_included="Enthält {rate} {tax} auf {net}",
            amount="Betrag",
            discount="Rabatt",
            subtotal="Zwischensumme",
            total="Gesamtbetrag",
            deposit="Anzahlung bei Annahme",
            optional_items="Optionale Positionen",
            selected="Ausgewählt, im Gesamtbetrag enthalten",
            not_selected="Nicht ausgewählt, nicht im Gesamtbetrag enthalten",
            notes="Anmerkungen",
            terms="Bedingungen",
            page="Seite {page} von {pages}",
            logo_of="Logo von {company}",
            made_with="Erstellt mit QuoteKit",
            subject="Angebot {number} von {company}",
            greeting="Guten Tag {client},",
            greeting_without_name="Guten Tag,",
            here_is="{company} hat das Angebot {number} für Sie erstellt.",
            view="Angebot ansehen",
            attached="Das Angebot liegt als PDF bei.",
            regards="Mit freundlichen Grüßen",
            reminder_subject="Erinnerung: Angebot {number} von {company}",
            reminder="Das Angebot {number} von {company} wartet auf Ihre Antwort.",
            replaces="Ersetzt",
        ),
        "fr": Words(
            quote="Devis",
            draft="Brouillon",
            number="Numéro",
            date="Date",
            valid_until="Valable jusqu\u2019au",
            prepared_by="Devis de",
            prepared_for="Devis pour",
            description="Désignation",
            quantity="Quantité",
            unit_price="Prix unitaire",
            tax="TVA",
            tax_on="{tax} {rate} sur {net}",
            tax_included="Dont {tax} {rate} sur {net}",
            amount="Montant",
            discount="Remise",
            subtotal="Sous-total",
            total="Total",
            deposit="Acompte à l\u2019acceptation",
            optional_items="Prestations en option",
            selected="Option retenue, comprise dans le total",
            not_selected="Option non retenue, non comprise dans le total",
            notes="Remarques",
            terms="Conditions",
            page="Page {page} sur {pages}",
            logo_of="Logo de {company}",
            made_with="Créé avec QuoteKit",
            subject="Devis {number} de {company}",
            greeting="Bonjour {client},",
            greeting_without_name="Bonjour,",
            here_is="{company} a préparé pour vous le devis {number}.",
            view="Consulter le devis",
            attached="Le devis est joint au format PDF.",
            regards="Cordialement",
            reminder_subject="Rappel\u00a0: devis {number} de {company}",
            reminder="Le devis {number} de {company} attend votre réponse.",
            replaces="Remplace",
        ),
        "es": Words(
            quote="Presupuesto",
            draft="Borrador",
            number="Número",
            date="Fecha",
            valid_until="Válido hasta",
            prepared_by="Presupuesto de",
            prepared_for="Presupuesto para",
            description="Descripción",
            quantity="Cantidad",
            unit_price="Precio unitario",
            tax="IVA",
            tax_on="{tax} {rate} sobre {net}",
            tax_included="Incluye {tax} {rate} sobre {net}",
            amount="Importe",
            discount="Descuento",
            subtotal="Subtotal",
            total="Total",
            deposit="Anticipo a la aceptación",
            optional_items="Partidas opcionales",
            selected="Seleccionada, incluida en el total",
            not_selected="No seleccionada, no incluida en el total",
            notes="Observaciones",
            terms="Condiciones",
            page="Página {page} de {pages}",
            logo_of="Logotipo de {company}",
            made_with="Creado con QuoteKit",
            subject="Presupuesto {number} de {company}",
            greeting="Hola, {client}:",
            greeting_without_name="Hola:",
            here_is="{company} ha preparado para usted el presupuesto {number}.",
            view="Ver el presupuesto",
            attached="El presupuesto se adjunta en PDF.",
            regards="Un cordial saludo",
            reminder_subject="Recordatorio: presupuesto {number} de {company}",
            reminder="El presupuesto {number} de {company} espera su respuesta.",
            replaces="Sustituye a",
        ),
        "pt": Words(
            quote="Orçamento",
            draft="Rascunho",
            number="Número",
            date="Data",
            valid_until="Válido até",
            prepared_by="Orçamento de",
            prepared_for="Orçamento para",
            description="Descrição",
            quantity="Quantidade",
            unit_price="Preço unitário",
            tax="Imposto",
            tax_on="{tax} {rate} sobre {net}",
            tax_included="Inclui {tax} {rate} sobre {net}",
            amount="Valor",
            discount="Desconto",
            subtotal="Subtotal",
            total="Total",
            deposit="Sinal na aceitação",
            optional_items="Itens opcionais",
            selected="Selecionado, incluído no total",
            not_selected="Não selecionado, não incluído no total",
            notes="Observações",
            terms="Condições",
            page="Página {page} de {pages}",
            logo_of="Logotipo de {company}",
            made_with="Criado com QuoteKit",
            subject="Orçamento {number} de {company}",
            greeting="Olá, {client}!",
            greeting_without_name="Olá!",
            here_is="Segue o orçamento {number} de {company}.",
            view="Ver o orçamento",
            attached="O orçamento segue anexo em PDF.",
            regards="Atenciosamente",
            reminder_subject="Lembrete: orçamento {number} de {company}",
            reminder="O orçamento {number} de {company} aguarda a sua resposta.",
            replaces="Substitui",
        ),
    }
)
