"""What each function's role may do, said a second time: a wider template is not enough."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from tests.house.rules import Template, as_list, functions

LOGS: Final = {"logs:CreateLogStream", "logs:PutLogEvents"}
TRACES: Final = {"xray:PutTraceSegments", "xray:PutTelemetryRecords"}
ENCRYPTION: Final = {"kms:Decrypt", "kms:GenerateDataKey"}
NETWORK: Final = {
    "ec2:CreateNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:DeleteNetworkInterface",
    "ec2:AssignPrivateIpAddresses",
    "ec2:UnassignPrivateIpAddresses",
}
EVERYBODY: Final = LOGS | TRACES | ENCRYPTION | NETWORK
SECRETS: Final = {"secretsmanager:GetSecretValue"}
DATABASE: Final = SECRETS
CONSUME: Final = {
    "sqs:ReceiveMessage",
    "sqs:DeleteMessage",
    "sqs:ChangeMessageVisibility",
    "sqs:GetQueueAttributes",
}
ALLOWED: Final[Mapping[str, set[str]]] = {
    "TestConnection": set(),
    "EdgeFunctionsHealthCheck": DATABASE
    | {"sqs:GetQueueAttributes", "cloudwatch:GetMetricStatistics", "s3:ListBucket"},
    "CatalogManager": DATABASE | {"s3:GetObject", "s3:PutObject", "s3:ListBucket"},
    "SharedCatalogue": DATABASE,
    "PackageManager": DATABASE,
    "OnboardingManager": DATABASE,
    "QuoteProcessor": DATABASE | {"sqs:SendMessage"},
    "QuoteVersions": DATABASE,
    "MailTemplates": DATABASE,
    "QuoteMails": DATABASE,
    "QuotePortal": DATABASE | {"sqs:SendMessage", "s3:GetObject", "s3:ListBucket"},
    "QuotePdfGenerator": DATABASE
    | CONSUME
    | {"sqs:SendMessage", "s3:GetObject", "s3:PutObject", "s3:ListBucket"},
    "MailSender": DATABASE | CONSUME | {"s3:GetObject", "ses:SendEmail", "ses:SendRawEmail"},
    "OutboxSweeper": DATABASE | {"sqs:SendMessage"},
    "WebhookHandler": SECRETS
    | {"sqs:SendMessage", "s3:PutObject", "s3:GetObject", "s3:ListBucket"},
    "WebhookWorker": DATABASE | CONSUME | {"sqs:SendMessage", "s3:GetObject"},
    "DeadLetterRecorder": DATABASE | CONSUME | {"s3:GetObject"},
    "WebhookMonitor": DATABASE
    | {"sqs:SendMessage", "sqs:GetQueueAttributes"}
    | {"s3:GetObject", "s3:PutObject", "s3:ListBucket"},
    "AccountManager": DATABASE | {"sqs:SendMessage"},
    "AccountEraser": DATABASE
    | {"s3:ListBucketVersions", "s3:DeleteObjectVersion", "secretsmanager:DeleteSecret"}
    | {"ses:SendEmail", "ses:SendRawEmail"},
    "WebhookEndpoints": DATABASE
    | {f"secretsmanager:{verb}Secret" for verb in ("Create", "Delete")}
    | {"secretsmanager:PutSecretValue"},
    "SubscriptionStatus": DATABASE,
    "InvoiceManager": DATABASE,
    "BatchProcessor": DATABASE
    | {"sqs:SendMessage", "s3:GetObject", "s3:PutObject", "s3:ListBucket"}
    | {"s3:AbortMultipartUpload"},
    "BatchWorker": DATABASE
    | CONSUME
    | {"sqs:SendMessage", "s3:GetObject", "s3:PutObject", "s3:ListBucket"}
    | {"s3:AbortMultipartUpload"},
    "NotificationSender": DATABASE | CONSUME,
    "AssessmentManager": DATABASE,
    "QuoteReporter": DATABASE,
    "QuoteExpirer": DATABASE,
    "QuoteReminder": DATABASE | {"sqs:SendMessage"},
    "RecordPurger": DATABASE,
    "DatabaseMigrator": DATABASE,
}
# Services that know no resources to name.
WITHOUT_RESOURCES: Final = NETWORK | TRACES | {"cloudwatch:GetMetricStatistics"}


def statements(template: Template, name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """A role's statements with the policy they stand in; optional ones count as given."""
    role = template["Resources"][f"{name}Role"]["Properties"]
    policies = [(name, policy["PolicyDocument"]) for policy in role["Policies"]]
    for managed in role["ManagedPolicyArns"]:
        policy = template["Resources"][managed["Ref"]]["Properties"]["PolicyDocument"]
        policies.append((managed["Ref"], policy))
    for origin, document in policies:
        for statement in document["Statement"]:
            yield origin, statement.get("Fn::If", [None, statement])[1]


def may_no_more_than_it_does(template: Template) -> Iterator[str]:
    """A role of its own, exactly the listed actions, and resources that are named."""
    for name in functions(template):
        actions: set[str] = set()
        for origin, statement in statements(template, name):
            these = set(as_list(statement["Action"]))
            actions |= these
            if "*" in as_list(statement["Resource"]) and these - WITHOUT_RESOURCES:
                yield f"{name}: {sorted(these)} on every resource, in {origin}"
        if actions != EVERYBODY | ALLOWED.get(name, set()):
            yield f"{name}: {sorted(actions ^ (EVERYBODY | ALLOWED.get(name, set())))}"
        trusted = template["Resources"][f"{name}Role"]["Properties"]["AssumeRolePolicyDocument"]
        if [item["Principal"] for item in trusted["Statement"]] != [
            {"Service": "lambda.amazonaws.com"}
        ]:
            yield f"{name}: others may take its role"


def reads_its_own_secret(template: Template) -> Iterator[str]:
    for name, function in functions(template).items():
        variable = function["Environment"]["Variables"].get("DATABASE_SECRET")
        granted = json.dumps([item for _, item in statements(template, name)])
        own = {
            "DatabaseMigrator": "MigrationSecret",
            "TestConnection": None,
            "WebhookHandler": None,
        }
        wanted = own.get(name, "DatabaseSecret")
        if variable != (wanted and {"Ref": wanted}):
            yield f"{name}: {variable}"
        other = {"MigrationSecret", "DatabaseSecret"} - {wanted}
        yield from (f"{name}: may read {secret}" for secret in other if f"${{{secret}}}" in granted)
