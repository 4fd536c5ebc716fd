"""What a door may cost before its first line runs: modules counted, heavy libraries named.

Modules are counted, not milliseconds, so that a busy machine does not fail a test. The time is
measured by `bench/create.py`.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOORS = sorted(path.parent.name for path in (ROOT / "functions").glob("*/app.py"))
LATER = {"boto3", "botocore.session", "jwt", "cryptography", "typst", "stripe", "requests"}
# Room for a handful of modules more; whoever needs many has found something to import later.
BUDGETS = {
    "account_eraser": 560,
    "account_manager": 555,
    "batch_processor": 550,
    "batch_worker": 535,
    "catalog_manager": 550,
    "database_migrator": 440,
    "edge_functions_health_check": 535,
    "mail_sender": 515,
    "mail_templates": 545,
    "quote_mails": 550,
    "notification_sender": 490,
    "outbox_sweeper": 490,
    "quote_expirer": 450,
    "quote_pdf_generator": 570,
    "quote_portal": 600,
    "quote_processor": 545,
    "quote_reminder": 500,
    "quote_versions": 545,
    "onboarding_manager": 550,
    "package_manager": 545,
    "shared_catalogue": 550,
    "subscription_status": 545,
    "invoice_manager": 555,
    "record_purger": 435,
    "test_connection": 530,
    "webhook_handler": 140,
    "dead_letter_recorder": 485,
    "assessment_manager": 555,
    "quote_reporter": 555,
    "webhook_endpoints": 545,
    "webhook_monitor": 560,
    "webhook_worker": 485,
}
# Anybody may knock at this door, so it opens with the standard library alone.
HEAVY = LATER | {"aws_lambda_powertools", "psycopg", "pydantic", "stripe", "quotekit.settings"}
IMPORT = "import json, sys, app; print(json.dumps(sorted(sys.modules)))"


def imported(door: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", IMPORT],
        cwd=ROOT / "functions" / door,
        env={
            "PYTHONPATH": f"{ROOT / 'layers/shared'}:.",
            "POWERTOOLS_SERVICE_NAME": door,
            "POWERTOOLS_METRICS_NAMESPACE": "QuoteKit",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    names: list[str] = json.loads(done.stdout)
    return names


@pytest.mark.parametrize("door", DOORS)
def test_a_door_starts_with_no_more_than_it_needs(door: str) -> None:
    modules = imported(door)

    assert LATER & set(modules) == set()
    assert len(modules) <= BUDGETS[door]


def test_no_environment_is_needed_to_import_a_door() -> None:
    assert imported("quote_processor")  # no AUTH_, no DATABASE_: rule 2 of STYLE


TAKE_ONE = """
import hashlib, json, sys, types, app
from quotekit import exchange

def send(request, timeout):
    if request.service == "s3":
        return exchange.Answer(404, {}, b"")
    given = json.loads(request.body)
    secret = json.dumps({"secrets": ["It's a Secret to Everybody"]})
    digest = hashlib.md5(given.get("MessageBody", "").encode()).hexdigest()
    answer = {"SecretString": secret, "MD5OfMessageBody": digest}
    return exchange.Answer(200, {}, json.dumps(answer).encode())

exchange.send = send
context = types.SimpleNamespace(function_name="webhook-handler", aws_request_id="1")
answer = app.lambda_handler(json.loads(sys.argv[1]), context)
print(json.dumps([answer["statusCode"], sorted(sys.modules)]))
"""


def test_a_webhook_is_verified_and_queued_with_the_standard_library_alone() -> None:
    event = (ROOT / "events/webhook_handler.json").read_text()

    done = subprocess.run(
        [sys.executable, "-c", TAKE_ONE, event],
        cwd=ROOT / "functions/webhook_handler",
        env={
            "PYTHONPATH": f"{ROOT / 'layers/shared'}:.",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "WEBHOOK_SECRETS": "quotekit/local/webhooks",
            "WEBHOOKS_BULK_QUEUE_URL": "https://sqs.test/bulk",
            "ROUTING_BUCKET": "documents",
            "ROUTING_KEY": "routing/webhooks.json",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    status, modules = json.loads(done.stdout.splitlines()[-1])

    assert status == 200
    assert HEAVY & set(modules) == set()
