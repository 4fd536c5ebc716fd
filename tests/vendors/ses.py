"""SES as an HTTP server: it keeps what it took, and fails as it was told to.

The shapes are those of the SES API v2: POST /v2/email/outbound-emails, and errors named in the
header `x-amzn-errortype`.
"""

import base64
import email
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Ses:
    """`failures` are the (status, error type) of the next answers; after them it works."""

    url: str = ""
    failures: list[tuple[int, str]] = field(default_factory=list)
    mails: list[EmailMessage] = field(default_factory=list)
    calls: int = 0

    def take(self, body: dict[str, Any]) -> tuple[int, dict[str, str], dict[str, str]]:
        self.calls += 1
        if self.failures:
            status, kind = self.failures.pop(0)
            return status, {"x-amzn-errortype": kind}, {"message": f"{kind}: as told"}
        raw = base64.b64decode(body["Content"]["Raw"]["Data"])
        self.mails.append(email.message_from_bytes(raw, policy=default))
        return 200, {}, {"MessageId": f"ses-{len(self.mails)}"}


@contextmanager
def serve() -> Iterator[Ses]:
    ses = Ses()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            status, headers, answer = ses.take(json.loads(self.rfile.read(length)))
            content = json.dumps(answer).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    ses.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield ses
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
