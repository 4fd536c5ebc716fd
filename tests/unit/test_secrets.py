"""Secrets Manager without boto3: the signature, the errors, the memory."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from botocore import auth, awsrequest
from botocore.credentials import Credentials as BotocoreCredentials
from hypothesis import given
from hypothesis import strategies as st

from quotekit import exchange, secrets, settings
from quotekit.errors import ServiceUnavailableError
from quotekit.settings import SettingsError
from quotekit.signing import Credentials, sign

NOON = datetime(2015, 8, 30, 12, 36, tzinfo=UTC)
KEYS = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
PASSWORD = "correct horse battery staple"


@pytest.mark.parametrize(
    ("method", "signature"),
    [  # get-vanilla and post-vanilla of the test suite AWS published for Signature Version 4
        ("GET", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        ("POST", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
    ],
)
def test_a_request_is_signed_as_in_the_suite_of_aws(method, signature):
    signed = sign(
        *(method, "https://example.amazonaws.com/", {}, b""),
        credentials=KEYS,
        region="us-east-1",
        service="service",
        now=NOON,
    )

    assert signed["authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        f"SignedHeaders=host;x-amz-date, Signature={signature}"
    )


words = st.text("abcdefghijklmnopqrstuvwxyzABCXYZ0123456789-", min_size=1, max_size=12)
values = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=30)
HEADERS = st.dictionaries(
    words.map(str.lower).map("x-a{}".format), values.filter(str.strip), max_size=4
)


@given(
    host=words,
    headers=HEADERS,
    body=st.binary(max_size=200),
    key=words,
    token=st.one_of(st.just(""), words),
    moment=st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1)),  # noqa: DTZ001 made aware below
)
def test_the_signature_is_the_one_botocore_makes(*, host, headers, body, key, token, moment):
    moment = moment.replace(tzinfo=UTC)
    url = f"https://{host}.example.com/"
    request = awsrequest.AWSRequest("POST", url, data=body, headers=headers)
    request.context["timestamp"] = moment.strftime("%Y%m%dT%H%M%SZ")
    request.headers["X-Amz-Date"] = request.context["timestamp"]
    if token:
        request.headers["X-Amz-Security-Token"] = token
    theirs = auth.SigV4Auth(BotocoreCredentials(key, key), "secretsmanager", "eu-west-1")
    expected = theirs.signature(
        theirs.string_to_sign(request, theirs.canonical_request(request)), request
    )

    signed = sign(
        *("POST", url, headers, body),
        credentials=Credentials(key, key, token),
        region="eu-west-1",
        service="secretsmanager",
        now=moment,
    )

    assert signed["authorization"].endswith(f"Signature={expected}")


class Answers:
    """A Secrets Manager that answers what it is told, and remembers what it was asked."""

    def __init__(self) -> None:
        self.script: list[tuple[int, bytes]] = []
        self.asked: list[tuple[str, dict[str, str], bytes]] = []
        answers = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                answers.asked.append((self.path, dict(self.headers), body))
                status, answer = answers.script.pop(0)
                self.send_response(status)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def do_GET(self) -> None:
                self.do_POST()

            def log_message(self, *arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def give(self, value: object, status: int = 200) -> None:
        self.script.append((status, json.dumps(value).encode()))

    def give_secret(self, value: object) -> None:
        self.give({"SecretString": json.dumps(value)})


@pytest.fixture
def manager(monkeypatch: pytest.MonkeyPatch) -> Iterator[Answers]:
    answers = Answers()
    for name in ("AWS_ENDPOINT_URL", "AWS_SESSION_TOKEN", "AWS_CONTAINER_CREDENTIALS_FULL_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", answers.url)
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not used by anyone")
    monkeypatch.setattr(exchange, "PAUSE", 0)
    settings.forget()
    secrets.forget()
    thread = threading.Thread(target=answers.server.serve_forever, args=(0.01,))
    thread.start()
    yield answers
    answers.server.shutdown()
    answers.server.server_close()
    thread.join()
    settings.forget()
    secrets.forget()


def test_a_secret_is_asked_for_by_name_and_signed_for_its_region(manager):
    manager.give_secret({"url": PASSWORD})

    given = secrets.secret("quotekit/database")

    path, headers, body = manager.asked[0]
    assert given == {"url": PASSWORD}
    assert (path, json.loads(body)) == ("/", {"SecretId": "quotekit/database"})
    assert headers["x-amz-target"] == "secretsmanager.GetSecretValue"
    assert "/eu-central-1/secretsmanager/aws4_request" in headers["authorization"]


def test_a_secret_is_fetched_once_until_it_is_old(manager, monkeypatch):
    for number in range(2):
        manager.give_secret({"number": number})

    now = time.time()
    seen = [secrets.secret("a")["number"], secrets.secret("a")["number"]]
    monkeypatch.setattr(time, "time", lambda: now + 301)
    seen.append(secrets.secret("a")["number"])

    assert seen == [0, 0, 1]


def test_an_old_secret_serves_while_aws_is_silent(manager, monkeypatch):
    manager.give_secret({"number": 1})
    for _ in range(3):
        manager.give({}, status=503)
    secrets.secret("a")
    monkeypatch.setenv("SECRETS_TTL", "0")
    settings.forget()

    assert secrets.secret("a") == {"number": 1}
    assert len(manager.asked) == 4


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (500, {}),
        (503, {"__type": "InternalServiceError"}),
        (400, {"__type": "ThrottlingException"}),
    ],
)
def test_a_passing_trouble_of_aws_is_tried_again(manager, status, answer):
    manager.give(answer, status)
    manager.give_secret({"number": 1})

    assert secrets.secret("a") == {"number": 1}


def test_a_refusal_is_final_and_its_reason_is_for_the_log(manager):
    manager.give({"__type": "com.amazon#AccessDeniedException", "Message": "no"}, 400)

    with pytest.raises(ServiceUnavailableError) as caught:
        secrets.secret("quotekit/database")

    assert caught.value.__notes__ == [
        "Secrets Manager, GetSecretValue quotekit/database: AccessDeniedException"
    ]
    assert "quotekit/database" not in caught.value.message
    assert len(manager.asked) == 1


def test_a_manager_that_cannot_be_reached_is_unavailable(manager, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", "http://127.0.0.1:1")

    with pytest.raises(ServiceUnavailableError) as caught:
        secrets.secret("a")

    assert caught.value.__notes__ == ["Secrets Manager, GetSecretValue a: ConnectionRefusedError"]


@pytest.mark.parametrize(
    "answer",
    [
        {"SecretString": PASSWORD},
        {"SecretString": json.dumps([PASSWORD])},
        {"SecretBinary": PASSWORD},
    ],
)
def test_a_secret_of_another_form_is_refused_without_telling_it(manager, answer):
    manager.give(answer)

    with pytest.raises(SettingsError) as caught:
        secrets.secret("a")

    assert str(caught.value) == "the secret a is not a JSON object"
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_under_snapstart_the_credentials_come_from_the_address_lambda_names(manager, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{manager.url}/credentials")
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "let me in")
    manager.give({"AccessKeyId": "ASIA1", "SecretAccessKey": "s", "Token": "t"})
    manager.give_secret({"number": 1})

    secrets.secret("a")

    (path, asking, _), (_, signed, _) = manager.asked
    assert (path, asking["authorization"]) == ("/credentials", "let me in")
    assert signed["authorization"].startswith("AWS4-HMAC-SHA256 Credential=ASIA1/")
    assert signed["x-amz-security-token"] == "t"


def test_a_missing_credential_is_named(manager, monkeypatch):
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")

    with pytest.raises(SettingsError, match=r"^AWS_SECRET_ACCESS_KEY: Field required$"):
        secrets.secret("a")


def test_credentials_do_not_print_themselves():
    assert repr(Credentials("AKID", "key", "token")) == "Credentials(key_id='AKID')"


def test_reading_secrets_imports_no_boto3():
    code = "import sys, quotekit.secrets; print([m for m in sys.modules if 'boto' in m])"

    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.strip() == "[]"
