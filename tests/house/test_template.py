"""template.yaml keeps the rules of DESIGN §1, and each rule notices when it does not."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from functools import reduce
from typing import Any, Final

import pytest

from local.postgres import SETTINGS
from quotekit import api
from quotekit.operations import health
from quotekit.settings import DatabaseSettings, documented
from quotekit.webhooks import applying
from tests.house import permissions, rules
from tests.house.conftest import ROOT, read, translate
from tests.house.rules import Template, functions, snake

CONNECTIONS_FOR_PEOPLE: Final = 20
MOST_RESOURCES: Final = 400  # of CloudFormation's 500
# Known to Lambda and Powertools, so to no settings class.
LIBRARIES: Final = {"LOG_LEVEL", "POWERTOOLS_SERVICE_NAME", "POWERTOOLS_METRICS_NAMESPACE"}

RULES: Final = (
    *(rules.is_named, rules.is_released_and_watched, rules.alarms_mean_what_they_say),
    *(rules.alarms_are_heard, rules.stays_off_the_emulator, rules.queues_are_safe),
    *(rules.queues_are_consumed_fairly, rules.schedules_start_their_function_only),
    *(rules.buckets_are_private, rules.is_encrypted_at_rest),
    *(rules.answers_before_the_api_gives_up, rules.parameters_explain_themselves),
    *(permissions.may_no_more_than_it_does, permissions.reads_its_own_secret),
)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_template_keeps_the_rule(rule, template):
    complaints = list(rule(template))

    assert complaints == []


type Path = str


def put(path: Path, value: Any) -> Callable[[Any], None]:
    """Set what a path of keys leads to, below Resources; numbers are places in a list."""

    def mutate(template: Any) -> None:
        *way, last = [int(key) if key.isdigit() else key for key in path.split("/")]
        reduce(lambda node, key: node[key], way, template["Resources"])[last] = value

    return mutate


def drop(path: Path) -> Callable[[Any], None]:
    def mutate(template: Any) -> None:
        *way, last = path.split("/")
        del reduce(lambda node, key: node[key], way, template["Resources"])[last]

    return mutate


def widen(path: Path, value: Any) -> Callable[[Any], None]:
    def mutate(template: Any) -> None:
        keys = [int(key) if key.isdigit() else key for key in path.split("/")]
        reduce(lambda node, key: node[key], keys, template["Resources"]).append(value)

    return mutate


EVERYTHING: Final = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
MAIL: Final = "MailSenderFunction/Properties"
QUEUE: Final = f"{MAIL}/Events/Queue/Properties"
BULK: Final = "WebhookWorkerFunction/Properties/Events/WebhooksBulk/Properties"
EXPIRER: Final = "QuoteExpirerFunction/Properties/Events/Schedule/Properties"
SCHEDULES: Final = "ScheduleRole/Properties/Policies/0/PolicyDocument/Statement"
VARIABLES: Final = f"{MAIL}/Environment/Variables"
ROLE: Final = "QuoteProcessorRole/Properties/Policies/0/PolicyDocument/Statement"
SECRET: Final = "DatabasePolicy/Properties/PolicyDocument/Statement/0"
PUBLIC: Final = "AssetsBucket/Properties/PublicAccessBlockConfiguration"
STRANGER: Final = {"Fn::GetAtt": ["QuoteExpirerRole", "Arn"]}
MUTANTS: Final[Mapping[Any, tuple[Callable[[Any], None], ...]]] = {
    rules.is_named: (put(f"{MAIL}/CodeUri", "functions/mail/"), put(f"{MAIL}/Role", STRANGER)),
    rules.is_released_and_watched: (
        drop(f"{MAIL}/AutoPublishAliasAllProperties"),
        drop(f"{MAIL}/ReservedConcurrentExecutions"),
        drop(f"{MAIL}/DeploymentPreference"),
        drop("MailSenderErrorsAlarm"),
        drop("MailSenderLogs"),
    ),
    rules.alarms_mean_what_they_say: (
        put("MailSenderDurationAlarm/Properties/ExtendedStatistic", "p50"),
        put("MailSenderErrorsAlarm/Properties/Metrics", []),
    ),
    rules.alarms_are_heard: (
        drop("MailSenderErrorsAlarm/Properties/AlarmActions"),
        put("ThrottlesAlarm/Properties/Metrics", []),
        put("ThrottlesAlarm/Properties/Metrics", [{"MetricStat": {}}] * 11),
        put("Dashboard/Properties/DashboardBody", {}),
    ),
    rules.stays_off_the_emulator: (drop("DeadLettersAlarm/Condition"),),
    rules.queues_are_safe: (
        drop("MailQueue/Properties/KmsMasterKeyId"),
        drop("PdfQueue/Properties/RedrivePolicy"),
        put("PdfQueue/Properties/VisibilityTimeout", 173),
        put(f"{MAIL}/Timeout", 51),
        put("PdfDeadLetterQueue/Properties/MessageRetentionPeriod", 345_600),
        put("WebhooksDeadLetterQueue/Properties/VisibilityTimeout", 179),
        put("DeadLettersAlarm/Properties/Metrics", []),
        put("QueuesOverTlsOnly/Properties/Queues", []),
    ),
    rules.queues_are_consumed_fairly: (
        drop(f"{QUEUE}/FunctionResponseTypes"),
        put(f"{BULK}/ScalingConfig/MaximumConcurrency/Fn::FindInMap/1", "Webhooks"),
    ),
    rules.schedules_start_their_function_only: (
        drop(f"{EXPIRER}/Name"),
        put(f"{EXPIRER}/RoleArn", STRANGER),
        put(f"{SCHEDULES}/0/Resource", "*"),
        widen(SCHEDULES, EVERYTHING),
    ),
    rules.buckets_are_private: (
        drop("DocumentsBucket/Properties/BucketEncryption"),
        put(f"{PUBLIC}/BlockPublicPolicy", value=False),
        drop("DocumentsBucketPolicy"),
        drop("DocumentsBucket/DeletionPolicy"),
    ),
    rules.is_encrypted_at_rest: (
        drop("QuoteProcessorLogs/Properties/KmsKeyId"),
        put("DataKey/Properties/EnableKeyRotation", value=False),
    ),
    rules.answers_before_the_api_gives_up: (put("QuoteProcessorFunction/Properties/Timeout", 30),),
    permissions.may_no_more_than_it_does: (
        widen(ROLE, EVERYTHING),
        widen(f"{ROLE}/0/Action", "logs:CreateLogGroup"),
        put(f"{ROLE}/1/Resource", "*"),
        put(f"{SECRET}/Resource", "*"),
        put(f"{ROLE}/1/Action", "sqs:ReceiveMessage"),
    ),
    permissions.reads_its_own_secret: (
        put(f"{VARIABLES}/DATABASE_SECRET", {"Ref": "MigrationSecret"}),
        put("TestConnectionRole/Properties/ManagedPolicyArns", [{"Ref": "DatabasePolicy"}]),
    ),
}
BROKEN: Final = [(rule, mutate) for rule, mutants in MUTANTS.items() for mutate in mutants]


@pytest.mark.parametrize(("rule", "mutate"), BROKEN)
def test_a_rule_notices_a_template_that_breaks_it(rule, mutate, template):
    mutant = deepcopy(template)
    mutate(mutant)

    complaints = list(rule(mutant))

    assert complaints


def names() -> list[str]:
    """What is in the template or in functions/, so that neither can have one the other lacks."""
    folders = {path.parent.name for path in (ROOT / "functions").glob("*/app.py")}
    return sorted(folders | {snake(name) for name in functions(read("template.yaml"))})


@pytest.mark.parametrize("name", names())
def test_a_function_has_its_name_in_five_places(name, template):
    resource = name.title().replace("_", "") + "Function"
    readme = ROOT / "README.md"
    text = readme.read_text() if readme.exists() else ""
    rows = re.findall(r"^\|\s*`([a-z-]+)`\s*\|", text, re.MULTILINE)

    places = {
        "template": resource in template["Resources"],
        "folder": (ROOT / "functions" / name / "app.py").exists(),
        "event": (ROOT / "events" / f"{name}.json").exists(),
        "test": (ROOT / "tests" / "functions" / f"test_{name}.py").exists(),
        "README": name.replace("_", "-") in rows,
    }

    assert [place for place, found in places.items() if not found] == []


def test_the_translated_template_leaves_room_below_cloudformations_limit(translated):
    assert len(functions(read("template.yaml"))) < len(translated["Resources"]) <= MOST_RESOURCES


def references(node: Any) -> Iterator[str]:
    """Every resource a part of a translated template waits for."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            if key == "Ref":
                yield value
            elif key == "Fn::GetAtt":
                yield value[0] if isinstance(value, list) else value.partition(".")[0]
            elif key == "Fn::Sub":
                text = value[0] if isinstance(value, list) else value
                yield from (name.partition(".")[0] for name in re.findall(r"\$\{([^}!]+)\}", text))
            elif key == "DependsOn":
                yield from rules.as_list(value)
            yield from references(value)
    elif isinstance(node, list):
        for item in node:
            yield from references(item)


def circles(template: Template) -> set[str]:
    """Resources that wait for themselves: CloudFormation refuses what `sam validate` lets pass."""
    waits = {
        name: set(references(item)) & template["Resources"].keys()
        for name, item in template["Resources"].items()
    }
    while free := {name for name, others in waits.items() if not others & waits.keys()}:
        waits = {name: others for name, others in waits.items() if name not in free}
    return set(waits)


def test_no_resource_waits_for_itself(translated):
    assert circles(translated) == set()


def test_a_deployment_that_refers_to_the_apis_alarm_would_close_a_circle():
    text = (ROOT / "template.yaml").read_text()

    mutant = translate(text.replace('!Sub "quotekit-${Stage}-api-errors"', "!Ref ApiErrorsAlarm"))

    assert "HttpApi" in circles(mutant)


def versions(text: str) -> set[str]:
    """The versions a deploy publishes: one whose name CloudFormation knows is not made again."""
    return set(rules.of_type(translate(text), "AWS::Lambda::Version"))


def after_an_edit_of_the_shared_layer(text: str) -> tuple[set[str], set[str]]:
    before, after = (text.replace("layers/shared/", f"s3://built/{key}") for key in ("one", "two"))
    return versions(before), versions(after)


def test_an_edit_of_the_shared_layer_alone_publishes_a_version_of_every_function():
    text = (ROOT / "template.yaml").read_text()

    before, after = after_an_edit_of_the_shared_layer(text)

    assert len(before) == len(after) == len(functions(read("template.yaml")))
    assert before & after == set()


def test_without_its_publish_lambda_version_the_alias_would_serve_the_old_layer():
    text = (ROOT / "template.yaml").read_text().replace("PublishLambdaVersion: true", "")

    before, after = after_an_edit_of_the_shared_layer(text)

    assert before == after


def reserved(template: Template, stage: str) -> int:
    """The connections the functions can hold in a stage: one a sandbox."""
    return sum(
        template["Mappings"]["ReservedConcurrency"][name][stage]
        for name, function in functions(template).items()
        if "DATABASE_SECRET" in function["Environment"]["Variables"]
    )


@pytest.mark.parametrize("stage", ["local", "staging", "production"])
def test_the_functions_connections_fit_the_database(stage, template, database_stack):
    most = database_stack["Parameters"]["MaximumConnections"]["Default"]
    most = int(SETTINGS["max_connections"]) if stage == "local" else most

    held = reserved(template, stage) * DatabaseSettings.model_fields["pool_max"].default

    assert held <= most - CONNECTIONS_FOR_PEOPLE
    assert f"{stage} {held}" in " ".join((ROOT / "template.yaml").read_text().split())


def test_every_variable_is_one_that_settings_declare(template):
    declared = {setting.variable for setting in documented()} | LIBRARIES
    given = set(template["Globals"]["Function"]["Environment"]["Variables"])
    for function in functions(template).values():
        given |= function["Environment"]["Variables"].keys()

    assert given - declared == set()


RECEIVES: Final = [
    *(("MailQueue", "MAIL_RECEIVES"), ("PdfQueue", "PDF_RECEIVES")),
    ("NotificationsQueue", "NOTIFICATION_RECEIVES"),
]


@pytest.mark.parametrize(("queue", "variable"), RECEIVES)
def test_queue_and_consumer_agree_which_delivery_is_the_last(queue, variable, template):
    (known,) = (item.default for item in documented() if item.variable == variable)

    given = template["Resources"][queue]["Properties"]["RedrivePolicy"]["maxReceiveCount"]

    assert str(given) == known


def test_notifications_reach_this_machine_on_the_local_stack_only(template):
    given = {
        name: function["Environment"]["Variables"].get("NOTIFY_LOCALLY")
        for name, function in functions(template).items()
    }
    told = {name: value for name, value in given.items() if value is not None}

    assert sorted(told) == ["BatchProcessor", "NotificationSender"]
    assert all(value == {"Fn::If": ["OnAws", "", "1"]} for value in told.values())
    assert template["Conditions"]["OnAws"] == {
        "Fn::Not": [{"Fn::Equals": [{"Ref": "Stage"}, "local"]}]
    }


def test_browsers_may_read_the_headers_that_the_api_sends(template):
    cors = template["Resources"]["HttpApi"]["Properties"]["CorsConfiguration"]

    assert cors["ExposeHeaders"] == api.EXPOSED.lower().split(",")


def test_a_mail_is_leased_for_longer_than_its_sender_runs(template):
    source = (ROOT / "functions/mail_sender/app.py").read_text()

    (lease,) = re.findall(r"LEASE_SECONDS: Final = (\d+)", source)

    assert functions(template)["MailSender"]["Timeout"] < int(lease)


def test_the_dashboard_is_json_and_shows_every_function_by_its_name(template):
    (dashboard,) = rules.of_type(template, "AWS::CloudWatch::Dashboard").values()
    body = dashboard["Properties"]["DashboardBody"]
    text = body["Fn::Sub"] if isinstance(body, dict) else body
    text = text if isinstance(text, str) else text[0]

    drawn = json.dumps(json.loads(text))

    for name in sorted(path.parent.name for path in ROOT.glob("functions/*/app.py")):
        assert f'"label": "{name.replace("_", "-")}"' in drawn


def test_the_health_check_is_told_of_every_queue(template):
    variables = functions(template)["EdgeFunctionsHealthCheck"]["Environment"]["Variables"]
    told = {name: value["Ref"] for name, value in variables.items() if name.endswith("_QUEUE_URL")}

    queues = rules.of_type(template, "AWS::SQS::Queue")

    assert told == {f"{snake(name).upper()}_URL": name for name in queues}


def limits(template: Template) -> dict[str, int]:
    """Seconds a message of each queue may be old before queue-age rings."""
    metrics = template["Resources"]["QueueAgeAlarm"]["Properties"]["Metrics"]
    queues = {
        item["Id"]: item["MetricStat"]["Metric"]["Dimensions"][0]["Value"]["Fn::GetAtt"][0]
        for item in metrics
        if "MetricStat" in item
    }
    shares = [item["Expression"] for item in metrics if "/" in item.get("Expression", "")]
    return {
        snake(queues[name].removesuffix("Queue")).replace("_", "-"): int(share.rpartition("/")[2])
        for share in shares
        for name in re.findall(r"\w+", share.rpartition("/")[0])
        if name in queues
    }


def test_a_message_that_waits_out_its_retries_rings_no_alarm(template):
    (attempts,) = (int(s.default) for s in documented() if s.variable == "WEBHOOK_ATTEMPTS")
    longest = 1.3 * sum(applying.pause(failures) for failures in range(1, attempts))

    known = limits(template)

    queues = {name for name in rules.of_type(template, "AWS::SQS::Queue") if "Dead" not in name}
    assert known.keys() == {snake(name.removesuffix("Queue")).replace("_", "-") for name in queues}
    assert min(known[name] for name in known if name.startswith("webhooks")) > longest
    assert known == {name: health.PATIENCE.get(name, health.USUAL_PATIENCE) for name in known}
