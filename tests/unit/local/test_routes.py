"""Route selection and CORS against what the API Gateway guide documents."""

import pytest

from local.routes import Cors, Route, RouteTable

# The guide's own example of which route a request meets.
GUIDE = [
    Route("GET", "/pets/dog/1", "exact"),
    Route("GET", "/pets/dog/{id}", "variable"),
    Route("GET", "/pets/{proxy+}", "greedy"),
    Route("ANY", "/{proxy+}", "any"),
    Route("ANY", "$default", "default"),
]


@pytest.mark.parametrize(
    ("method", "path", "function", "parameters"),
    [
        ("GET", "/pets/dog/1", "exact", {}),
        ("GET", "/pets/dog/2", "variable", {"id": "2"}),
        ("GET", "/pets/cat/1", "greedy", {"proxy": "cat/1"}),
        ("POST", "/test/5", "any", {"proxy": "test/5"}),
        ("GET", "/pets/dog/2/more", "greedy", {"proxy": "dog/2/more"}),
        ("POST", "/pets/dog/1", "any", {"proxy": "pets/dog/1"}),
        ("GET", "/", "default", {}),
        ("GET", "/pets/dog/a%20b%2Fc", "variable", {"id": "a b/c"}),
    ],
)
def test_the_most_specific_route_answers(method, path, function, parameters):
    for order in (GUIDE, GUIDE[::-1]):
        found = RouteTable(order).select(method, path)

        assert found is not None
        assert (found[0].function, found[1]) == (function, parameters)


def test_a_method_goes_before_any():
    table = RouteTable([Route("ANY", "/a", "any"), Route("GET", "/a", "get")])

    assert table.select("GET", "/a")[0].function == "get"
    assert table.select("PUT", "/a")[0].function == "any"


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/b"), ("POST", "/a"), ("GET", "/a/b"), ("GET", "/a/"), ("GET", "/c"), ("GET", "/c/")],
)
def test_what_no_route_matches_is_not_found(method, path):
    table = RouteTable([Route("GET", "/a", "f"), Route("ANY", "/c/{proxy+}", "f")])

    assert table.select(method, path) is None


def test_the_route_key_is_method_and_path():
    assert [route.key for route in GUIDE[2:]] == ["GET /pets/{proxy+}", "ANY /{proxy+}", "$default"]


@pytest.mark.parametrize(
    ("origins", "origin", "allowed"),
    [
        (("http://a.test",), "http://a.test", "http://a.test"),
        (("http://a.test",), "http://b.test", None),
        (("http://a.test",), "", None),
        (("*",), "http://b.test", "*"),
        (("https://*",), "https://b.test", "https://b.test"),
        (("https://*",), "http://b.test", None),
    ],
)
def test_an_origin_is_allowed_by_name_or_pattern(origins, origin, allowed):
    headers = Cors(origins).answer(origin)

    assert headers.get("access-control-allow-origin") == allowed


def test_a_preflight_lists_everything_configured():
    cors = Cors(("http://a.test",), ("GET", "PUT"), ("authorization",), ("etag",), 600, True)

    assert cors.preflight("http://a.test") == {
        "access-control-allow-origin": "http://a.test",
        "access-control-allow-credentials": "true",
        "access-control-expose-headers": "etag",
        "access-control-allow-methods": "GET,PUT",
        "access-control-allow-headers": "authorization",
        "access-control-max-age": "600",
    }
