"""Where an answer leads: what can be asked next, as OpenAPI's links, from the shapes of the paths.

An answer tells of a thing where it is what `GET /things/{x}` answers, or where it has an `id` and
there is something at `/things/{x}`; a page tells of its first row. With the id all can be asked
that is at or below `/things/{x}`, unless the asker had it. A `thing_id` can be read, what has an
ETag changed with it, and `next_cursor` leads to the next page.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from os.path import commonpath
from typing import Any, Final

type Json = dict[str, Any]
type Link = tuple[Json, dict[str, str]]  # an operation, and its parameters

JSON: Final = "application/json"
GOOD: Final = ("200", "201", "202")
NEW: Final = "201"
PLACEHOLDER: Final = re.compile(r"\{(\w+)\}")
ETAG: Final[Json] = {
    "description": "The version, for `If-Match`.",
    "schema": {"type": "string", "pattern": '^"(0|[1-9][0-9]{0,7})"$'},
}


@dataclass(frozen=True)
class Told:
    """One answer: to what, and the fields it has."""

    path: str
    method: str
    status: str
    schema: Json
    fields: Json

    @property
    def asked(self) -> dict[str, str]:
        """The addresses that the request named, and where it named them."""
        return {place: f"$request.path.{name}" for name, place in placeholders(self.path)}

    @property
    def again(self) -> dict[str, str]:
        """The parameters of the same path."""
        return {name: self.asked[place] for name, place in placeholders(self.path)}


class Links:
    def __init__(self, paths: dict[str, Json], schemas: Json) -> None:
        self.paths, self.schemas = paths, schemas
        self._homes = {
            told.schema["$ref"]: told.path
            for told in self._answers()
            if told.method == "get" and told.path.endswith("}") and "$ref" in told.schema
        }

    def add(self) -> None:
        """Write them into the answers."""
        for told in self._answers():
            answer = self.paths[told.path][told.method]["responses"][told.status]
            if "version" in told.fields:
                answer["headers"] = {"ETag": ETAG}
            links = {
                operation["operationId"]: {
                    "operationId": operation["operationId"],
                    "parameters": parameters,
                }
                for operation, parameters in (*self._same(told), *self._told(told))
            }
            if links:
                answer["links"] = links

    def _answers(self) -> Iterator[Told]:
        """All that answers with JSON."""
        for path, methods in self.paths.items():
            for method, operation in methods.items():
                for status in GOOD:
                    content = operation["responses"].get(status, {}).get("content", {})
                    if JSON in content:
                        schema = content[JSON]["schema"]
                        yield Told(path, method, status, schema, self._fields(schema))

    def _same(self, told: Told) -> Iterator[Link]:
        """What can be asked of the same address: the next page, a change."""
        for method, operation in self.paths[told.path].items():
            takes = names(operation)
            if method == told.method and "cursor" in takes and "next_cursor" in told.fields:
                yield operation, told.again | {"cursor": "$response.body#/next_cursor"}
            if "If-Match" in takes and "version" in told.fields:
                yield operation, told.again | {"If-Match": "$response.header.ETag"}

    def _told(self, told: Told) -> Iterator[Link]:
        """What can be asked about the things that an answer tells of, or names."""
        things = dict(self._things(told))
        for home, pointer in things.items():
            if told.status == NEW or shape(home) not in told.asked:
                yield from self._about(told, home, pointer)
        for name in told.fields:
            address = self._meant(name, told.path)
            if address not in things and "get" in self.paths.get(address, {}):
                ((parameter, _),) = placeholders(address)
                yield self.paths[address]["get"], {parameter: f"$response.body#/{name}"}

    def _things(self, told: Told) -> Iterator[tuple[str, str]]:
        """Each thing that an answer tells of: its address, and where its id is told."""
        here = next((one for one in self.paths if PLACEHOLDER.sub("", one) == f"{told.path}/"), "")
        row = told.fields.get("data", {}).get("items", {})
        parts = {f"{name}/": (part, "") for name, part in told.fields.items()}
        whole = {"": (told.schema, here), "data/0/": (row, here)}
        for pointer, (part, place) in (whole | parts).items():
            home = self._homes.get(part.get("$ref"), place)
            keys = ("id", *(name for name, _ in placeholders(home)[-1:]))
            key = next((key for key in keys if key in self._fields(part)), None)
            if home and key:
                yield home, pointer + key

    def _about(self, told: Told, home: str, pointer: str) -> Iterator[Link]:
        """All that can be asked at or below a thing's address."""
        known = told.asked | {shape(home): f"$response.body#/{pointer}"}
        for path, methods in self.paths.items():
            needed = dict(placeholders(path))
            below = f"{shape(path)}/".startswith(f"{shape(home)}/")
            if not below or not known.keys() >= {*needed.values()}:
                continue
            for operation in methods.values():
                given = {name: known[place] for name, place in needed.items()}
                if pointer == "id" and "If-Match" in names(operation):
                    given["If-Match"] = "$response.header.ETag"
                yield operation, given

    def _meant(self, field: str, path: str) -> str:
        """The address of what a field like `quote_id` means: of several the nearest."""
        thing = field.removesuffix("_id")
        plural = f"{thing[:-1]}ies" if thing.endswith("y") else f"{thing}s"
        found = [one for one in self.paths if re.fullmatch(rf".*/{plural}/{{\w+}}", one)]
        nearest = max(found, key=lambda one: len(commonpath([one, path])), default="")
        return "" if thing == field or nearest.count("{") > 1 else nearest

    def _fields(self, schema: Json) -> Json:
        name = schema.get("$ref", "").rpartition("/")[2]
        found: Json = self.schemas.get(name, schema).get("properties", {})
        return found


def shape(path: str) -> str:
    """A path whatever its placeholders are called."""
    return PLACEHOLDER.sub("{}", path)


def placeholders(path: str) -> list[tuple[str, str]]:
    """Their names, and where they stand."""
    return [(found[1], shape(path[: found.end()])) for found in PLACEHOLDER.finditer(path)]


def names(operation: Json) -> set[str]:
    return {parameter["name"] for parameter in operation["parameters"]}
