"""Secrets Manager, SQS and S3 as one HTTP server that checks signatures and fails as it was told.

It is stricter than the emulators: a request botocore would have signed otherwise is refused.
`troubles` are what happens to a service's next requests, one each; after them it works:
`error` 500, `throttle` 400, `drop` ends the connection without an answer, `lost` does the work and
then drops, `late` answers after `delay` seconds, `wrong` answers 200 with nonsense, `denied` 400.
"""

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import unquote

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

KEY: Final = "AKIDEXAMPLE"
SECRET_KEY: Final = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
REGION: Final = "us-east-1"

type Reply = tuple[int, dict[str, str], bytes]


@dataclass
class Aws:
    url: str = ""
    secrets: dict[str, str] = field(default_factory=dict)
    queues: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    troubles: dict[str, list[str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    connections: int = 0
    delay: float = 0.0

    def give(self, name: str, value: Any) -> None:
        self.secrets[name] = value if isinstance(value, str) else json.dumps(value)

    def messages(self, queue: str) -> list[dict[str, Any]]:
        """The messages on a queue, as their consumer reads them."""
        return [json.loads(entry["MessageBody"]) for entry in self.queues.get(queue, [])]

    def trouble(self, service: str, *kinds: str) -> None:
        self.troubles.setdefault(service, []).extend(kinds)

    def count(self, action: str) -> int:
        return self.asked.count(action)

    def act(self, action: str, path: str, headers: Any, body: bytes) -> Reply:
        if action == "PUT":
            self.objects[path] = body
            return 200, {"etag": etag(body)}, b""
        if action == "GET":
            return self._object(path, headers)
        request = json.loads(body)
        if action == "SendMessage":
            return self._message(request)
        if action == "GetQueueAttributes":
            return self._attributes(request)
        return self._secret(action, request)

    def _message(self, request: dict[str, Any]) -> Reply:
        queue = self.queues.get(request["QueueUrl"])
        if queue is None:
            return refusal("com.amazonaws.sqs#QueueDoesNotExist")
        queue.append(request)
        digest = hashlib.md5(request["MessageBody"].encode()).hexdigest()  # noqa: S324
        answer = {"MessageId": f"m-{len(queue)}", "MD5OfMessageBody": digest}
        return 200, {}, json.dumps(answer).encode()

    def _attributes(self, request: dict[str, Any]) -> Reply:
        queue = self.queues.get(request["QueueUrl"])
        if queue is None:
            return refusal("com.amazonaws.sqs#QueueDoesNotExist")
        resting = sum(bool(entry.get("taken")) for entry in queue)
        known = {
            "ApproximateNumberOfMessages": str(len(queue) - resting),
            "ApproximateNumberOfMessagesNotVisible": str(resting),
        }
        asked = {name: known[name] for name in request["AttributeNames"]}
        return 200, {}, json.dumps({"Attributes": asked}).encode()

    def _secret(self, action: str, request: dict[str, Any]) -> Reply:
        name = request.get("Name") or request["SecretId"]
        if (name in self.secrets) == (action == "CreateSecret"):
            exists = name in self.secrets
            return refusal(f"Resource{'Exists' if exists else 'NotFound'}Exception")
        answer = {}
        if action == "GetSecretValue":
            answer = {"SecretString": self.secrets[name]}
        elif action == "DeleteSecret":
            del self.secrets[name]
        else:
            self.secrets[name] = request["SecretString"]
        return 200, {}, json.dumps(answer).encode()

    def _object(self, path: str, headers: Any) -> Reply:
        content = self.objects.get(path)
        if content is None:
            return 404, {}, b"<Error><Code>NoSuchKey</Code></Error>"
        if headers.get("if-none-match") == etag(content):
            return 304, {"etag": etag(content)}, b""
        return 200, {"etag": etag(content)}, content


def etag(content: bytes) -> str:
    return f'"{hashlib.sha256(content).hexdigest()}"'


def refusal(kind: str) -> Reply:
    return 400, {}, json.dumps({"__type": kind, "message": "as told"}).encode()


STUMBLING: Final = {
    "error": (500, {}, b'{"__type": "InternalFailure"}'),
    "throttle": refusal("com.amazon.coral.service#ThrottlingException"),
    "denied": refusal("AccessDeniedException"),
    "wrong": (200, {}, b"<html>It works!</html>"),
}


def rightly_signed(handler: BaseHTTPRequestHandler, service: str, body: bytes) -> bool:
    """Whether botocore would have signed this request so."""
    given = {name.lower(): value for name, value in handler.headers.items()}
    claimed = given.pop("authorization", "")
    names = claimed.partition("SignedHeaders=")[2].partition(",")[0].split(";")
    url = f"http://{given.get('host')}{handler.path}"
    headers = {name: given[name] for name in names if name in given}
    request = AWSRequest(handler.command, url, headers=headers, data=body)
    request.context["timestamp"] = given.get("x-amz-date", "")
    kind = S3SigV4Auth if service == "s3" else SigV4Auth
    signer = kind(Credentials(KEY, SECRET_KEY), service, REGION)
    text = signer.string_to_sign(request, signer.canonical_request(request))
    return claimed.endswith(f"Signature={signer.signature(text, request)}")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are two writes
    aws: Aws

    def setup(self) -> None:
        super().setup()
        self.aws.connections += 1

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        family, _, action = self.headers.get("x-amz-target", "").partition(".")
        service = {"AmazonSQS": "sqs", "secretsmanager": "secretsmanager", "": "s3"}[family]
        self.aws.asked.append(action or self.command)
        waiting = self.aws.troubles.get(service)
        trouble = waiting.pop(0) if waiting else ""
        if trouble == "drop":
            self.close_connection = True
            return
        if not rightly_signed(self, service, body):
            self.answer(403, {}, b'{"__type": "SignatureDoesNotMatch"}')
            return
        reply = STUMBLING.get(trouble) or self.aws.act(
            action or self.command, unquote(self.path), self.headers, body
        )
        if trouble == "lost":
            self.close_connection = True
            return
        if trouble == "late":
            time.sleep(self.aws.delay)
        self.answer(*reply)

    def do_PUT(self) -> None:
        self.do_POST()

    def do_GET(self) -> None:
        self.do_POST()

    def answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True  # a late answer is nobody's to wait for
    block_on_close = False

    def handle_error(self, *_: Any) -> None:
        """A caller that gave up is no error of ours."""


@contextmanager
def serve() -> Iterator[Aws]:
    aws = Aws()
    server = Server(("127.0.0.1", 0), type("Handler", (Handler,), {"aws": aws}))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    aws.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield aws
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
