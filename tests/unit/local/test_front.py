"""The HTTP front: events as API Gateway makes them, answers as it renders them."""

import asyncio
import base64
import json
import re
import time

import httpx
import pytest

from local.front import Front
from local.invocation import Outcome
from local.routes import Cors, Route, RouteTable
from local.runtime import RequestTooLargeError, TooManyRequestsError

ROUTES = RouteTable(
    [
        Route("ANY", "/v1/quotes", "quotes"),
        Route("ANY", "/v1/quotes/{proxy+}", "quotes"),
        Route("POST", "/v1/quotes/{quote_id}/pdf", "printer"),
    ]
)
CORS = Cors(("http://shop.test",), ("GET", "POST"), ("authorization",), ("etag",), 600)


class Function:
    """Answers every invocation alike and remembers what it was sent."""

    def __init__(self, answer=b'{"statusCode": 200}', error=None, seconds=0.0, raises=None):
        self.answer, self.error, self.seconds, self.raises = answer, error, seconds, raises
        self.calls = []

    async def invoke(self, function, payload, *, qualifier, trace):
        self.calls.append((function, qualifier, trace, json.loads(payload)))
        await asyncio.sleep(self.seconds)
        if self.raises:
            raise self.raises
        return Outcome(self.answer, self.error)

    @property
    def event(self):
        return self.calls[0][3]


def ask(function, method="GET", path="/v1/quotes", *, cors=None, seconds=30.0, **options):
    front = Front(function, ROUTES, cors, api_id="abc", port=8080, integration_seconds=seconds)

    async def play():
        transport = httpx.ASGITransport(front, client=("203.0.113.7", 5000))
        async with httpx.AsyncClient(
            transport=transport, base_url="http://api.test:8080"
        ) as client:
            return await client.request(method, path, **options)

    return asyncio.run(play())


def test_the_event_has_the_documented_shape():
    function = Function()

    ask(
        function,
        "POST",
        "/v1/quotes/42/pdf?parameter1=value1&parameter1=value2&parameter2=a%20b&empty",
        headers=[
            ("Header1", "value1"),
            ("Header2", "value1"),
            ("header2", "value2"),
            ("Cookie", "cookie1=a; cookie2=b"),
            ("User-Agent", "agent"),
            ("Content-Type", "application/json"),
            ("Accept-Encoding", "gzip"),
            ("Connection", "keep-alive"),
            ("Accept", "*/*"),
        ],
        content=b'{"a": 1}',
    )

    ((name, qualifier, trace, event),) = function.calls
    assert (name, qualifier) == ("printer", "live")
    assert re.fullmatch(r"Root=1-[0-9a-f]{8}-[0-9a-f]{24}", trace)
    context = event["requestContext"]
    request_id, clock, epoch = (context.pop(key) for key in ("requestId", "time", "timeEpoch"))
    assert event == {
        "version": "2.0",
        "routeKey": "POST /v1/quotes/{quote_id}/pdf",
        "rawPath": "/v1/quotes/42/pdf",
        "rawQueryString": "parameter1=value1&parameter1=value2&parameter2=a%20b&empty",
        "cookies": ["cookie1=a", "cookie2=b"],
        "headers": {
            "header1": "value1",
            "header2": "value1,value2",
            "host": "api.test:8080",
            "user-agent": "agent",
            "content-type": "application/json",
            "content-length": "8",
            "accept-encoding": "gzip",
            "accept": "*/*",
            "x-forwarded-for": "203.0.113.7",
            "x-forwarded-port": "8080",
            "x-forwarded-proto": "http",
            "x-amzn-trace-id": trace,
        },
        "queryStringParameters": {
            "parameter1": "value1,value2",
            "parameter2": "a b",
            "empty": "",
        },
        "pathParameters": {"quote_id": "42"},
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "abc",
            "domainName": "api.test",
            "domainPrefix": "api",
            "http": {
                "method": "POST",
                "path": "/v1/quotes/42/pdf",
                "protocol": "HTTP/1.1",
                "sourceIp": "203.0.113.7",
                "userAgent": "agent",
            },
            "routeKey": "POST /v1/quotes/{quote_id}/pdf",
            "stage": "$default",
        },
        "body": '{"a": 1}',
        "isBase64Encoded": False,
    }
    assert len(request_id) == 16
    assert re.fullmatch(r"\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000", clock)
    assert abs(epoch / 1000 - time.time()) < 5


def test_what_a_request_does_not_have_is_absent():
    function = Function()

    ask(function)

    absent = {"cookies", "queryStringParameters", "pathParameters", "body", "stageVariables"}
    assert not absent & function.event.keys()
    assert function.event["rawQueryString"] == ""
    assert function.event["isBase64Encoded"] is False


@pytest.mark.parametrize(
    ("content_type", "text"),
    [
        ("application/json", True),
        ("application/json; charset=utf-8", True),
        ("text/csv", True),
        ("application/xml", True),
        ("application/javascript", True),
        ("application/x-www-form-urlencoded", False),
        ("multipart/form-data; boundary=x", False),
        ("image/png", False),
        ("application/octet-stream", False),
        (None, False),
    ],
)
def test_a_body_that_is_not_text_comes_as_base64(content_type, text):
    function = Function()
    body = "é=1".encode() if text else b"\xff\x00"

    ask(
        function,
        "POST",
        content=body,
        headers={"content-type": content_type} if content_type else {},
    )

    assert function.event["isBase64Encoded"] is not text
    sent = function.event["body"]
    assert (sent.encode() if text else base64.b64decode(sent)) == body


def test_the_path_is_decoded_and_cut_as_api_gateway_does():
    function = Function()

    ask(function, path="/v1/quotes/a%2Fb%20c%3Fd?q=%2F")

    assert function.event["rawPath"] == "/v1/quotes/a/b c"
    assert function.event["pathParameters"] == {"proxy": "a/b c?d"}
    assert function.event["rawQueryString"] == "q=%2F"


def test_addresses_of_proxies_are_kept_but_not_trusted():
    function = Function()

    ask(function, headers={"x-forwarded-for": "198.51.100.1"})

    assert function.event["headers"]["x-forwarded-for"] == "198.51.100.1, 203.0.113.7"
    assert function.event["requestContext"]["http"]["sourceIp"] == "203.0.113.7"


@pytest.mark.parametrize(
    ("returned", "status", "content_type", "body"),
    [
        ('"Hello from Lambda!"', 200, "application/json", b"Hello from Lambda!"),
        ('{"message": "Hi"}', 200, "application/json", b'{"message": "Hi"}'),
        ("[1, 2]", 200, "application/json", b"[1, 2]"),
        ("null", 200, "application/json", b"null"),
        ('{"statusCode": 204}', 204, "text/plain;charset=UTF-8", b""),
        ('{"statusCode": "201", "body": "x"}', 201, "text/plain;charset=UTF-8", b"x"),
        (
            '{"statusCode": 422, "headers": {"Content-Type": "application/json"}, "body": "{}"}',
            422,
            "application/json",
            b"{}",
        ),
        (
            (
                '{"statusCode": 200, "headers": {"content-type": "image/png"},'
                ' "body": "/wA=", "isBase64Encoded": true}'
            ),
            200,
            "image/png",
            b"\xff\x00",
        ),
    ],
)
def test_an_answer_is_rendered_or_inferred(returned, status, content_type, body):
    response = ask(Function(returned.encode()))

    assert response.status_code == status
    assert response.headers["content-type"] == content_type
    assert response.content == body


@pytest.mark.parametrize(
    "returned",
    [
        "not json",
        '{"statusCode": "ok"}',
        '{"statusCode": 99}',
        '{"statusCode": null}',
        '{"statusCode": 200, "body": {"a": 1}}',
        '{"statusCode": 200, "body": "%", "isBase64Encoded": true}',
        '{"statusCode": 200, "headers": ["a"]}',
        '{"statusCode": 200, "headers": {"a": ["b"]}}',
    ],
)
def test_a_malformed_answer_is_an_internal_error(returned):
    response = ask(Function(returned.encode()))

    assert response.status_code == 500
    assert response.content == b'{"message":"Internal Server Error"}'


def test_each_cookie_becomes_a_header():
    answer = {"statusCode": 200, "cookies": ["a=1; Path=/", "b=2"], "headers": {"x-number": 3}}

    response = ask(Function(json.dumps(answer).encode()))

    assert response.headers.get_list("set-cookie") == ["a=1; Path=/", "b=2"]
    assert response.headers["x-number"] == "3"
    assert len(response.headers["apigw-requestid"]) == 16


@pytest.mark.parametrize(
    ("function", "status", "message"),
    [
        (Function(b'{"errorType": "KeyError"}', "Unhandled"), 500, "Internal Server Error"),
        (Function(raises=TooManyRequestsError()), 503, "Service Unavailable"),
        (Function(raises=RequestTooLargeError()), 413, "Request Entity Too Large"),
        (Function(seconds=5), 503, "Service Unavailable"),
    ],
    ids=["function error", "throttled", "larger than Lambda takes", "too slow"],
)
def test_what_goes_wrong_behind_is_said_in_the_gateways_words(function, status, message):
    response = ask(function, seconds=0.05)

    assert response.status_code == status
    assert response.json() == {"message": message}
    assert response.headers["content-type"] == "application/json"


def test_a_path_without_a_route_is_not_found():
    function = Function()

    response = ask(function, path="/v2/quotes")

    assert response.status_code == 404
    assert response.content == b'{"message":"Not Found"}'
    assert function.calls == []


def test_a_body_above_10_mb_is_refused_before_the_function():
    function = Function()
    limit = 10 * 1024 * 1024

    refused = ask(function, "POST", content=b"x" * (limit + 1))

    assert refused.status_code == 413
    assert refused.content == b'{"message":"Request Entity Too Large"}'
    assert function.calls == []
    assert ask(function, "POST", content=b"x" * limit).status_code == 200


PREFLIGHT = {"origin": "http://shop.test", "access-control-request-method": "POST"}


def test_a_preflight_is_answered_without_the_function():
    function = Function()

    response = ask(function, "OPTIONS", cors=CORS, headers=PREFLIGHT)

    assert response.status_code == 204
    assert response.headers["access-control-allow-origin"] == "http://shop.test"
    assert response.headers["access-control-allow-methods"] == "GET,POST"
    assert response.headers["access-control-allow-headers"] == "authorization"
    assert response.headers["access-control-max-age"] == "600"
    assert function.calls == []


def test_a_preflight_of_a_stranger_gets_no_permission():
    response = ask(
        Function(), "OPTIONS", cors=CORS, headers=PREFLIGHT | {"origin": "http://x.test"}
    )

    assert response.status_code == 204
    assert not [name for name in response.headers if name.startswith("access-control")]


@pytest.mark.parametrize("path", ["/v1/quotes", "/nowhere"])
def test_the_gateways_cors_headers_replace_the_functions(path):
    answer = {"statusCode": 200, "headers": {"Access-Control-Allow-Origin": "*", "X-A": "b"}}
    function = Function(json.dumps(answer).encode())

    response = ask(function, path=path, cors=CORS, headers={"origin": "http://shop.test"})
    stranger = ask(function, path=path, cors=CORS, headers={"origin": "http://x.test"})

    assert response.headers["access-control-allow-origin"] == "http://shop.test"
    assert response.headers["access-control-expose-headers"] == "etag"
    assert "access-control-allow-origin" not in stranger.headers


def test_without_a_cors_configuration_everything_is_the_functions_own():
    answer = {"statusCode": 200, "headers": {"Access-Control-Allow-Origin": "*"}}
    function = Function(json.dumps(answer).encode())

    response = ask(function, "OPTIONS", headers=PREFLIGHT)

    assert response.headers["access-control-allow-origin"] == "*"
    assert len(function.calls) == 1
