"""What a form is answered with: the page elsewhere, or the page as it stands and why."""

import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Final, NamedTuple

from quotekit.errors import ConflictError, ServiceUnavailableError
from quotekit.portal import lines, messages, page
from quotekit.portal.answers import ChangedTotalError, ClosedError, Desk, ExpiredError
from quotekit.portal.model import Offer
from quotekit.portal.page import Told
from quotekit.portal.requests import Agreement, Draft
from quotekit.quotes.choices import UnfitQuantityError
from quotekit.quotes.languages import language

SECONDS: Final = 15  # for Stripe, while a person waits
RETURNED: Final = "deposit"  # the query of who comes back from paying


class Reply(NamedTuple):
    """A status with HTML, or with where to look."""

    status: HTTPStatus
    body: str = ""
    location: str | None = None


def shown(desk: Desk, asked: str) -> Reply:
    """The page; `asked` is the query, which says what was just done."""
    told = Told("asked" if asked == "asked" else None, returned=asked == RETURNED)
    return paged(desk, desk.look(), told)


def paged(desk: Desk, offer: Offer, told: Told, status: HTTPStatus = HTTPStatus.OK) -> Reply:
    return Reply(status, page.render(offer, desk.guest.token, told))


def priced(desk: Desk, draft: Draft) -> Reply:
    """The page with what is chosen; nothing is kept."""
    try:
        return paged(desk, desk.price(draft), Told(typed=draft.name))
    except UnfitQuantityError as error:
        return unfit(desk, draft, error)
    except (ClosedError, ExpiredError) as error:
        return paged(desk, desk.look(), Told(), error.status)


def totals(desk: Desk, draft: Draft) -> str:
    """The same as JSON, for the script."""
    offer = desk.price(draft)
    quote, spoken, sheet = offer.quote, language(offer.quote.language), page.sheet_of(offer)
    told = {
        "total": str(quote.total),
        "agreed": spoken.money(quote.total, quote.currency),
        "rows": sheet["totals"],
        "amounts": lines.amounts(sheet),
    }
    return json.dumps(told)


def accepted(desk: Desk, agreement: Agreement) -> Reply:
    """See the page, accepted; or the page with what was chosen, and why it is not."""
    try:
        return answered(desk, lambda: desk.accept(agreement))
    except ChangedTotalError as error:
        told = Told("changed", agreement.name)
        return paged(desk, desk.price(agreement), told, error.status)
    except UnfitQuantityError as error:
        return unfit(desk, agreement, error)


def unfit(desk: Desk, choice: Agreement | Draft, error: UnfitQuantityError) -> Reply:
    """The page with what else was chosen, and which quantities cannot be."""
    proposed = {line.position: str(line.quantity) for line in error.lines}
    mended = choice.model_copy(update={"quantity": {**choice.quantity, **proposed}})
    told = Told(typed=choice.name, unfit=error.lines)
    return paged(desk, desk.price(mended), told, error.status)


def answered(desk: Desk, work: Callable[[], object], query: str = "") -> Reply:
    """See the page after what took effect; what came too late is told on the page itself."""
    try:
        work()
    except (ClosedError, ExpiredError) as error:
        return paged(desk, desk.look(), Told(), error.status)
    return Reply(HTTPStatus.SEE_OTHER, location=f"/q/{desk.guest.token}{query}")


def printing(desk: Desk, accepted_languages: str) -> Reply:
    """Why there is no PDF yet."""
    lang = messages.preferred(accepted_languages)
    body = messages.message("printing", lang, back=f"/q/{desk.guest.token}")
    return Reply(HTTPStatus.SERVICE_UNAVAILABLE, body)


def paying(desk: Desk) -> Reply:
    """To Stripe's page where the deposit is paid; if it is not due, to the quote's, which says why.

    Whatever keeps Stripe from opening its page is told with the way to try again."""
    from quotekit.invoices import deposits  # noqa: PLC0415 - with billing: for payers alone

    here, offer = f"/q/{desk.guest.token}", desk.begin_payment()
    if offer.deposit is None or offer.deposit.standing != "due":
        return Reply(HTTPStatus.SEE_OTHER, location=here)
    back = deposits.Return(f"{desk.link}?{RETURNED}", desk.link)
    try:
        link = deposits.link(offer.account_id, offer.quote.id, back, now=desk.now, seconds=SECONDS)
    except (ConflictError, ServiceUnavailableError):
        lang = language(offer.quote.language)
        return Reply(HTTPStatus.SERVICE_UNAVAILABLE, messages.unpaid(lang, here))
    return Reply(HTTPStatus.SEE_OTHER, location=link.url)
