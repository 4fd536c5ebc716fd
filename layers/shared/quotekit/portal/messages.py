"""Pages that say one thing: why there is no quote to show."""

from http import HTTPStatus
from typing import Final

from quotekit.errors import QuoteKitError
from quotekit.portal import payment_words
from quotekit.portal.markup import tag
from quotekit.portal.page import whole
from quotekit.portal.words import WORDS
from quotekit.quotes.languages import Language

# Which of the words a status is told with; all others are our fault.
TOLD: Final = {
    HTTPStatus.NOT_FOUND: "not_found",
    HTTPStatus.METHOD_NOT_ALLOWED: "not_found",
    HTTPStatus.GONE: "gone",
    HTTPStatus.TOO_MANY_REQUESTS: "too_many",
    HTTPStatus.BAD_REQUEST: "invalid",
    HTTPStatus.UNPROCESSABLE_ENTITY: "invalid",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "invalid",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "invalid",
    HTTPStatus.CONFLICT: "invalid",
}


def apology(error: QuoteKitError, accepted_languages: str) -> str:
    """The page of an error, in the browser's language."""
    return message(TOLD.get(error.status, "failed"), preferred(accepted_languages))


def message(about: str, lang: str, back: str | None = None) -> str:
    words = WORDS[lang]
    title = getattr(words, f"{about}_title")
    link = tag("p", tag("a", words.back, href=back)) if back else None
    main = tag("main", tag("h1", title), tag("p", getattr(words, about)), link, class_="message")
    return whole(lang, title, None, main, brand=None)


def unpaid(spoken: Language, place: str) -> str:
    """Why nothing can be paid, and the way to try again; in the quote's language."""
    lang = spoken.locale.language
    words = payment_words.WORDS[lang]
    again = tag("a", words.again, href=f"{place}/deposit", rel="nofollow", class_="button")
    main = tag(
        "main",
        tag("h1", words.failed_title),
        tag("p", words.failed),
        tag("p", again, class_="payment"),
        tag("p", tag("a", WORDS[lang].back, href=place)),
        class_="message",
    )
    return whole(spoken.tag, words.failed_title, None, main, brand=None)


def preferred(accepted_languages: str) -> str:
    """The first language of an Accept-Language header that there are words for, else English."""
    for part in accepted_languages.split(",")[:20]:
        code = part.partition(";")[0].strip()[:2].lower()
        if code in WORDS:
            return code
    return "en"
