"""What a mail is made of."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class NewMail:
    """Without a version it travels without an attachment, without `picture_hash` untracked."""

    quote_id: UUID
    version_id: UUID | None
    recipient: str
    reply_to: str | None
    sender_name: str
    subject: str
    text_body: str
    html_body: str
    attachment_name: str
    picture_hash: bytes | None = None


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail on loan to the worker that sends it.

    `overtaken` is a reminder of what was answered meanwhile."""

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
    overtaken: bool
    reason: str | None
