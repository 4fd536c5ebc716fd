"""What template.yaml must hold to, as functions: a template in, complaints out."""

import json
import re
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any, Final

type Template = Mapping[str, Any]
type Resource = Mapping[str, Any]

SECONDS_IN_14_DAYS: Final = 1_209_600
MOST_METRICS_OF_AN_ALARM: Final = 10


def of_type(template: Template, kind: str) -> dict[str, Resource]:
    resources = template["Resources"].items()
    return {name: item for name, item in resources if item["Type"] == kind}


def functions(template: Template) -> dict[str, Resource]:
    """The functions' properties by what their resources are called without `Function`."""
    found = of_type(template, "AWS::Serverless::Function").items()
    return {name.removesuffix("Function"): item["Properties"] for name, item in found}


def snake(name: str) -> str:
    return re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower()


def setting(template: Template, function: Mapping[str, Any], key: str) -> Any:
    return function.get(key, template["Globals"]["Function"].get(key))


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def is_named(template: Template) -> Iterator[str]:
    """Folder, resource, FunctionName and service name are one name."""
    for name, function in functions(template).items():
        kebab = snake(name).replace("_", "-")
        wanted = {
            "CodeUri": f"functions/{snake(name)}/",
            "FunctionName": {"Fn::Sub": f"quotekit-${{Stage}}-{kebab}"},
            "Role": {"Fn::GetAtt": [f"{name}Role", "Arn"]},
            "LoggingConfig": {"LogGroup": {"Ref": f"{name}Logs"}},
        }
        yield from (f"{name}: {key}" for key, value in wanted.items() if function.get(key) != value)
        if function["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"] != kebab:
            yield f"{name}: POWERTOOLS_SERVICE_NAME"


def is_released_and_watched(template: Template) -> Iterator[str]:
    """Alias, reserve, log group, deployment with the function's own alarms."""
    resources = template["Resources"]
    for name, function in functions(template).items():
        if setting(template, function, "AutoPublishAlias") != "live":
            yield f"{name}: no alias live"
        if function.get("AutoPublishAliasAllProperties") is not True:
            yield f"{name}: an edited layer would not be published"
        reserve = {"Fn::FindInMap": ["ReservedConcurrency", name, {"Ref": "Stage"}]}
        if function.get("ReservedConcurrentExecutions") != reserve:
            yield f"{name}: no reserved concurrency"
        if resources.get(f"{name}Logs", {}).get("Type") != "AWS::Logs::LogGroup":
            yield f"{name}: no log group"
        alarms = json.dumps(function.get("DeploymentPreference", {}))
        for alarm in (f"{name}ErrorsAlarm", f"{name}DurationAlarm"):
            if resources.get(alarm, {}).get("Type") != "AWS::CloudWatch::Alarm":
                yield f"{name}: no {alarm}"
            elif name != "DatabaseMigrator" and f'"{alarm}"' not in alarms:
                yield f"{name}: a deployment does not heed {alarm}"


def alarms_mean_what_they_say(template: Template) -> Iterator[str]:
    for name in functions(template):
        resource = {"Name": "Resource", "Value": {"Fn::Sub": f"${{{name}Function}}:live"}}
        rate = template["Resources"][f"{name}ErrorsAlarm"]["Properties"].get("Metrics", [])
        metrics = {
            item["Id"]: item["MetricStat"]["Metric"] for item in rate if "MetricStat" in item
        }
        names = {key: metric["MetricName"] for key, metric in metrics.items()}
        if names != {"errors": "Errors", "invocations": "Invocations"}:
            yield f"{name}: the error rate is not errors of invocations"
        if any(resource not in metric["Dimensions"] for metric in metrics.values()):
            yield f"{name}: the error rate is not the alias's"
        slow = template["Resources"][f"{name}DurationAlarm"]["Properties"]
        if slow.get("ExtendedStatistic") != "p95" or resource not in slow["Dimensions"]:
            yield f"{name}: the duration is not the alias's p95"


def alarms_are_heard(template: Template) -> Iterator[str]:
    for name, alarm in of_type(template, "AWS::CloudWatch::Alarm").items():
        if alarm["Properties"].get("AlarmActions") != [{"Ref": "AlarmTopic"}]:
            yield f"{name}: tells nobody"
        if alarm["Properties"].get("TreatMissingData") != "notBreaching":
            yield f"{name}: would ring when nothing happens"
        looked_at = [
            item for item in alarm["Properties"].get("Metrics", []) if "MetricStat" in item
        ]
        if len(looked_at) > MOST_METRICS_OF_AN_ALARM:
            yield f"{name}: CloudWatch refuses it"
    groups = [name for name in template["Resources"] if name.endswith("ThrottlesAlarm")]
    covered = json.dumps([template["Resources"][name]["Properties"]["Metrics"] for name in groups])
    board = json.dumps(template["Resources"]["Dashboard"]["Properties"]["DashboardBody"])
    for name in functions(template):
        if f'"{name}Function"' not in covered:
            yield f"{name}: throttles go unseen"
        if f"${{{name}Function}}" not in board:
            yield f"{name}: not on the dashboard"


def stays_off_the_emulator(template: Template) -> Iterator[str]:
    """It knows no alarms on metric math."""
    for name, alarm in of_type(template, "AWS::CloudWatch::Alarm").items():
        if "Metrics" in alarm["Properties"] and alarm.get("Condition") != "OnAws":
            yield name


def queues_are_safe(template: Template) -> Iterator[str]:
    queues = {
        name: item["Properties"] for name, item in of_type(template, "AWS::SQS::Queue").items()
    }
    policy = template["Resources"]["QueuesOverTlsOnly"]["Properties"]
    watched = {
        alarm: json.dumps(template["Resources"][alarm]["Properties"]["Metrics"])
        for alarm in ("QueueAgeAlarm", "QueueDepthAlarm", "DeadLettersAlarm")
    }
    for name, queue in queues.items():
        if queue.get("VisibilityTimeout", 30) < 6 * consumer_timeout(template, name):
            yield f"{name}: visible again too early"
        if "KmsMasterKeyId" not in queue:
            yield f"{name}: not encrypted"
        if {"Ref": name} not in policy["Queues"]:
            yield f"{name}: reachable without TLS"
        if name.endswith("DeadLetterQueue"):
            if queue.get("MessageRetentionPeriod") != SECONDS_IN_14_DAYS:
                yield f"{name}: forgets early"
            if f'"{name}"' not in watched["DeadLettersAlarm"]:
                yield f"{name}: not watched"
            continue
        letters = queue.get("RedrivePolicy", {}).get("deadLetterTargetArn")
        if letters != {"Fn::GetAtt": [name.replace("Queue", "DeadLetterQueue"), "Arn"]}:
            yield f"{name}: no dead letters"
        if any(f'"{name}"' not in watched[alarm] for alarm in ("QueueAgeAlarm", "QueueDepthAlarm")):
            yield f"{name}: not watched"


def consumer_timeout(template: Template, queue: str) -> int:
    """Seconds; none for dead letters that only people read."""
    timeouts = [
        int(setting(template, function, "Timeout"))
        for function in functions(template).values()
        for event in function.get("Events", {}).values()
        if event["Type"] == "SQS" and event["Properties"]["Queue"] == {"Fn::GetAtt": [queue, "Arn"]}
    ]
    return max(timeouts, default=0)


def queues_are_consumed_fairly(template: Template) -> Iterator[str]:
    """Partial failures are reported; full queues leave callers, and one another, their part."""
    for name, function in functions(template).items():
        events = function.get("Events", {}).values()
        given = [event["Properties"] for event in events if event["Type"] == "SQS"]
        if any(one.get("FunctionResponseTypes") != ["ReportBatchItemFailures"] for one in given):
            yield f"{name}: one bad message repeats the batch"
        rows = [one["ScalingConfig"]["MaximumConcurrency"]["Fn::FindInMap"][1] for one in given]
        shared = any(event["Type"] == "HttpApi" for event in events)
        for stage, reserve in template["Mappings"]["ReservedConcurrency"][name].items():
            most = [template["Mappings"]["QueueConcurrency"][row][stage] for row in rows]
            if most and not (min(most) >= 2 and sum(most) <= (reserve / 2 if shared else reserve)):
                yield f"{name}: {most} of {reserve} from the queues in {stage}"


def schedules_start_their_function_only(template: Template) -> Iterator[str]:
    """Named after the stage, as two stages share an account, by a role that may do nothing else."""
    scheduled = []
    for name, function in functions(template).items():
        for event in function.get("Events", {}).values():
            if event["Type"] != "ScheduleV2":
                continue
            scheduled.append({"Ref": f"{name}Function.Alias"})
            found = event["Properties"]
            kebab = snake(name).replace("_", "-")
            if found.get("Name") != {"Fn::Sub": f"quotekit-${{Stage}}-{kebab}"}:
                yield f"{name}: its schedule's name"
            if found.get("RoleArn") != {"Fn::GetAtt": ["ScheduleRole", "Arn"]}:
                yield f"{name}: its schedule's role"
    allowed = {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": scheduled}
    policies = template["Resources"]["ScheduleRole"]["Properties"]["Policies"]
    if [policy["PolicyDocument"]["Statement"] for policy in policies] != [[allowed]]:
        yield "ScheduleRole: may do something else than start what is scheduled"


def buckets_are_private(template: Template) -> Iterator[str]:
    policies = {
        item["Properties"]["Bucket"]["Ref"]: json.dumps(item["Properties"]["PolicyDocument"])
        for item in of_type(template, "AWS::S3::BucketPolicy").values()
    }
    for name, item in of_type(template, "AWS::S3::Bucket").items():
        bucket = item["Properties"]
        closed = bucket.get("PublicAccessBlockConfiguration", {})
        if sorted(closed.values()) != [True] * 4:
            yield f"{name}: may be made public"
        if "BucketEncryption" not in bucket:
            yield f"{name}: not encrypted"
        if bucket.get("VersioningConfiguration") != {"Status": "Enabled"}:
            yield f"{name}: overwritten is lost"
        if "AbortIncompleteMultipartUpload" not in json.dumps(bucket.get("LifecycleConfiguration")):
            yield f"{name}: unfinished uploads stay"
        if "aws:SecureTransport" not in policies.get(name, ""):
            yield f"{name}: reachable without TLS"
        if item.get("DeletionPolicy") != "Retain":
            yield f"{name}: goes with the stack"


def is_encrypted_at_rest(template: Template) -> Iterator[str]:
    for name, group in of_type(template, "AWS::Logs::LogGroup").items():
        if group["Properties"].get("KmsKeyId") != {"Fn::GetAtt": ["DataKey", "Arn"]}:
            yield name
        if group["Properties"].get("RetentionInDays") != {"Ref": "LogRetentionDays"}:
            yield f"{name}: kept for ever"
    for name, key in of_type(template, "AWS::KMS::Key").items():
        if key["Properties"].get("EnableKeyRotation") is not True:
            yield f"{name}: not rotated"
    if "KmsMasterKeyId" not in template["Resources"]["AlarmTopic"]["Properties"]:
        yield "AlarmTopic"


def answers_before_the_api_gives_up(template: Template) -> Iterator[str]:
    for name, function in functions(template).items():
        http = any(event["Type"] == "HttpApi" for event in function.get("Events", {}).values())
        if http and setting(template, function, "Timeout") >= 30:
            yield name


def parameters_explain_themselves(template: Template) -> Iterator[str]:
    bounds = {"AllowedValues", "AllowedPattern", "MinLength", "MinValue"}
    for name, parameter in template["Parameters"].items():
        if not parameter.get("Description"):
            yield f"{name}: no description"
        if parameter["Type"] != "CommaDelimitedList" and not bounds & parameter.keys():
            yield f"{name}: takes anything"
    grouped = chain.from_iterable(
        group["Parameters"]
        for group in template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    )
    yield from (f"{name}: in no group" for name in template["Parameters"].keys() ^ set(grouped))
