"""JSON schemas of what the doors take and answer, from the models themselves."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from docs.openapi.routes import Taken

type Json = dict[str, Any]

REF: Final = "#/components/schemas/"


class Exact(GenerateJsonSchema):
    """An answer has all its fields and no others; titles that only repeat a name are left out."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002
        return False

    def field_is_required(self, field: Any, total: bool) -> bool:  # noqa: FBT001
        return self.mode == "serialization" or super().field_is_required(field, total)

    def dataclass_schema(self, schema: Any) -> Json:
        found = super().dataclass_schema(schema)
        if self.mode == "serialization" and "properties" in found:
            found["additionalProperties"] = False
        return found


class Schemas:
    """All of them, made at once so that their names are unique."""

    def __init__(self, routes: Iterable[Taken]) -> None:
        wanted: dict[tuple[str, Any], Any] = {}
        for route in routes:
            given = [route.body, route.query, *route.in_path.values()]
            wanted |= {("validation", kind): kind for kind in given if kind is not None}
            wanted |= {("serialization", kind): kind for kind in route.answers.values()}
        found, definitions = TypeAdapter.json_schemas(
            [(key, key[0], TypeAdapter(kind)) for key, kind in wanted.items()],  # type: ignore[misc]
            ref_template=REF + "{model}",
            schema_generator=Exact,
        )
        defined = definitions.get("$defs", {})
        self.components = renamed(defined)
        if len(self.components) != len(defined):
            raise ValueError("Two classes would have one name in the document; rename one.")
        self._found = {key: renamed(schema) for (key, _), schema in found.items()}

    def given(self, kind: Any) -> Json:
        found: Json = self._found["validation", kind]
        return found

    def answered(self, kind: Any) -> Json:
        found: Json = self._found["serialization", kind]
        return found

    def fields(self, model: type[BaseModel]) -> Json:
        """A model's schema itself, wherever it is kept."""
        schema = self.given(model)
        found: Json = self.components[name_in(schema["$ref"])] if "$ref" in schema else schema
        return found

    def used_by(self, part: Any) -> Json:
        """The components that a part of the document refers to, and those that these refer to."""
        found: Json = {}
        waiting = list(references(part))
        while waiting:
            name = name_in(waiting.pop())
            if name in self.components and name not in found:
                found[name] = self.components[name]
                waiting += references(found[name])
        return found


def name_in(reference: str) -> str:
    return reference.rpartition("/")[2]


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        yield from (value for key, value in part.items() if key == "$ref")
        for value in part.values():
            yield from references(value)
    elif isinstance(part, list):
        for value in part:
            yield from references(value)


def renamed(part: Any) -> Any:
    """Two classes of one name carry their module's: `AuditEvent`; a page of clients is
    `ClientPage`."""
    text = json.dumps(part)
    text = re.sub(r"quotekit__(\w+)__(\w+)", named, text)
    return json.loads(re.sub(r"\bPage_(\w+)_(?=\")", r"\1Page", text).replace("-Output", ""))


def named(found: re.Match[str]) -> str:
    """By its module's name where that says something, else by its package's."""
    words = [word for word in found[1].split("__") if word not in {"model", "requests"}]
    return words[-1].title() + found[2]


def without_null(schema: Json) -> Json:
    """A query cannot say null: what is left out is."""
    kept: Json = {key: value for key, value in schema.items() if key != "anyOf"}
    if kept.get("default", ...) is None:
        del kept["default"]
    choices = [one for one in schema.get("anyOf", ()) if one != {"type": "null"}]
    if len(choices) == 1:
        kept |= choices[0]
        return kept
    return kept | {"anyOf": choices} if choices else kept
