"""The built template: what is changed for the emulator, what it says of API and functions."""

import re
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, Final

import yaml

from local.invocation import ACCOUNT, REGION
from local.routes import Cors, Route

FUNCTION: Final = "AWS::Serverless::Function"
HTTP_API: Final = "AWS::Serverless::HttpApi"
PSEUDO: Final = {
    "AWS::Region": REGION,
    "AWS::AccountId": ACCOUNT,
    "AWS::Partition": "aws",
    "AWS::URLSuffix": "amazonaws.com",
    "AWS::StackName": "quotekit-local",
    "AWS::NoValue": None,
}

type Json = dict[str, Any]


def load(file: Path) -> Json:
    content: Json = yaml.safe_load(file.read_text(encoding="utf-8"))
    return content


def for_emulator(built: Json) -> Json:
    """Leave queues and schedules to us, and drop CodeDeploy, which the emulator does not have."""
    edited = deepcopy(built)
    edited.get("Globals", {}).get("Function", {}).pop("DeploymentPreference", None)
    for _, properties in functions(edited):
        properties.pop("DeploymentPreference", None)
        events = properties.get("Events", {})
        for name in [
            n for n, e in events.items() if e.get("Properties", {}).get("Enabled") is False
        ]:
            del events[name]  # disabled on AWS as well: nobody shall poll it
        for event in events.values():
            if event["Type"] == "SQS":
                event["Properties"]["Enabled"] = False
            if event["Type"] == "ScheduleV2":
                event["Properties"]["State"] = "DISABLED"
    return edited


def functions(template: Json) -> Iterator[tuple[str, Json]]:
    for name, resource in template["Resources"].items():
        if resource["Type"] == FUNCTION:
            yield name, resource.get("Properties", {})


class Deployed:
    """A template with the parameters it was deployed with and the names its resources got."""

    def __init__(
        self, template: Json, parameters: Mapping[str, str], names: Mapping[str, str]
    ) -> None:
        self._template = template
        self._names = names
        declared = template.get("Parameters", {})
        self._parameters = {
            name: _typed(detail, parameters.get(name, detail.get("Default", "")))
            for name, detail in declared.items()
        }

    def functions(self) -> list[str]:
        return [self._names[name] for name, _ in functions(self._template) if name in self._names]

    def routes(self) -> list[Route]:
        """The routes of all HttpApi events; an event without a path is $default."""
        return [
            Route(
                event.get("Properties", {}).get("Method", "ANY").upper(),
                event.get("Properties", {}).get("Path", "$default"),
                self._names[name],
            )
            for name, properties in functions(self._template)
            if name in self._names
            for event in properties.get("Events", {}).values()
            if event["Type"] == "HttpApi"
        ]

    def cors(self) -> Cors | None:
        apis = [r for r in self._template["Resources"].values() if r["Type"] == HTTP_API]
        given = apis[0].get("Properties", {}).get("CorsConfiguration") if apis else None
        found: Json | None = self.resolve({"AllowOrigins": ["*"]} if given is True else given)
        if not found:
            return None
        return Cors(
            origins=tuple(found.get("AllowOrigins") or ()),
            methods=tuple(found.get("AllowMethods") or ()),
            headers=tuple(found.get("AllowHeaders") or ()),
            expose=tuple(found.get("ExposeHeaders") or ()),
            max_age=found.get("MaxAge"),
            credentials=bool(found.get("AllowCredentials")),
        )

    def reserved_concurrency(self) -> dict[str, int]:
        """By function name; the emulator's CloudFormation forgets it."""
        shared = self._template.get("Globals", {}).get("Function", {})
        found = {}
        for name, properties in functions(self._template):
            value = {**shared, **properties}.get("ReservedConcurrentExecutions")
            reserve = self.resolve(value)
            if name in self._names and reserve not in (None, ""):
                found[self._names[name]] = int(reserve)
        return found

    def resolve(self, value: Any) -> Any:  # noqa: ANN401  # any JSON
        """A value without intrinsic functions, for those that settings like ours use."""
        if isinstance(value, list):
            return [item for item in map(self.resolve, value) if item is not None]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            (name,) = value
            if name in self._intrinsics:
                return self._intrinsics[name](value[name])
        resolved = {name: self.resolve(item) for name, item in value.items()}
        return {name: item for name, item in resolved.items() if item is not None}

    @property
    def _intrinsics(self) -> dict[str, Callable[[Any], Any]]:
        return {
            "Ref": self._reference,
            "Fn::Sub": self._substitute,
            "Fn::If": lambda v: self.resolve(v[1] if self._holds(v[0]) else v[2]),
            "Fn::FindInMap": self._find_in_map,
            "Fn::Select": lambda v: self.resolve(v[1])[int(v[0])],
            "Fn::Split": lambda v: self.resolve(v[1]).split(v[0]),
            "Fn::Join": lambda v: v[0].join(self.resolve(v[1])),
        }

    def _find_in_map(self, path: list[Any]) -> Any:  # noqa: ANN401  # text or a list
        found: Any = self._template["Mappings"]
        for step in path:
            found = found[self.resolve(step)]
        return found

    def _substitute(self, text: str) -> str:
        return re.sub(r"\$\{([\w:]+)\}", lambda match: str(self._reference(match[1])), text)

    def _reference(self, name: str) -> Any:  # noqa: ANN401  # text, or a list of texts
        if name in PSEUDO:
            return PSEUDO[name]
        return self._parameters.get(name, self._names.get(name))

    def _holds(self, condition: Any) -> bool:  # noqa: ANN401  # a name or a rule
        rule = self._template["Conditions"][condition] if isinstance(condition, str) else condition
        match next(iter(rule.items())):
            case ("Fn::Equals", [left, right]):
                return str(self.resolve(left)) == str(self.resolve(right))
            case ("Fn::Not", [other]):
                return not self._holds(other)
            case ("Fn::And", others):
                return all(map(self._holds, others))
            case ("Fn::Or", others):
                return any(map(self._holds, others))
            case ("Condition", str(name)):
                return self._holds(name)
        raise ValueError(f"unknown rule {rule}")


def _typed(detail: Json, value: Any) -> Any:  # noqa: ANN401  # text, or a list of texts
    if detail.get("Type") == "CommaDelimitedList" or str(detail.get("Type")).startswith("List<"):
        return [part.strip() for part in str(value).split(",")]
    return value
