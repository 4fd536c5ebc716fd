"""The files of the client's page beside the API, and nothing outside their folder."""

import re

import pytest
from starlette.responses import PlainTextResponse

from local.settings import ROOT
from local.web import Web
from quotekit.portal.markup import Markup
from quotekit.portal.page import whole

FILES = sorted(path.name for path in (ROOT / "web/quote").iterdir())


@pytest.fixture
def box(client_of):
    return client_of(Web(PlainTextResponse("the gateway")))


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_the_page_is_served_as_it_is(box, name):
    answer = box.get(f"/assets/quote/{name}")

    assert answer.content == (ROOT / "web/quote" / name).read_bytes()


def test_everything_a_page_names_is_there_with_a_type_a_browser_takes(box):
    named = re.findall(r'"(/assets/[^"]+)"', whole("en", "Quote", None, Markup(""), brand=None))

    types = [box.get(name).headers["content-type"].partition(";")[0] for name in named]

    assert types == ["text/css", "image/svg+xml", "text/javascript"]


@pytest.mark.parametrize("path", ["/assets/quote/none.js", "/assets/%2e%2e/README.md"])
def test_what_is_not_in_the_folder_is_not_found(box, path):
    assert box.get(path).status_code == 404


def test_all_else_is_the_gateways(box):
    assert [box.get(path).text for path in ("/q/token", "/v1/quotes", "/assets")] == [
        "the gateway"
    ] * 3
