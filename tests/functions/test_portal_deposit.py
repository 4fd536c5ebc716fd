"""The deposit on a client's page: offered, paid at Stripe in the contractor's own account, and told
from the records alone."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import pytest

from functions.quote_portal.app import lambda_handler as portal_handler
from quotekit.portal import payment_words, words
from quotekit.settings import portal_settings
from tests.functions.conftest import Answer, Client
from tests.functions.test_invoice_manager import office  # noqa: F401 fixture
from tests.functions.test_invoices_at_stripe import (  # noqa: F401 fixtures
    BACK,
    Shop,
    found,
    open_shop,
    shop,
)
from tests.functions.test_quote_portal import Sent, Visitor, send
from tests.functions.test_subscription_status import amazon_services, stripe  # noqa: F401 fixtures
from tests.vendors.stripe import Plan
from tests.vendors.stripe_objects import Json

OFFER: Final = "Pay the deposit of $137.50"
WAITING: Final = "We are waiting for your bank\u2019s word"
PAID: Final = "A deposit of $137.50 was paid on "


@dataclass
class Till:
    """A client's quote and the contractor's account at Stripe."""

    shop: Shop
    sent: Sent

    @property
    def visitor(self) -> Visitor:
        return self.sent.visitor

    @property
    def page(self) -> str:
        return f"/q/{self.visitor.token}"

    @property
    def session(self) -> Json:
        (only,) = self.shop.theirs.sessions.values()
        return only

    @property
    def asked(self) -> int:
        """How often Stripe was asked for a checkout."""
        return len(self.shop.stripe.posts("/v1/checkout/sessions"))

    def pay(self) -> Answer:
        return self.visitor(at="/deposit")

    def complete(self, payment_status: str = "paid") -> Json:
        done = self.shop.theirs.complete(self.session["id"], payment_status)
        self.shop.tell("checkout.session.completed", done, later=1)
        return done


@pytest.fixture
def till(open_shop: Shop) -> Till:  # noqa: F811
    """The client has accepted."""
    sent = send(open_shop.office.quotes)
    assert sent.visitor.accept().status == 303
    return Till(open_shop, sent)


def test_an_accepted_quotes_deposit_is_paid_in_the_contractors_account(till: Till) -> None:
    page = till.visitor().text

    answer = till.pay()

    assert OFFER in page
    assert f'href="{till.page}/deposit" rel="nofollow"' in page
    assert answer.status == 303, answer.text
    session, (request,) = till.session, till.shop.stripe.posts("/v1/checkout/sessions")
    assert answer.headers["Location"] == session["url"]
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert (session["amount_total"], session["currency"]) == (13750, "usd")
    assert request.account == till.shop.theirs.id
    (kept,) = till.shop.office.rows("select * from app.deposits")
    assert (request.key, kept["session_id"]) == (kept["id"].hex, session["id"])
    here = f"{portal_settings().url}/{till.visitor.token}"
    assert (session["success_url"], session["cancel_url"]) == (f"{here}?deposit", here)


def test_however_often_and_by_whomever_it_is_opened_there_is_one_checkout(till: Till) -> None:
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: till.pay(), range(4)))
    again = till.visitor(at="/deposit", headers={"sec-purpose": "prefetch"})

    assert {answer.status for answer in answers} <= {303, 503}
    assert len(till.shop.theirs.sessions) == 1
    assert again.headers["Location"] == till.session["url"]
    assert len(till.shop.office.rows("select 1 from app.deposits")) == 1


def test_paying_again_asks_stripe_nothing_and_notes_nothing(till: Till) -> None:
    first, second = till.pay(), till.pay()

    assert first.headers["Location"] == second.headers["Location"]
    assert till.asked == 1
    assert till.sent.history().count("quote.deposit_asked") == 1


def test_only_stripes_event_says_that_it_is_paid(till: Till) -> None:
    till.pay()

    before = till.visitor(query="deposit").text
    cancelled = till.visitor().text
    till.complete()
    after = till.visitor(query="deposit").text
    again = till.pay()

    assert WAITING in before
    assert PAID not in before
    assert OFFER in cancelled
    assert PAID in after
    assert OFFER not in after
    assert WAITING not in after
    assert (again.status, again.headers["Location"]) == (303, till.page)
    assert till.asked == 1


def test_coming_back_without_having_been_there_says_nothing_of_a_payment(till: Till) -> None:
    page = till.visitor(query="deposit").text

    assert OFFER in page
    assert WAITING not in page


def test_a_payment_that_takes_days_is_waited_for(till: Till) -> None:
    till.pay()
    session = till.complete("unpaid")

    meanwhile, again = till.visitor().text, till.pay()
    till.shop.tell(
        "checkout.session.async_payment_succeeded", session | {"payment_status": "paid"}, later=2
    )

    assert WAITING in meanwhile
    assert OFFER not in meanwhile
    assert again.headers["Location"] == till.page
    assert till.asked == 1
    assert PAID in till.visitor().text


def test_an_invoiced_quote_still_says_when_its_deposit_was_paid(till: Till) -> None:
    till.pay()
    till.complete()
    till.shop.office.run("update app.payments set received_on = '2026-11-20'")
    assert till.shop.office.invoice(till.sent.id).status == 201

    page, answer = till.visitor().text, till.pay()

    assert till.sent.now["status"] == "converted"
    assert "A deposit of $137.50 was paid on November 20, 2026." in page
    assert OFFER not in page
    assert answer.headers["Location"] == till.page


def test_of_a_deposit_that_went_back_nothing_is_claimed(till: Till) -> None:
    till.pay()
    till.complete()
    till.shop.office.run("update app.payments set refunded = amount")

    page = till.visitor().text

    assert "deposit of" not in page


@pytest.mark.parametrize(
    "plan",
    [Plan(503), Plan(500), Plan(cut=True), Plan(400, {"error": {"type": "invalid_request_error"}})],
    ids=["unavailable", "failed", "silent", "refused"],
)
def test_while_stripe_does_not_answer_a_page_offers_to_try_again(till: Till, plan: Plan) -> None:
    till.shop.stripe.plans = [plan] * 2

    down = till.pay()
    till.shop.stripe.plans = []
    till.shop.hurry()
    again = till.pay()

    assert down.status == 503
    assert "The payment service does not answer. Nothing was charged." in down.text
    assert f'href="{till.page}/deposit" rel="nofollow"' in down.text
    assert f'href="{till.page}"' in down.text
    assert "Plan" not in down.text
    assert again.status == 303, again.text
    assert again.headers["Location"] == till.session["url"]


def test_when_only_stripes_answer_is_lost_the_same_checkout_is_found(till: Till) -> None:
    till.shop.stripe.plans = [Plan(cut=True, after=True)] * 2

    lost = till.pay()
    till.shop.hurry()
    again = till.pay()

    assert (lost.status, again.status) == (503, 303)
    assert again.headers["Location"] == till.session["url"]


CLOSED: Final = {
    "another holds no account at stripe": "delete from app.connected_accounts",
    "stripe said nothing yet": "update app.connected_accounts set charges_enabled = null",
    "stripe allows no charges": "update app.connected_accounts set charges_enabled = false",
    "the contractor left": "update app.connected_accounts set disconnected_at = now()",
    "it is invoiced": "update app.quotes set status = 'converted'",
}


@pytest.mark.parametrize("why", CLOSED)
def test_what_cannot_be_paid_has_no_button_and_asks_stripe_nothing(till: Till, why: str) -> None:
    till.shop.office.run(CLOSED[why])

    page, answer = till.visitor().text, till.pay()

    assert "/deposit" not in page
    assert (answer.status, answer.headers["Location"]) == (303, till.page)
    assert till.asked == 0
    assert "quote.deposit_asked" not in till.sent.history()


UNANSWERED: Final = {
    "open": "select 1",
    "declined": "update app.quotes set status = 'declined'",
    "expired": "update app.quotes set expires_at = now() - interval '1 hour'",
    "superseded": "update app.quotes set status = 'superseded'",
}


@pytest.mark.parametrize("state", UNANSWERED)
def test_a_quote_that_is_not_accepted_has_no_button(
    open_shop: Shop,  # noqa: F811
    state: str,
) -> None:
    till = Till(open_shop, send(open_shop.office.quotes))
    open_shop.office.run(UNANSWERED[state])

    page, answer = till.visitor().text, till.pay()

    assert "/deposit" not in page
    assert (answer.status, answer.headers["Location"]) == (303, till.page)
    assert till.asked == 0


@pytest.mark.parametrize("changes", [{"deposit": None}, {"currency": "ISK"}])
def test_what_stripe_cannot_be_asked_for_has_no_button(
    open_shop: Shop,  # noqa: F811
    changes: dict[str, Any],
) -> None:
    till = Till(open_shop, send(open_shop.office.quotes, **changes))
    till.sent.owner("POST", f"/v1/quotes/{till.sent.id}/accept")

    page, answer = till.visitor().text, till.pay()

    assert "This quote was accepted." in page
    assert "/deposit" not in page
    assert (answer.status, till.asked) == (303, 0)


def test_another_link_pays_nothing_of_this_quote(till: Till) -> None:
    assert Visitor("x" * 43)(at="/deposit").status == 404

    client = Client(portal_handler, till.sent.owner.token, "ANY /v1/quotes/{quote_id}/link")
    assert client("DELETE", f"/v1/quotes/{till.sent.id}/link").status == 204
    assert till.pay().status == 410
    assert till.asked == 0


def test_the_page_speaks_of_money_in_the_quotes_language(open_shop: Shop) -> None:  # noqa: F811
    till = Till(open_shop, send(open_shop.office.quotes, language="de"))
    till.sent.owner("POST", f"/v1/quotes/{till.sent.id}/accept")
    open_shop.stripe.plans = [Plan(503)] * 2

    page, down = till.visitor().text, till.pay()

    assert "Anzahlung von 137,50" in page
    assert 'lang="de-DE"' in down.text
    assert "Es wurde nichts abgebucht." in down.text


def test_every_language_of_the_page_has_words_for_paying() -> None:
    assert payment_words.WORDS.keys() == words.WORDS.keys()
