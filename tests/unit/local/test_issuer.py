"""The local token issuer, seen by a standard JWT library."""

import json
import time

import jwt
import pytest

from local.issuer import ADMIN, USER, Issuer, IssuerPages

URL = "http://127.0.0.1:8081"


@pytest.fixture
def issuer(tmp_path):
    return Issuer(tmp_path / "issuer.pem", URL)


@pytest.fixture
def pages(issuer, client_of):
    return client_of(IssuerPages(issuer).application)


def read(token, pages):
    keys = jwt.PyJWKSet.from_dict(pages.get("/.well-known/jwks.json").json())
    key = keys[jwt.get_unverified_header(token)["kid"]]
    return jwt.decode(token, key, algorithms=["RS256"], audience="quotekit", issuer=URL)


def test_a_token_is_verified_by_the_published_keys(issuer, pages):
    claims = read(issuer.token(*USER, scope="quotes"), pages)

    assert (claims["sub"], claims["account_id"]) == USER
    assert claims["scope"] == "quotes"
    assert claims["nbf"] == claims["iat"] <= time.time() < claims["exp"]
    assert len(claims["jti"]) == 36


def test_the_key_set_holds_nothing_private(pages):
    (key,) = pages.get("/.well-known/jwks.json").json()["keys"]

    assert set(key) == {"kty", "n", "e", "kid", "use", "alg"}


def test_the_key_stays_between_runs(issuer, tmp_path, pages):
    later = Issuer(tmp_path / "issuer.pem", URL)

    assert read(later.token(*USER), pages)["sub"] == USER[0]
    assert (tmp_path / "issuer.pem").stat().st_mode & 0o777 == 0o600


def test_the_configuration_names_the_keys(pages):
    configuration = pages.get("/.well-known/openid-configuration").json()

    assert configuration["issuer"] == URL
    assert configuration["jwks_uri"] == f"{URL}/.well-known/jwks.json"


@pytest.mark.parametrize(
    ("asked", "subject", "account"),
    [
        ({}, *USER),
        ({"sub": ADMIN[0]}, *ADMIN),
        (
            {"sub": "0190a000-0000-7000-8000-000000000009"},
            *["0190a000-0000-7000-8000-000000000009"] * 2,
        ),
        ({"sub": USER[0], "account_id": ADMIN[1]}, USER[0], ADMIN[1]),
    ],
)
def test_whoever_asks_gets_a_token(pages, asked, subject, account):
    answer = pages.post("/token", content=json.dumps(asked)).json()

    claims = read(answer["access_token"], pages)
    assert (claims["sub"], claims["account_id"]) == (subject, account)
    assert claims["exp"] - claims["iat"] == answer["expires_in"]


@pytest.mark.parametrize(
    "asked", ['{"sub": "me"}', '{"lifetime": 0}', '{"lifetime": "long"}', "[]", "not json"]
)
def test_what_makes_no_token_is_refused(pages, asked):
    response = pages.post("/token", content=asked)

    assert response.status_code == 400
    assert response.json()["error"] == "invalid_request"
