"""The runbook, the optional database stack and sam's settings."""

import re

from local import web
from tests.house import rules
from tests.house.conftest import ROOT, read
from tests.house.rules import Template, functions


def test_the_database_stack_is_encrypted_private_and_kept(database_stack):
    resources = database_stack["Resources"]
    cluster = resources["Cluster"]["Properties"]
    instances = rules.of_type(database_stack, "AWS::RDS::DBInstance").values()

    assert cluster["StorageEncrypted"] is True
    assert cluster["DeletionProtection"] is True
    assert resources["Cluster"]["DeletionPolicy"] == "Snapshot"
    assert [item["Properties"]["PubliclyAccessible"] for item in instances] == [False, False]
    assert resources["Proxy"]["Properties"]["RequireTLS"] is True
    assert resources["ClusterParameters"]["Properties"]["Parameters"]["rds.force_ssl"] == "1"


def named(template: Template, other: str) -> set[str]:
    """The parameters of the other template that this one's outputs say they are for."""
    texts = [output["Description"] for output in template["Outputs"].values()]
    return set(re.findall(rf"Parameter (\w+) of {other}", " ".join(texts)))


def test_what_one_stack_puts_out_for_another_is_its_parameter(template, database_stack, web_stack):
    for stack in (database_stack, web_stack):
        wanted = named(stack, "template.yaml")
        assert wanted
        assert wanted <= template["Parameters"].keys()
    assert named(template, "web.yaml") <= web_stack["Parameters"].keys()


def test_the_distribution_leads_where_the_local_front_leads(template, web_stack):
    config = web_stack["Resources"]["Distribution"]["Properties"]["DistributionConfig"]
    (page,) = config["CacheBehaviors"]
    events = functions(template)["QuotePortal"]["Events"].values()
    routes = [event["Properties"]["Path"] for event in events]

    assert config["DefaultCacheBehavior"]["TargetOriginId"] == "files"
    assert (page["PathPattern"], page["TargetOriginId"]) == ("/q/*", "api")
    assert {path for path in routes if not path.startswith("/v1/")} == {
        *("/q/{token}", "/q/{token}/{form}"),
    }
    assert f"web/ s3://$bucket{web.PREFIX}/" in (ROOT / "docs/operations.md").read_text()


def test_the_files_of_the_page_are_read_through_the_distribution_alone(web_stack):
    bucket = web_stack["Resources"]["WebBucket"]["Properties"]
    policy = web_stack["Resources"]["WebBucketPolicy"]["Properties"]["PolicyDocument"]
    allowed = [item for item in policy["Statement"] if item["Effect"] == "Allow"]

    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert [item["Principal"] for item in allowed] == [{"Service": "cloudfront.amazonaws.com"}]
    assert "distribution/${Distribution}" in str(allowed[0]["Condition"])


def alarm_names(*templates: Template) -> set[str]:
    """Without the prefix all share; a function's own two as the runbook writes them."""
    found = set()
    for template in templates:
        for resource, alarm in rules.of_type(template, "AWS::CloudWatch::Alarm").items():
            name = alarm["Properties"]["AlarmName"]["Fn::Sub"].removeprefix("quotekit-${Stage}-")
            own = resource.removesuffix("ErrorsAlarm").removesuffix("DurationAlarm")
            is_own = own in functions(read("template.yaml"))
            found.add(f"<function>-{name.rpartition('-')[2]}" if is_own else name)
    return found


def test_the_runbook_says_what_to_do_about_every_alarm(template, database_stack):
    text = (ROOT / "docs/operations.md").read_text()

    rows = set(re.findall(r"^\| `([<>a-z-]+)` \|", text, re.MULTILINE))

    assert rows == alarm_names(template, database_stack)


def test_an_alarm_watches_a_metric_that_a_function_writes(template):
    alarms = rules.of_type(template, "AWS::CloudWatch::Alarm").values()
    watched = [alarm["Properties"] for alarm in alarms]
    for alarm in alarms:
        found = [item.get("MetricStat", {}) for item in alarm["Properties"].get("Metrics", [])]
        watched += [stat["Metric"] for stat in found if stat]
    own = {item["MetricName"] for item in watched if item.get("Namespace") == "QuoteKit"}
    sources = [*(ROOT / "functions").rglob("*.py"), *(ROOT / "layers/shared").rglob("*.py")]
    written = "".join(path.read_text() for path in sources)

    assert "OldestPendingChunk" in own
    assert [name for name in sorted(own) if f'"{name}"' not in written] == []


def test_the_settings_of_sam_name_no_account_and_no_host():
    text = (ROOT / "samconfig.toml").read_text()

    assert re.findall(r"\d{12}|https?://|arn:", text) == []
    assert re.findall(r"^\[(\w+)\.deploy\.parameters\]", text, re.MULTILINE) == [
        "local",
        "staging",
        "production",
    ]
