"""Sending a quote: quota, number, frozen version, link, PDF and mail, in one transaction or not at
all."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from quotekit import audit, outbox
from quotekit.database import Connection
from quotekit.errors import ConflictError, invalid
from quotekit.mails import opens
from quotekit.mails import repository as mails
from quotekit.mails.model import NewMail
from quotekit.outbox import Promise
from quotekit.quotes import (
    basis,
    letters,
    lifecycle,
    links,
    mail_templates,
    printing,
    repository,
    service,
)
from quotekit.quotes.basis import Company
from quotekit.quotes.model import Quote
from quotekit.quotes.repository import Found
from quotekit.quotes.requests import SendRequest


@dataclass(slots=True)
class Sending:
    """One call to send; `promises` are for the outbox to deliver after the commit."""

    request: SendRequest
    portal_url: str
    now: datetime
    promises: list[Promise] = field(default_factory=list)

    def send(self, connection: Connection, quote_id: UUID) -> Quote:
        """Send a draft. Raises ConflictError, InvalidInputError or QuotaExceededError."""
        lifecycle.hold(connection, quote_id)
        found = repository.get(connection, quote_id, lock=True)
        company = basis.company(connection)
        self.check(found.quote)
        validity = service.validity(found.quote, company, self.now)
        lifecycle.send(connection, found, validity.until, validity.expires_at)
        link = links.make(connection, quote_id, self.portal_url, validity.expires_at)
        sent = repository.get(connection, quote_id)
        self.promise(connection, sent, company, link)
        audit.record(connection, "quote.sent", quote_id, self.details(sent.quote))
        if sent.quote.revises is not None:
            by = {"by": str(quote_id)}
            audit.record(connection, "quote.superseded", sent.quote.revises, by)
        return replace(repository.get(connection, quote_id).quote, link=link)

    def check(self, quote: Quote) -> None:
        if quote.is_template:
            raise ConflictError("A template cannot be sent; duplicate it first.")
        if quote.status != "draft":
            raise ConflictError(f"A quote that is {quote.status} cannot be sent again.")
        if self.request.channel == "email" and quote.client.email is None:
            raise invalid("channel", "the client has no email address")

    def promise(self, connection: Connection, found: Found, company: Company, link: str) -> None:
        """Promise the PDF, and the mail that waits for it."""
        about = {"account_id": str(found.account_id), "version_id": str(found.version_id)}
        pdf = outbox.promise(connection, "pdf", about)
        self.promises.append(pdf)
        if self.request.channel == "email":
            mail_id = mails.insert(
                connection,
                mail(
                    connection,
                    found,
                    company,
                    link,
                    portal_url=self.portal_url,
                    message=self.request.message,
                ),
            )
            payload = {"account_id": about["account_id"], "mail_id": str(mail_id)}
            outbox.promise(connection, "mail", payload, after=pdf)

    def details(self, quote: Quote) -> dict[str, str | None]:
        recipient = quote.client.email if self.request.channel == "email" else None
        return {
            "number": quote.number,
            "channel": self.request.channel,
            "recipient": recipient,
            "total": str(quote.total),
        }


def mail(
    connection: Connection,
    found: Found,
    company: Company,
    link: str,
    *,
    portal_url: str,
    kind: letters.Kind = "quote",
    message: str = "",
) -> NewMail:
    """A mail to the quote's client, in the account's own words where it has some."""
    quote = found.quote
    replaced = None
    if quote.revises is not None:
        replaced = repository.get(connection, quote.revises).quote.number
    picture = opens.picture(portal_url) if company.track_opens else None
    letter = letters.write(
        letters.Sending(
            company=company.company_name,
            client=quote.client.name,
            number=quote.number or "",
            total=quote.total,
            currency=quote.currency,
            language=quote.language,
            link=link,
            valid_until=quote.valid_until,
            message=message,
            kind=kind,
            wording=mail_templates.wording(connection, kind, quote.language),
            replaces=replaced,
            picture=picture.address if picture else None,
        )
    )
    return NewMail(
        quote_id=quote.id,
        version_id=found.version_id,
        recipient=quote.client.email or "",
        reply_to=company.email,
        sender_name=company.company_name,
        subject=letter.subject,
        text_body=letter.text,
        html_body=letter.html,
        attachment_name=printing.filename(quote.number),
        picture_hash=picture.token_hash if picture else None,
    )
