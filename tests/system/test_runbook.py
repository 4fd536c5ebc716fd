"""The runbook's pages about webhooks and batches: each command is run, and does what it says."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from shutil import which
from textwrap import dedent
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from tests.stacks import ROOT, Stack, eventually
from tests.system.test_webhooks import post, signed, stripe_event

SECTION = "## Webhooks in trouble"
SECRET = "quotekit/local/webhooks/stripe"
DEAD = """
select letter.id, letter.webhook_id from ops.webhook_dead_letters as letter
join ops.webhook_events as event on event.id = letter.webhook_id
where event.event_id = %s and event.status = 'dead'
"""


KEYS = (
    *("dead-letter-queue?", 'events/$EVENT"', "/retry", '"dry_run": true'),
    *('"phase": "open"', '"phase": "automatic"'),
)


def commands(heading: str = SECTION) -> list[str]:
    """What stands behind a `$`, with the lines that go on."""
    text = (ROOT / "docs/operations.md").read_text()
    section = text.partition(f"\n{heading}\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"(?ms)^ *```\n(.*?)^ *```", section)
    return [line for block in blocks for line in re.split(r"(?m)^\$ ", dedent(block))[1:]]


def dead_letter(stack: Stack) -> tuple[str, str]:
    """A letter and its event: a customer of Stripe's without an id, which nothing can mend."""
    event_id = f"evt_{uuid4().hex}"
    body = stripe_event(event_id, "", data={"object": {"object": "customer"}})
    assert post(stack, body, signed(body)).status_code == 200

    def look() -> Any:
        with psycopg.connect(stack.facts["database_url"]) as owner:
            return owner.execute(DEAD, [event_id]).fetchone()

    letter, event = eventually(look)
    return str(letter), str(event)


@pytest.fixture
def stripes_secret(stack: Stack) -> Iterator[None]:
    """The runbook rotates it; afterwards it is what the other tests sign with."""
    client = stack.aws("secretsmanager")
    kept = client.get_secret_value(SecretId=SECRET)["SecretString"]
    yield
    client.put_secret_value(SecretId=SECRET, SecretString=kept)


@pytest.fixture
def shell(stack: Stack, tmp_path: Path) -> dict[str, str]:
    """The environment an operator types in."""
    programs = {
        "aws": f'exec "{sys.executable}" "{Path(__file__).with_name("aws_command.py")}" "$@"'
    }
    if which("jq") is None:
        programs["jq"] = "exec cat"
    for name, line in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{line}\n")
        (tmp_path / name).chmod(0o755)
    return {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "API": stack.facts["api_url"],
        "TOKEN": stack.facts["admin_token"],
        "STAGE": "local",
        "AWS_ENDPOINT_URL": stack.facts["aws_endpoint_url"],
        "AWS_DEFAULT_REGION": stack.facts["region"],
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }


def run(command: str, environment: dict[str, str]) -> str:
    strict = command.replace("curl -s ", "curl -s --fail-with-body ")
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", strict],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.usefixtures("stripes_secret")
def test_every_command_about_webhooks_works(stack: Stack, shell: dict[str, str]) -> None:
    letter, _ = dead_letter(stack)
    _, event = dead_letter(stack)
    with psycopg.connect(stack.facts["database_url"]) as owner:
        known = """insert into ops.breakers (id, dependency, profile)
            values (gen_random_uuid(), 'stripe', 'default') on conflict do nothing"""
        owner.execute(known)
    shell |= {"LETTER": letter, "EVENT": event}
    told: dict[str, str] = {}

    for command in commands():
        name, is_setting, _ = command.partition("=…")
        if is_setting:
            assert shell[name], command
            continue
        told[command] = run(command, shell)
        if '"reason": "fixed' in command:
            shell["REDRIVE"] = json.loads(told[command])["id"]

    said = {key: next(out for c, out in told.items() if key in c) for key in KEYS}
    assert '"unresolved_count"' in said["dead-letter-queue?"]
    assert '"validation"' in said['events/$EVENT"']
    assert '"queued"' in said["/retry"]
    assert '"dry_run"' in said['"dry_run": true']
    assert '"open"' in said['"phase": "open"']
    assert '"closed"' in said['"phase": "automatic"']
    assert len(told) > len(KEYS)


SLOW = {"rate_limit_per_second": 1}


def submit(stack: Stack, shell: dict[str, str], count: int, **options: Any) -> str:
    """A batch that deletes clients nobody knows: every one of its items fails."""
    body = {"operation": "delete_clients", "items": [str(uuid4()) for _ in range(count)]}
    headers = {"authorization": f"Bearer {shell['ACCOUNT']}"}
    url = f"{stack.facts['api_url']}/v1/batches"
    answer = httpx.post(url, json=body | {"options": options}, headers=headers, timeout=30)
    assert answer.status_code == 202, answer.text
    job: str = answer.json()["id"]
    if not options:
        over = f"{url}/{job}"
        eventually(lambda: httpx.get(over, headers=headers).json()["finished_at"])
    return job


def secret_of(stack: Stack, name: str) -> dict[str, str]:
    secret = stack.aws("secretsmanager").get_secret_value(SecretId=name)["SecretString"]
    found: dict[str, str] = json.loads(secret)
    return found


@pytest.fixture
def notify_secret(stack: Stack) -> Iterator[dict[str, str]]:
    client = stack.aws("secretsmanager")
    outputs = stack.aws("cloudformation").describe_stacks(StackName="quotekit-local")
    (name,) = (
        one["OutputValue"]
        for one in outputs["Stacks"][0]["Outputs"]
        if one["OutputKey"] == "NotifySecret"
    )
    kept = secret_of(stack, name)
    yield kept
    client.put_secret_value(SecretId=name, SecretString=json.dumps(kept))


def test_every_command_about_batches_works(
    stack: Stack, shell: dict[str, str], notify_secret: dict[str, str]
) -> None:
    shell |= {"ACCOUNT": stack.facts["token"]}
    over, runs = submit(stack, shell, 20), submit(stack, shell, 500, **SLOW)
    told: dict[str, str] = {}

    for command in commands("## Batches"):
        steers = any(verb in command for verb in ("/pause", "/resume", "/cancel"))
        name, sets, value = command.partition("=$(")
        if sets:
            shell[name] = run(f"echo -n $({value.strip()}", shell | {"JOB": over})
            told[name] = shell[name]
        else:
            told[command] = run(command, shell | {"JOB": runs if steers else over})

    def said(key: str) -> str:
        return next(out for command, out in told.items() if key in command)

    assert '"by_status"' in said("/batch-jobs?")
    assert '"missing"' in said("/items?status=failed")
    assert '"retries": 1' in said("/retry-failed").replace('":1', '": 1')
    assert "paused" in said("/pause")
    assert "cancelling" in said("/cancel")
    assert len(told) > 10
    if which("jq"):
        assert secret_of(stack, told["NOTIFY"])["previous"] == notify_secret["key"]


def test_a_secret_rotated_by_the_runbook_is_good_beside_the_older_one(
    stack: Stack, shell: dict[str, str], stripes_secret: None
) -> None:
    (both, _) = [command for command in commands() if "put-secret-value" in command]
    run(both.replace("whsec_old", "whsec_local"), shell)

    def accepted() -> bool:
        """A signature that fails has the handler look for newer secrets, every half minute."""
        body = stripe_event(f"evt_{uuid4().hex}", f"cus_{uuid4().hex}")
        newer = post(stack, body, signed(body, key="whsec_new")).status_code
        older = post(stack, body, signed(body)).status_code
        time.sleep(1)
        return (newer, older) == (200, 200)

    assert eventually(accepted, seconds=60)
