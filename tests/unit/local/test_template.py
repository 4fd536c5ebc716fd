"""What the stack reads from the built template, and what it changes for the emulator."""

import pytest
import yaml

from local.routes import Cors, Route
from local.template import Deployed, for_emulator

TEMPLATE = yaml.safe_load("""
Parameters:
  Stage: {Type: String, Default: local}
  CorsOrigins: {Type: CommaDelimitedList, Default: "http://a.test, http://b.test"}
Conditions:
  OnAws: {"Fn::Not": [{"Fn::Equals": [{Ref: Stage}, local]}]}
Mappings:
  Reserve: {Worker: {local: 2, production: 9}}
Globals:
  Function: {DeploymentPreference: {Type: AllAtOnce}}
Resources:
  Api:
    Type: AWS::Serverless::HttpApi
    Properties:
      CorsConfiguration:
        AllowOrigins: {Ref: CorsOrigins}
        AllowMethods: [GET, POST]
        AllowHeaders: {"Fn::If": [OnAws, [authorization], [authorization, x-debug]]}
        MaxAge: 600
  Queue: {Type: AWS::SQS::Queue}
  ReaderFunction:
    Type: AWS::Serverless::Function
    Properties:
      ReservedConcurrentExecutions: {"Fn::If": [OnAws, 5, {Ref: "AWS::NoValue"}]}
      DeploymentPreference: {Type: Canary10Percent5Minutes}
      Events:
        One: {Type: HttpApi, Properties: {Path: /v1/a, Method: any}}
        Two: {Type: HttpApi, Properties: {Path: "/v1/a/{proxy+}", Method: GET}}
        Rest: {Type: HttpApi}
  WorkerFunction:
    Type: AWS::Serverless::Function
    Properties:
      ReservedConcurrentExecutions: {"Fn::FindInMap": [Reserve, Worker, {Ref: Stage}]}
      Events:
        Queue: {Type: SQS, Properties: {Queue: {"Fn::GetAtt": [Queue, Arn]}}}
        Off: {Type: SQS, Properties: {Queue: {"Fn::GetAtt": [Queue, Arn]}, Enabled: false}}
        Tick: {Type: ScheduleV2, Properties: {ScheduleExpression: rate(1 minute)}}
  OnlyOnAwsFunction:
    Type: AWS::Serverless::Function
    Condition: OnAws
    Properties: {Events: {Get: {Type: HttpApi, Properties: {Path: /aws, Method: get}}}}
""")
NAMES = {"ReaderFunction": "quotekit-local-reader", "WorkerFunction": "quotekit-local-worker"}


@pytest.fixture
def deployed():
    return Deployed(TEMPLATE, {"Stage": "local"}, NAMES)


def test_routes_come_from_the_functions_that_were_deployed(deployed):
    assert deployed.routes() == [
        Route("ANY", "/v1/a", "quotekit-local-reader"),
        Route("GET", "/v1/a/{proxy+}", "quotekit-local-reader"),
        Route("ANY", "$default", "quotekit-local-reader"),
    ]
    assert deployed.functions() == list(NAMES.values())


def test_cors_is_resolved_with_the_parameters(deployed):
    assert deployed.cors() == Cors(
        ("http://a.test", "http://b.test"), ("GET", "POST"), ("authorization", "x-debug"), (), 600
    )


def test_reserved_concurrency_is_resolved(deployed):
    on_aws = Deployed(TEMPLATE, {"Stage": "production"}, NAMES)

    assert deployed.reserved_concurrency() == {"quotekit-local-worker": 2}
    assert on_aws.reserved_concurrency() == {
        "quotekit-local-reader": 5,
        "quotekit-local-worker": 9,
    }


def test_the_emulator_gets_no_code_deploy_and_leaves_events_to_us():
    edited = for_emulator(TEMPLATE)

    worker = edited["Resources"]["WorkerFunction"]["Properties"]["Events"]
    assert worker["Queue"]["Properties"]["Enabled"] is False
    assert worker["Tick"]["Properties"]["State"] == "DISABLED"
    assert "Off" not in worker
    assert "DeploymentPreference" not in str(edited)
    assert "DeploymentPreference" in str(TEMPLATE)
