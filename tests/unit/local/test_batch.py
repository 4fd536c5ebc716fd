"""`make batch`: what it sends, what it says, how it ends."""

import argparse
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import Console

from local import batch

JOB: dict[str, Any] = {
    "id": "job-1",
    "status": "preparing",
    "dry_run": False,
    "error": None,
    "counts": {"total": None, "succeeded": 0, "failed": 0, "skipped": 0, "pending": None},
    "tallies": {"matched": 0},
    "rate": {"items_per_second": None, "reason": "x"},
    "expected": {"finished_at": None, "seconds": None, "reason": "x"},
    "upload": {"upload_id": "upload-1", "bytes": 0, "lines": 7},
    "has_result": False,
}
DONE: dict[str, Any] = JOB | {
    "status": "completed",
    "counts": {"total": 2, "succeeded": 2, "failed": 0, "skipped": 0, "pending": 0},
    "tallies": {"deleted": 2, "matched": 2},
}
FAILED: dict[str, Any] = JOB | {
    "status": "completed_with_errors",
    "counts": {"total": 25, "succeeded": 1, "failed": 24, "skipped": 0, "pending": 0},
    "tallies": {"deleted": 1, "invalid": 24, "matched": 1},
    "has_result": True,
}
ITEM: dict[str, Any] = {"line": 3, "code": "invalid", "message": "name: [missing]", "item": "a,b"}


class Api:
    """Answers as the API does; every look sees the next state of the job."""

    def __init__(self, *states: dict[str, Any]) -> None:
        self.states = list(states)
        self.sent: list[tuple[str, str, Any]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/v1/batches")
        body = json.loads(request.content) if request.content else None
        self.sent.append((request.method, path, body))
        match request.method, path:
            case "POST", "/uploads":
                form = {"id": "upload-1", "url": "https://s3.test/", "fields": {"key": "k"}}
                return httpx.Response(201, json=form)
            case "POST", "":
                return httpx.Response(202, json=JOB)
            case "GET", "/job-1/items":
                return httpx.Response(200, json={"data": [ITEM], "next_cursor": None})
            case "GET", "/job-1/result":
                result = {"bytes": 5, "type": "text/csv", "url": "https://s3.test/result"}
                return httpx.Response(200, json=result)
        return httpx.Response(200, json=self.states.pop(0))


@pytest.fixture
def posted(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What was posted to the form."""
    found: list[bytes] = []

    def post(url: str, *, data: Any, files: Any, timeout: float) -> httpx.Response:
        found.append(files["file"].read())
        return httpx.Response(204)

    monkeypatch.setattr(httpx, "post", post)
    monkeypatch.setattr(batch, "LOOK_EVERY", 0)
    return found


def run(api: Any, file: Path, **asked: Any) -> tuple[int, str]:
    console = Console(record=True, width=100, quiet=False)
    given: dict[str, Any] = {"file": file, "operation": "delete_clients", "parameters": "{}"}
    given |= {"priority": "low", "dry_run": True} | asked
    transport = httpx.MockTransport(api)
    with httpx.Client(transport=transport, base_url="http://api.test") as client:
        code = batch.run(client, argparse.Namespace(**given), console)
    return code, console.export_text()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    place = tmp_path / "items.csv"
    place.write_text("id\n1\n2\n")
    return place


def test_the_file_is_announced_sent_and_followed_to_its_end(
    file: Path, posted: list[bytes]
) -> None:
    api = Api(JOB, DONE)

    code, said = run(api, file)

    assert code == 0
    assert posted == [b"id\n1\n2\n"]
    assert api.sent[0] == ("POST", "/uploads", {"format": "csv", "bytes": 7})
    assert api.sent[1][2] == {
        "operation": "delete_clients",
        "parameters": {},
        "options": {"priority": "low", "dry_run": True},
        "upload": "upload-1",
    }
    assert "completed: 2 deleted" in said


def test_failures_are_listed_with_line_and_reason_and_end_it_with_1(
    file: Path, posted: list[bytes]
) -> None:
    code, said = run(Api(FAILED), file)

    assert code == 1
    assert "completed with errors: 1 deleted, 24 invalid" in said
    assert "3     invalid  name: [missing]  a,b" in said
    assert "and 4 more: GET http://api.test/v1/batches/job-1/items?status=failed" in said
    assert "https://s3.test/result" in said


def test_a_refused_file_is_told_in_the_batchs_words(file: Path, posted: list[bytes]) -> None:
    code, said = run(Api(JOB | {"status": "failed", "error": "The file was refused: why."}), file)

    assert code == 1
    assert "failed: The file was refused: why" in said


def test_what_the_api_refuses_is_told_in_its_words(file: Path, posted: list[bytes]) -> None:
    def refuse(_: httpx.Request) -> httpx.Response:
        details = [{"field": "operation", "message": "is none of: a, b"}]
        told = {"code": "VALIDATION_ERROR", "message": "Bad.", "details": details}
        return httpx.Response(422, json=told)

    with pytest.raises(batch.BatchError, match=r"Bad\. \(422 VALIDATION_ERROR\)\n  operation: is"):
        run(refuse, file)


def test_a_file_of_another_kind_and_bad_parameters_are_not_sent(tmp_path: Path) -> None:
    with pytest.raises(batch.BatchError, match=r"has to end in \.csv, \.ndjson, \.jsonl"):
        run(Api(), tmp_path / "items.xlsx")
    with pytest.raises(batch.BatchError, match="PARAMETERS is not JSON"):
        run(Api(), tmp_path / "items.csv", parameters="{")


def test_without_a_stack_it_says_how_to_start_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("QUOTEKIT_DATA", str(tmp_path))
    monkeypatch.setattr("sys.argv", ["batch", "items.csv", "delete_clients"])

    assert batch.main() == 1
    assert "start one with: make run" in capsys.readouterr().out
