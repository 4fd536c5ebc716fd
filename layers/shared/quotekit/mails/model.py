"""What a mail is made of."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class NewMail:
    quote_id: UUID
    version_id: UUID
    recipient: str
    reply_to: str | None
    sender_name: str
    subject: str
    text_body: str
    html_body: str
    attachment_name: str


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail on loan to the worker that sends it."""

    id: UUID
    account_id: UUID
    quote_id: UUID | None
    version_id: UUID | None
    recipient: str
    reply_to: str | None
    sender_name: str
    subject: str
    text_body: str
    html_body: str
    attachment_name: str
    status: str
    attempts: int
    leased: bool
    reason: str | None
