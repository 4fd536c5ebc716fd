"""What a client can do with his quote: look, accept, decline, ask. Each in one transaction."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from quotekit import audit, database, outbox
from quotekit.database import Connection
from quotekit.errors import ConflictError, GoneError, NotFoundError
from quotekit.mails import repository as mails
from quotekit.mails.model import NewMail
from quotekit.outbox import Promise
from quotekit.portal import notices, payments, questions
from quotekit.portal.entry import Guest
from quotekit.portal.model import Offer, State
from quotekit.portal.requests import Agreement, Choice, Question, Refusal
from quotekit.quotes import acceptances, basis, choices, lifecycle, printing, repository
from quotekit.quotes.acceptances import Signatory
from quotekit.quotes.model import Quote
from quotekit.quotes.printing import Printed

ANSWERED: Final = {"accepted", "converted"}


class ChangedTotalError(ConflictError):
    """The total is another one than was shown."""


class ClosedError(ConflictError):
    """The quote cannot be answered any more."""


class ExpiredError(GoneError):
    """The quote expired."""


@dataclass(slots=True)
class Desk:
    """One guest at one quote, and his address. `promises` are for the outbox, after the commit."""

    guest: Guest
    now: datetime
    link: str
    promises: list[Promise] = field(default_factory=list)

    def look(self) -> Offer:
        """The quote as it stands; the first look of a person makes a sent quote a viewed one."""
        if not self.guest.visitor.looks:
            with database.reading(self.guest.actor) as connection:
                return self.offer(connection)
        with database.transaction(self.guest.actor) as connection:
            offer = self.offer(connection)
            if offer.quote.status == "sent" and offer.state == "open":
                self.note_view(connection)
            return offer

    def note_view(self, connection: Connection) -> None:
        if lifecycle.mark_viewed(connection, self.guest.quote_id):
            details = {"source_ip": self.guest.visitor.source_ip}
            audit.record(connection, "quote.viewed", self.guest.quote_id, details)

    def price(self, choice: Choice) -> Offer:
        """The quote with these options, nothing stored. Raises ClosedError or ExpiredError."""
        with database.reading(self.guest.actor) as connection:
            offer = self.offer(connection)
        return replace(offer, quote=chosen(offer, choice))

    def accept(self, agreement: Agreement) -> Offer:
        """Accept, once: whoever accepts again is told of the first time.

        Raises ClosedError, ExpiredError, ChangedTotalError or InvalidInputError, and then nothing
        is stored."""
        with database.transaction(self.guest.actor) as connection:
            offer = self.offer(connection, lock=True)
            if offer.state == "accepted":
                return offer
            taken = chosen(offer, agreement)
            if taken.total != agreement.total:
                raise ChangedTotalError
            self.keep(connection, taken, agreement)
            accepted = self.offer(connection)
            self.announce(connection, accepted)
        outbox.deliver(self.promises)
        return accepted

    def keep(self, connection: Connection, taken: Quote, agreement: Agreement) -> None:
        visitor = self.guest.visitor
        found = repository.get(connection, taken.id)
        signatory = Signatory(
            agreement.name, agreement.signature, visitor.source_ip, visitor.user_agent
        )
        kept = acceptances.insert(connection, found, taken, signatory)
        lifecycle.change_status(connection, [taken.id], "accepted")
        details = {"acceptance": str(kept), "name": agreement.name, "total": str(taken.total)}
        audit.record(connection, "quote.accepted", taken.id, details)

    def announce(self, connection: Connection, offer: Offer) -> None:
        """The certified PDF, and the mails that wait for it: to the client, to the contractor."""
        pdf = self.promise(connection, "pdf", {"version_id": str(offer.version_id)}, offer)
        self.promises.append(pdf)
        self.post(connection, offer, notices.accepted(offer, self.link), after=pdf)

    def decline(self, refusal: Refusal) -> Offer:
        """Decline, once. Raises ClosedError or ExpiredError."""
        with database.transaction(self.guest.actor) as connection:
            offer = self.offer(connection, lock=True)
            if offer.state == "declined":
                return offer
            require_open(offer)
            reason = refusal.reason or None
            lifecycle.change_status(connection, [offer.quote.id], "declined", reason)
            audit.record(connection, "quote.declined", offer.quote.id, {"note": reason})
            declined = self.offer(connection)
            self.post(connection, declined, notices.declined(declined))
        outbox.deliver(self.promises)
        return declined

    def ask(self, question: Question) -> None:
        """Keep a question and mail it to the contractor. Raises RateLimitedError or ClosedError."""
        with database.transaction(self.guest.actor) as connection:
            offer = self.offer(connection, lock=True)
            if offer.state == "superseded":
                raise ClosedError
            source_ip = self.guest.visitor.source_ip
            asked = questions.insert(connection, offer.quote.id, question.question, source_ip)
            audit.record(connection, "quote.asked", offer.quote.id, {"question": str(asked)})
            letters = notices.asked(offer, question.question)
            self.post(connection, offer, letters)
        outbox.deliver(self.promises)

    def begin_payment(self) -> Offer:
        """The quote, whose deposit is about to be paid if it is due; that is noted once for a
        checkout."""
        with database.transaction(self.guest.actor) as connection:
            offer = self.offer(connection)
            deposit = offer.deposit
            if deposit and deposit.standing == "due" and deposit.checkout is None:
                details = {"source_ip": self.guest.visitor.source_ip}
                audit.record(connection, "quote.deposit_asked", offer.quote.id, details)
        return offer

    def logo_key(self) -> str:
        """Where the company's logo is kept. Raises NotFoundError."""
        with database.reading(self.guest.actor) as connection:
            key = basis.company(connection).logo_key
        if key is None:
            raise NotFoundError
        return key

    def printed(self) -> Printed | None:
        """The newest PDF of the quote; of an accepted one only what was printed since."""
        with database.reading(self.guest.actor) as connection:
            offer = self.offer(connection)
            since = offer.accepted.accepted_at if offer.accepted else None
            return printing.latest(connection, offer.account_id, offer.version_id, since)

    def offer(self, connection: Connection, *, lock: bool = False) -> Offer:
        found = repository.get(connection, self.guest.quote_id, lock=lock)
        accepted = None
        if found.quote.status in ANSWERED:
            accepted = acceptances.of_quote(connection, found.quote.id)
        quote = choices.as_accepted(found.quote, accepted)
        return Offer(
            quote=quote,
            account_id=found.account_id,
            version_id=found.version_id,
            company=basis.company(connection, found.account_id),
            watermark=basis.watermark(connection, found.account_id),
            accepted=accepted,
            state=state(quote, self.now),
            deposit=payments.read(connection, quote) if found.quote.status in ANSWERED else None,
        )

    def post(
        self,
        connection: Connection,
        offer: Offer,
        letters: list[NewMail],
        after: Promise | None = None,
    ) -> None:
        """Promise mails; those that wait for nothing go after the commit."""
        for letter in letters:
            mail_id = mails.insert(connection, letter)
            mail = self.promise(connection, "mail", {"mail_id": str(mail_id)}, offer, after)
            if after is None:
                self.promises.append(mail)

    def promise(
        self,
        connection: Connection,
        topic: str,
        about: dict[str, str],
        offer: Offer,
        after: Promise | None = None,
    ) -> Promise:
        payload = {"account_id": str(offer.account_id), **about}
        return outbox.promise(connection, topic, payload, after=after)


def state(quote: Quote, now: datetime) -> State:
    """What a client may be told; past its last day a quote is expired, swept or not."""
    match quote.status:
        case "accepted" | "converted":
            return "accepted"
        case "declined" | "expired" | "superseded" as ended:
            return ended
    return "expired" if quote.expires_at is None or quote.expires_at <= now else "open"


def require_open(offer: Offer) -> None:
    if offer.state == "expired":
        raise ExpiredError
    if offer.state != "open":
        raise ClosedError


def chosen(offer: Offer, choice: Choice) -> Quote:
    """The open quote with what was chosen. Raises ExpiredError, InvalidInputError, or ClosedError
    when the form is of another revision."""
    require_open(offer)
    if choice.revision != offer.quote.revision:
        raise ClosedError
    selected = choices.picked(offer.quote, choice.option, choice.choice.values())
    quantities = choices.measured(offer.quote, choice.quantity)
    return choices.choose(offer.quote, selected, quantities)
