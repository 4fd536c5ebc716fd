"""Mail through SES. The message is built by the standard library, so no header can be injected."""

from email.message import EmailMessage
from email.utils import formataddr, make_msgid
from typing import Final

from quotekit import aws
from quotekit.settings import mail_settings

LARGEST_ATTACHMENT: Final = 7_000_000  # bytes; base64 makes 10 MB of it, SES's limit by default
# What SES says about the message or its addresses; sending it again changes nothing.
PERMANENT: Final = {
    "MessageRejected",
    "InvalidParameterValue",
    "BadRequestException",
    "MailFromDomainNotVerifiedException",
    "NotFoundException",
}


class MailRefusedError(Exception):
    """SES will never take this message."""


class MailDelayedError(Exception):
    """SES did not take the message this time."""


def compose(
    *,
    sender_name: str,
    reply_to: str | None,
    recipient: str,
    subject: str,
    text: str,
    html: str,
    message_id: str,
    attachment: tuple[str, bytes] | None = None,
) -> EmailMessage:
    """A message with a text and an HTML part, and a PDF by (file name, content)."""
    sender = mail_settings().mail_from
    message = EmailMessage()
    message["From"] = formataddr((sender_name, sender))
    message["To"] = recipient
    message["Subject"] = subject
    message["Message-ID"] = make_msgid(message_id, domain=sender.rpartition("@")[2])
    if reply_to:
        message["Reply-To"] = reply_to
    message.set_content(text)
    message.add_alternative(html, subtype="html")
    if attachment:
        name, content = attachment
        message.add_attachment(content, maintype="application", subtype="pdf", filename=name)
    return message


def send(message: EmailMessage) -> str:
    """Hand a message to SES; its id there. Raises MailRefusedError or MailDelayedError."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    try:
        ses = aws.client("sesv2", attempts=1)
        answer = ses.send_email(Content={"Raw": {"Data": message.as_bytes()}})
    except ClientError as error:
        code = error.response["Error"]["Code"]
        raise (MailRefusedError if code in PERMANENT else MailDelayedError)(code) from error
    except BotoCoreError as error:
        raise MailDelayedError(type(error).__name__) from error
    return str(answer["MessageId"])
