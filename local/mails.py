"""The mails the stack sent, kept as files and shown as they would be read."""

import base64
import re
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import getaddresses
from pathlib import Path
from typing import Any


class MailNotFoundError(Exception):
    """There is no mail with this id."""


@dataclass(frozen=True)
class Attachment:
    name: str
    content_type: str
    size: int
    url: str


@dataclass(frozen=True)
class Summary:
    id: str
    message_id: str
    sent_at: float
    sender: str
    to: list[str]
    subject: str


class MailStore:
    """One .eml file for each mail; its name tells when it was sent and its SES message id."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def add(self, raw: bytes, message_id: str) -> str:
        identity = f"{time.time_ns() // 1000:016d}-{re.sub(r'[^\w-]', '', message_id)[:40]}"
        draft = self._folder / f"{identity}.draft"
        draft.write_bytes(f"X-SES-Message-ID: {message_id}\r\n".encode() + raw)
        draft.rename(self._folder / f"{identity}.eml")
        return identity

    def summaries(self) -> list[Summary]:
        """The newest first."""
        files = sorted(self._folder.glob("*.eml"), reverse=True)
        return [summary(file.stem, _parse(file.read_bytes(), headers=True)) for file in files]

    def get(self, identity: str) -> EmailMessage:
        return _parse(self.raw(identity))

    def raw(self, identity: str) -> bytes:
        if not re.fullmatch(r"[\w-]+", identity):
            raise MailNotFoundError(identity)
        try:
            return (self._folder / f"{identity}.eml").read_bytes()
        except FileNotFoundError as error:
            raise MailNotFoundError(identity) from error

    def clear(self) -> None:
        for file in self._folder.glob("*.eml"):
            file.unlink(missing_ok=True)


def _parse(raw: bytes, *, headers: bool = False) -> EmailMessage:
    content = raw.replace(b"\r\n", b"\n").partition(b"\n\n")[0] + b"\n\n" if headers else raw
    return message_from_bytes(content, policy=policy.default)


def summary(identity: str, mail: EmailMessage) -> Summary:
    return Summary(
        id=identity,
        message_id=str(mail["X-SES-Message-ID"] or ""),
        sent_at=int(identity.partition("-")[0]) / 1_000_000,
        sender=str(mail["From"] or ""),
        to=[address for _, address in getaddresses([str(to) for to in mail.get_all("To", [])])],
        subject=str(mail["Subject"] or ""),
    )


def details(identity: str, mail: EmailMessage) -> dict[str, Any]:
    """All there is about a mail, as JSON."""
    return {
        **asdict(summary(identity, mail)),
        "cc": [address for _, address in getaddresses([str(to) for to in mail.get_all("Cc", [])])],
        "headers": [[name, str(value)] for name, value in mail.items()],
        "text": text(mail, "plain"),
        "html": text(mail, "html"),
        "attachments": [asdict(attachment) for attachment in attachments(identity, mail)],
    }


def text(mail: EmailMessage, kind: str) -> str | None:
    body = mail.get_body(preferencelist=(kind,))
    return str(body.get_content()).replace("\r\n", "\n") if body else None


def attachments(identity: str, mail: EmailMessage) -> list[Attachment]:
    return [
        Attachment(
            name=part.get_filename() or f"part-{number}",
            content_type=part.get_content_type(),
            size=len(content_of(part)),
            url=f"/messages/{identity}/attachments/{number}",
        )
        for number, part in enumerate(parts(mail))
    ]


def parts(mail: EmailMessage) -> list[EmailMessage]:
    return [part for part in _walk(mail) if part.get_filename() or part["Content-ID"]]


def content_of(part: EmailMessage) -> bytes:
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""


def html_with_pictures(mail: EmailMessage) -> str:
    """The HTML body with the pictures it carries inside it, so that nothing is fetched."""
    body = text(mail, "html") or ""
    for part in parts(mail):
        if part["Content-ID"]:
            data = base64.b64encode(content_of(part)).decode()
            body = body.replace(
                f"cid:{str(part['Content-ID']).strip('<>')}",
                f"data:{part.get_content_type()};base64,{data}",
            )
    return body


def _walk(mail: EmailMessage) -> Iterator[EmailMessage]:
    for part in mail.walk():
        if isinstance(part, EmailMessage) and not part.is_multipart():
            yield part


def compose(sender: str, to: list[str], subject: str, plain: str | None, html: str | None) -> bytes:
    """A mail as SES makes it from parts."""
    mail = EmailMessage(policy=policy.SMTP)
    mail["From"], mail["To"], mail["Subject"] = sender, ", ".join(to), subject
    mail.set_content(plain or "")
    if html:
        mail.add_alternative(html, subtype="html")
    return mail.as_bytes()
