"""Every word of a client's page; {braces} are filled in."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class PortalWords:
    accept: str
    agree: str
    your_name: str
    signature: str
    sign_hint: str
    clear: str
    accept_button: str
    choose: str
    update_total: str
    decline: str
    reason: str
    decline_button: str
    ask: str
    question: str
    ask_button: str
    asked: str
    download: str
    accepted_by: str
    accepted: str
    declined: str
    expired: str
    superseded: str
    changed: str
    not_found_title: str
    not_found: str
    gone_title: str
    gone: str
    too_many_title: str
    too_many: str
    invalid_title: str
    invalid: str
    failed_title: str
    failed: str
    back: str
    printing_title: str
    printing: str


WORDS: Final[Mapping[str, PortalWords]] = MappingProxyType(
    {
        "en": PortalWords(
            accept="Accept this quote",
            agree="By accepting you agree to this quote of {total} and its terms.",
            your_name="Your name",
            signature="Signature (optional)",
            sign_hint="Draw with a finger, a pen or the mouse. Your typed name counts without it.",
            clear="Clear the signature",
            accept_button="Accept quote",
            choose="Choose what you would like. The total follows.",
            update_total="Update the total",
            decline="Decline this quote",
            reason="Reason (optional)",
            decline_button="Decline quote",
            ask="Ask a question",
            question="Your question",
            ask_button="Send question",
            asked="Your question was sent. The answer will come by email.",
            download="Download as PDF",
            accepted_by="Accepted by {name} on {date}.",
            accepted="This quote was accepted.",
            declined="This quote was declined.",
            expired="This quote has expired. Please ask {company} for a new one.",
            superseded=(
                "This quote was replaced by a newer one. Please open the newer link you were sent."
            ),
            changed=(
                "The total is another one now. Nothing was accepted yet: please look at it and "
                "accept again."
            ),
            not_found_title="Page not found",
            not_found="There is no quote at this address. Please check the link in your email.",
            gone_title="This link no longer works",
            gone="The link was replaced or is too old. Please ask for a new one.",
            too_many_title="Too many requests",
            too_many="Please wait a minute and try again.",
            invalid_title="Something is missing or wrong",
            invalid="Please go back and check what you entered.",
            failed_title="Something went wrong",
            failed="It is our fault, not yours. Please try again in a moment.",
            back="Back to the quote",
            printing_title="The PDF is being made",
            printing="Please try again in a moment.",
        ),
        "de": PortalWords(
            accept="Dieses Angebot annehmen",
            agree=(
                "Mit der Annahme stimmen Sie diesem Angebot über {total} und seinen Bedingungen zu."
            ),
            your_name="Ihr Name",
            signature="Unterschrift (freiwillig)",
            sign_hint=(
                "Zeichnen Sie mit Finger, Stift oder Maus. Ihr eingegebener Name gilt auch "
                "ohne sie."
            ),
            clear="Unterschrift löschen",
            accept_button="Angebot annehmen",
            choose="Wählen Sie, was Sie möchten. Der Gesamtbetrag richtet sich danach.",
            update_total="Gesamtbetrag neu berechnen",
            decline="Dieses Angebot ablehnen",
            reason="Grund (freiwillig)",
            decline_button="Angebot ablehnen",
            ask="Eine Frage stellen",
            question="Ihre Frage",
            ask_button="Frage senden",
            asked="Ihre Frage wurde gesendet. Die Antwort kommt per E-Mail.",
            download="Als PDF herunterladen",
            accepted_by="Angenommen von {name} am {date}.",
            accepted="Dieses Angebot wurde angenommen.",
            declined="Dieses Angebot wurde abgelehnt.",
            expired="Dieses Angebot ist abgelaufen. Bitte fragen Sie {company} nach einem neuen.",
            superseded=(
                "Dieses Angebot wurde durch ein neueres ersetzt. Bitte öffnen Sie den neueren "
                "Link, den Sie erhalten haben."
            ),
            changed=(
                "Der Gesamtbetrag ist jetzt ein anderer. Es wurde noch nichts angenommen: "
                "Bitte prüfen Sie ihn und nehmen Sie erneut an."
            ),
            not_found_title="Seite nicht gefunden",
            not_found=(
                "Unter dieser Adresse gibt es kein Angebot. Bitte prüfen Sie den Link in Ihrer "
                "E-Mail."
            ),
            gone_title="Dieser Link gilt nicht mehr",
            gone="Der Link wurde ersetzt oder ist zu alt. Bitte fragen Sie nach einem neuen.",
            too_many_title="Zu viele Anfragen",
            too_many="Bitte warten Sie eine Minute und versuchen Sie es erneut.",
            invalid_title="Etwas fehlt oder stimmt nicht",
            invalid="Bitte gehen Sie zurück und prüfen Sie Ihre Eingaben.",
            failed_title="Etwas ist schiefgegangen",
            failed="Das liegt an uns, nicht an Ihnen. Bitte versuchen Sie es gleich noch einmal.",
            back="Zurück zum Angebot",
            printing_title="Das PDF wird gerade erstellt",
            printing="Bitte versuchen Sie es gleich noch einmal.",
        ),
        "fr": PortalWords(
            accept="Accepter ce devis",
            agree="En acceptant, vous approuvez ce devis de {total} et ses conditions.",
            your_name="Votre nom",
            signature="Signature (facultative)",
            sign_hint="Dessinez avec le doigt, un stylet ou la souris. Votre nom saisi suffit.",
            clear="Effacer la signature",
            accept_button="Accepter le devis",
            choose="Choisissez ce que vous souhaitez. Le total suit.",
            update_total="Recalculer le total",
            decline="Refuser ce devis",
            reason="Motif (facultatif)",
            decline_button="Refuser le devis",
            ask="Poser une question",
            question="Votre question",
            ask_button="Envoyer la question",
            asked="Votre question a été envoyée. La réponse viendra par e-mail.",
            download="Télécharger en PDF",
            accepted_by="Accepté par {name} le {date}.",
            accepted="Ce devis a été accepté.",
            declined="Ce devis a été refusé.",
            expired="Ce devis a expiré. Veuillez en demander un nouveau à {company}.",
            superseded=(
                "Ce devis a été remplacé par un plus récent. Veuillez ouvrir le lien plus "
                "récent que vous avez reçu."
            ),
            changed=(
                "Le total a changé. Rien n\u2019a encore été accepté\xa0: veuillez le vérifier "
                "et accepter à nouveau."
            ),
            not_found_title="Page introuvable",
            not_found=(
                "Il n\u2019y a pas de devis à cette adresse. Veuillez vérifier le lien dans "
                "votre e-mail."
            ),
            gone_title="Ce lien ne fonctionne plus",
            gone="Le lien a été remplacé ou est trop ancien. Veuillez en demander un nouveau.",
            too_many_title="Trop de demandes",
            too_many="Veuillez patienter une minute et réessayer.",
            invalid_title="Quelque chose manque ou est incorrect",
            invalid="Veuillez revenir en arrière et vérifier votre saisie.",
            failed_title="Une erreur est survenue",
            failed="C\u2019est de notre fait, pas du vôtre. Veuillez réessayer dans un instant.",
            back="Retour au devis",
            printing_title="Le PDF est en préparation",
            printing="Veuillez réessayer dans un instant.",
        ),
        "es": PortalWords(
            accept="Aceptar este presupuesto",
            agree="Al aceptar, usted aprueba este presupuesto de {total} y sus condiciones.",
            your_name="Su nombre",
            signature="Firma (opcional)",
            sign_hint="Dibuje con el dedo, un lápiz o el ratón. Su nombre escrito basta.",
            clear="Borrar la firma",
            accept_button="Aceptar presupuesto",
            choose="Elija lo que desea. El total se ajusta.",
            update_total="Recalcular el total",
            decline="Rechazar este presupuesto",
            reason="Motivo (opcional)",
            decline_button="Rechazar presupuesto",
            ask="Hacer una pregunta",
            question="Su pregunta",
            ask_button="Enviar pregunta",
            asked="Su pregunta se ha enviado. La respuesta llegará por correo electrónico.",
            download="Descargar en PDF",
            accepted_by="Aceptado por {name} el {date}.",
            accepted="Este presupuesto fue aceptado.",
            declined="Este presupuesto fue rechazado.",
            expired="Este presupuesto ha caducado. Pida uno nuevo a {company}.",
            superseded=(
                "Este presupuesto fue sustituido por uno más reciente. Abra el enlace más "
                "reciente que recibió."
            ),
            changed=(
                "El total ha cambiado. Todavía no se ha aceptado nada: revíselo y acepte de nuevo."
            ),
            not_found_title="Página no encontrada",
            not_found=(
                "No hay ningún presupuesto en esta dirección. Compruebe el enlace de su correo."
            ),
            gone_title="Este enlace ya no funciona",
            gone="El enlace fue sustituido o es demasiado antiguo. Pida uno nuevo.",
            too_many_title="Demasiadas solicitudes",
            too_many="Espere un minuto e inténtelo de nuevo.",
            invalid_title="Falta algo o es incorrecto",
            invalid="Vuelva atrás y revise lo que ha escrito.",
            failed_title="Algo ha fallado",
            failed="Es culpa nuestra, no suya. Inténtelo de nuevo en un momento.",
            back="Volver al presupuesto",
            printing_title="El PDF se está preparando",
            printing="Inténtelo de nuevo en un momento.",
        ),
        "pt": PortalWords(
            accept="Aceitar este orçamento",
            agree=(
                "Ao aceitar, você concorda com este orçamento de {total} e com as condições dele."
            ),
            your_name="Seu nome",
            signature="Assinatura (opcional)",
            sign_hint="Desenhe com o dedo, uma caneta ou o mouse. Seu nome digitado basta.",
            clear="Apagar a assinatura",
            accept_button="Aceitar orçamento",
            choose="Escolha o que deseja. O total acompanha.",
            update_total="Recalcular o total",
            decline="Recusar este orçamento",
            reason="Motivo (opcional)",
            decline_button="Recusar orçamento",
            ask="Fazer uma pergunta",
            question="Sua pergunta",
            ask_button="Enviar pergunta",
            asked="Sua pergunta foi enviada. A resposta virá por e-mail.",
            download="Baixar em PDF",
            accepted_by="Aceito por {name} em {date}.",
            accepted="Este orçamento foi aceito.",
            declined="Este orçamento foi recusado.",
            expired="Este orçamento expirou. Peça um novo a {company}.",
            superseded=(
                "Este orçamento foi substituído por um mais novo. Abra o link mais recente que "
                "você recebeu."
            ),
            changed="O total mudou. Nada foi aceito ainda: confira e aceite novamente.",
            not_found_title="Página não encontrada",
            not_found="Não há orçamento neste endereço. Confira o link no seu e-mail.",
            gone_title="Este link não funciona mais",
            gone="O link foi substituído ou é antigo demais. Peça um novo.",
            too_many_title="Muitas solicitações",
            too_many="Aguarde um minuto e tente de novo.",
            invalid_title="Falta algo ou há um erro",
            invalid="Volte e confira o que você digitou.",
            failed_title="Algo deu errado",
            failed="A culpa é nossa, não sua. Tente de novo em instantes.",
            back="Voltar ao orçamento",
            printing_title="O PDF está sendo preparado",
            printing="Tente de novo em instantes.",
        ),
    }
)
