"""A file of items through one operation, followed to its end: `make batch FILE=… OPERATION=…`.

Of the running local stack; QUOTEKIT_URL and QUOTEKIT_TOKEN name any other. Ends with 0 when every
item was done, with 1 when one was not or the batch did not come to its end.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.table import Table

from local.settings import SettingsError, read

type Json = dict[str, Any]

FORMATS: Final = {".csv": "csv", ".ndjson": "ndjson", ".jsonl": "ndjson"}
OVER: Final = frozenset({"completed", "completed_with_errors", "failed", "cancelled"})
LOOK_EVERY: Final = 0.25  # seconds
SHOWN: Final = 20  # failures
COLOURS: Final = {"completed": "green", "completed_with_errors": "yellow"}


class BatchError(Exception):
    """The batch cannot be sent or followed; the message is for whoever sent it."""


def main() -> int:
    console = Console(highlight=False, soft_wrap=True)
    try:
        with connect() as api:
            return run(api, arguments(), console)
    except (BatchError, SettingsError, OSError, httpx.HTTPError) as error:
        console.print(f"[bold red]error:[/] {escape(str(error) or type(error).__name__)}")
        return 1


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make batch", description=__doc__)
    parser.add_argument("file", type=Path, help="NDJSON (.ndjson, .jsonl) or CSV")
    parser.add_argument("operation")
    parser.add_argument("--parameters", default="{}", help="the operation's own, as JSON")
    parser.add_argument("--priority", default="normal", choices=["high", "normal", "low"])
    parser.add_argument("--dry-run", action="store_true", help="say what would happen")
    return parser.parse_args()


def connect() -> httpx.Client:
    """The API of the environment, else of the local stack."""
    url, token = os.environ.get("QUOTEKIT_URL"), os.environ.get("QUOTEKIT_TOKEN")
    if not (url and token):
        contract = read().local / "stack.json"
        if not contract.exists():
            raise BatchError("no stack is running; start one with: make run")
        facts = json.loads(contract.read_text(encoding="utf-8"))
        url, token = url or facts["api_url"], token or facts["token"]
    return httpx.Client(base_url=url, headers={"authorization": f"Bearer {token}"}, timeout=30)


def run(api: httpx.Client, asked: argparse.Namespace, console: Console) -> int:
    body = request(asked)
    body["upload"] = upload(api, asked.file, console)
    job = ask(api, "POST", "/v1/batches", json=body)
    console.print(f"batch [bold]{job['id']}[/] {body['operation']}, from {escape(str(asked.file))}")
    try:
        job = follow(api, job, console)
    except KeyboardInterrupt:
        console.print(
            "\nIt goes on without you. To end it: POST "
            f"{api.base_url}/v1/batches/{job['id']}/cancel",
            soft_wrap=True,
        )
        return 1
    report(api, job, console)
    return 0 if job["status"] == "completed" else 1


def request(asked: argparse.Namespace) -> Json:
    try:
        parameters = json.loads(asked.parameters)
    except ValueError as error:
        raise BatchError(f"PARAMETERS is not JSON: {error}") from error
    options = {"priority": asked.priority, "dry_run": asked.dry_run}
    return {"operation": asked.operation, "parameters": parameters, "options": options}


def upload(api: httpx.Client, file: Path, console: Console) -> str:
    """Announce the file and send it by the form; the upload's id."""
    form = FORMATS.get(file.suffix.lower())
    if form is None:
        raise BatchError(f"{file} has to end in {', '.join(FORMATS)}")
    size = file.stat().st_size
    offered = ask(api, "POST", "/v1/batches/uploads", json={"format": form, "bytes": size})
    with console.status(f"uploading {size:,} bytes"), file.open("rb") as content:
        sent = httpx.post(
            offered["url"], data=offered["fields"], files={"file": content}, timeout=600
        )
    if not sent.is_success:
        raise BatchError(f"the upload was answered {sent.status_code}: {sent.text[:300]}")
    upload_id: str = offered["id"]
    return upload_id


def follow(api: httpx.Client, job: Json, console: Console) -> Json:
    columns = (
        TextColumn("{task.description:<21}"),
        BarColumn(bar_width=40),
        MofNCompleteColumn(),
        TextColumn("{task.fields[told]}"),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(job["status"], total=None, told="")
        show(progress, task, job)
        while job["status"] not in OVER:
            time.sleep(LOOK_EVERY)
            job = ask(api, "GET", f"/v1/batches/{job['id']}")
            show(progress, task, job)
    return job


def show(progress: Progress, task: TaskID, job: Json) -> None:
    counts, rate, left = job["counts"], job["rate"], job["expected"]["seconds"]
    told = []
    if job["status"] == "preparing":
        told.append(f"{job['upload']['lines']:,} lines read")
    if counts["failed"]:
        told.append(f"[red]{counts['failed']:,} failed[/]")
    if rate["items_per_second"]:
        told.append(f"{rate['items_per_second']:,.0f} items/s")
    if left is not None:
        told.append(f"{left:.0f} s left")
    done = counts["succeeded"] + counts["failed"] + counts["skipped"]
    progress.update(
        task,
        description=job["status"].replace("_", " "),
        total=counts["total"],
        completed=done,
        told="  ".join(told),
    )


def report(api: httpx.Client, job: Json, console: Console) -> None:
    status, tallies = job["status"], job["tallies"]
    said = ", ".join(
        f"{count:,} {code}" for code, count in sorted(tallies.items()) if code != "matched"
    )
    colour = COLOURS.get(status, "red")
    rehearsed = " (dry run: nothing was changed)" if job["dry_run"] else ""
    told = ". ".join(part for part in (escape(job["error"] or "").rstrip("."), said) if part)
    console.print(f"[bold {colour}]{status.replace('_', ' ')}[/]{rehearsed}: {told}")
    if job["counts"]["failed"]:
        console.print(failures(api, job))
        left = job["counts"]["failed"] - SHOWN
        if left > 0:
            path = f"/v1/batches/{job['id']}/items?status=failed"
            console.print(f"and {left:,} more: GET {api.base_url}{path}")
    if job["has_result"]:
        result = ask(api, "GET", f"/v1/batches/{job['id']}/result")
        console.print(f"result: {result['bytes']:,} bytes of {result['type']}")
        console.print(result["url"])


def failures(api: httpx.Client, job: Json) -> Table:
    table = Table("line", "outcome", "why", "item", box=None, header_style="bold", pad_edge=False)
    path = f"/v1/batches/{job['id']}/items?status=failed&limit={SHOWN}"
    for item in ask(api, "GET", path)["data"]:
        given = item["item"]
        text = given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)
        why = item["message"] or ""
        table.add_row(str(item["line"] or ""), item["code"], escape(why), escape(text[:80]))
    return table


def ask(api: httpx.Client, method: str, path: str, **sent: Any) -> Json:  # noqa: ANN401 httpx's
    """What the API answers. Raises BatchError with its own words."""
    answer = api.request(method, path, **sent)
    if answer.is_success:
        found: Json = answer.json()
        return found
    raise BatchError("\n".join(refusal(answer)))


def refusal(answer: httpx.Response) -> Iterator[str]:
    try:
        told = answer.json()
        yield f"{told['message']} ({answer.status_code} {told['code']})"
        for detail in told["details"]:
            yield f"  {detail['field']}: {detail['message']}"
    except (ValueError, KeyError, TypeError):
        yield f"{answer.request.url} answered {answer.status_code}: {answer.text[:300]}"


if __name__ == "__main__":
    sys.exit(main())
