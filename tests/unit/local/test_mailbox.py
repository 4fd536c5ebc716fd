"""The mail page: records what goes to SES, and shows it without trusting it."""

import base64
import json
from email.message import EmailMessage

import boto3
import httpx
import pytest

from local.mailbox import Mailbox
from local.mails import MailStore

PNG = b"\x89PNG fake"


class Emulator:
    """Takes every mail, or answers as told."""

    def __init__(self):
        self.calls = []
        self.answer = httpx.Response(200, json={"MessageId": "id-1@email.amazonses.com"})

    async def __call__(self, request):
        self.calls.append((request.method, request.url.path, request.content, request.headers))
        return self.answer


@pytest.fixture
def emulator():
    return Emulator()


@pytest.fixture
def box(tmp_path, emulator, client_of):
    http = httpx.AsyncClient(transport=httpx.MockTransport(emulator), base_url="http://aws")
    return client_of(Mailbox(MailStore(tmp_path), http).application)


def letter(*, html="<p>Hello <img src='cid:logo'></p>"):
    mail = EmailMessage()
    mail["From"], mail["To"] = "Shop <shop@quotekit.local>", "Ada <ada@example.com>"
    mail["Subject"] = "Quote Q-1 <script>alert(1)</script>"
    mail.set_content("Hello in text")
    mail.add_alternative(html, subtype="html")
    mail.get_payload()[1].add_related(PNG, "image", "png", cid="<logo>")
    mail.add_attachment(b"%PDF-1.7", maintype="application", subtype="pdf", filename="Q-1.pdf")
    return mail.as_bytes()


def send(box, raw):
    body = {"Content": {"Raw": {"Data": base64.b64encode(raw).decode()}}}
    return box.post("/v2/email/outbound-emails", content=json.dumps(body))


def test_a_mail_goes_on_to_the_emulator_and_stays_here_whole(box, emulator):
    answer = send(box, letter())

    assert answer.json() == {"MessageId": "id-1@email.amazonses.com"}
    assert [call[:2] for call in emulator.calls] == [("POST", "/v2/email/outbound-emails")]
    (summary,) = box.get("/messages").json()
    assert summary["to"] == ["ada@example.com"]
    assert summary["message_id"] == "id-1@email.amazonses.com"
    mail = box.get(f"/messages/{summary['id']}").json()
    assert mail["text"] == "Hello in text\n"
    assert "cid:logo" in mail["html"]
    files = {file["name"]: file for file in mail["attachments"]}
    assert files["Q-1.pdf"]["content_type"] == "application/pdf"
    pdf = box.get(files["Q-1.pdf"]["url"])
    assert pdf.content == b"%PDF-1.7"
    assert pdf.headers["content-disposition"] == 'attachment; filename="Q-1.pdf"'


def test_a_mail_the_emulator_refuses_is_not_kept(box, emulator):
    emulator.answer = httpx.Response(400, json={"__type": "MessageRejected"})

    answer = send(box, letter())

    assert (answer.status_code, answer.json()) == (400, {"__type": "MessageRejected"})
    assert box.get("/messages").json() == []


def test_the_next_sends_fail_when_asked_to(box, emulator):
    box.put("/faults", json={"next": 2})

    statuses = [send(box, letter()).status_code for _ in range(3)]

    assert statuses == [503, 503, 200]
    assert len(emulator.calls) == 1
    assert len(box.get("/messages").json()) == 1


def test_version_1_of_ses_is_understood(box, emulator):
    emulator.answer = httpx.Response(200, text="<a><MessageId>id-2</MessageId></a>")
    form = {"Action": "SendRawEmail", "RawMessage.Data": base64.b64encode(letter()).decode()}

    box.post("/", data=form)
    box.post("/", data={"Action": "GetSendQuota"})

    (summary,) = box.get("/messages").json()
    assert summary["message_id"] == "id-2"
    assert len(emulator.calls) == 2


def test_a_mail_made_of_parts_is_put_together(box):
    body = {
        "FromEmailAddress": "shop@quotekit.local",
        "Destination": {"ToAddresses": ["ada@example.com"]},
        "Content": {"Simple": {"Subject": {"Data": "Grüße"}, "Body": {"Text": {"Data": "é"}}}},
    }

    box.post("/v2/email/outbound-emails", content=json.dumps(body))

    (summary,) = box.get("/messages").json()
    assert summary["subject"] == "Grüße"
    assert box.get(f"/messages/{summary['id']}").json()["text"] == "é\n"


def test_the_page_shows_the_newest_first_and_escapes_what_it_shows(box):
    send(box, letter())
    second = letter().replace(b"Q-1 ", b"Q-2 ")
    send(box, second)
    newest = box.get("/messages").json()[0]

    page = box.get("/", params={"id": newest["id"]})

    assert newest["subject"].startswith("Quote Q-2")
    assert page.text.index("Quote Q-2") < page.text.index("Quote Q-1")
    assert "<script>" not in page.text
    assert "&lt;script&gt;" in page.text
    assert f'<iframe sandbox title="The mail" src="/messages/{newest["id"]}/html">' in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]


def test_the_html_of_a_mail_can_do_nothing(box):
    send(box, letter())
    (summary,) = box.get("/messages").json()

    html = box.get(f"/messages/{summary['id']}/html")

    policy = html.headers["content-security-policy"]
    assert policy.startswith("sandbox; default-src 'none'")
    assert "script-src" not in policy
    assert f"data:image/png;base64,{base64.b64encode(PNG).decode()}" in html.text


@pytest.mark.parametrize("path", ["x", "../secret", "x/raw", "x/html", "x/attachments/0"])
def test_a_mail_that_is_not_there_is_not_found(box, path):
    assert box.get(f"/messages/{path}").status_code == 404


def test_an_empty_box_says_what_to_do(box):
    assert "No mail yet" in box.get("/").text


def test_mails_can_be_cleared(box):
    send(box, letter())

    box.delete("/messages")

    assert box.get("/messages").json() == []


def test_boto3_finds_ses_here_by_its_variable(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_SESV2", "http://127.0.0.1:8025")

    ses = boto3.client(
        "sesv2", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b"
    )

    assert ses.meta.endpoint_url == "http://127.0.0.1:8025"
