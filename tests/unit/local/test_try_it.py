"""The page to try the API on: whole, from installed files, and closed to other origins."""

import json
import re

import pytest
from starlette.responses import PlainTextResponse

from local.settings import ROOT
from local.try_it import TryIt


@pytest.fixture
def application():
    return TryIt(PlainTextResponse("the gateway"), lambda: "demo-token")


@pytest.fixture
def box(application, client_of):
    return client_of(application)


def test_the_document_is_the_committed_one(box):
    answer = box.get("/docs/openapi.json")

    assert answer.json() == json.loads((ROOT / "docs/openapi.json").read_text())


def test_everything_the_page_loads_is_there_and_from_here(box):
    page = box.get("/docs").text

    loaded = re.findall(r'(?:href|src)="([^"]+)"', page)

    assert [link for link in loaded if not link.startswith(("/docs/", "data:,"))] == []
    assert [box.get(link).status_code for link in loaded if link != "data:,"] == [200] * 4


def test_the_page_may_run_no_script_but_its_files(box):
    answer = box.get("/docs")

    policy = answer.headers["content-security-policy"].split("; ")
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert re.findall(r"<script(?! src=)|\son\w+=", answer.text) == []


def test_the_token_is_the_demo_users_and_for_no_other_origin(box):
    answer = box.get("/docs/token", headers={"origin": "https://elsewhere.test"})

    assert answer.json() == {"token": "demo-token"}
    assert answer.headers["cache-control"] == "no-store"
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("path", ["/", "/v1/quotes", "/docsx", "/v1/docs"])
def test_all_other_paths_are_the_gateways(box, path):
    assert box.get(path).text == "the gateway"


def test_below_docs_there_is_nothing_else(box):
    assert box.get("/docs/..%2fREADME.md").status_code == 404
    assert box.get("/docs/passwd").status_code == 404
