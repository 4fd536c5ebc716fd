"""What a door's route takes and answers, read from its signature."""

import ast
import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from importlib import import_module
from pathlib import Path
from types import ModuleType, UnionType
from typing import Annotated, Any, Final, ForwardRef, Union, get_args, get_origin

from aws_lambda_powertools.event_handler.api_gateway import Route
from aws_lambda_powertools.event_handler.openapi.params import Query
from pydantic import BaseModel, create_model

from quotekit import api

ROOT: Final = Path(__file__).parents[2]


@dataclass(frozen=True)
class Taken:
    """One route. `answers` are what it may answer, by status; `query` is a model of its query."""

    door: str
    method: str
    path: str
    name: str
    summary: str
    public: bool
    in_path: Mapping[str, Any]
    query: type[BaseModel] | None
    body: type[BaseModel] | None
    body_required: bool
    answers: Mapping[HTTPStatus, Any]


def doors() -> list[str]:
    return sorted(path.parent.name for path in (ROOT / "functions").glob("*/app.py"))


@cache
def door(name: str) -> ModuleType:
    return import_module(f"functions.{name}.app")


def taken() -> Iterator[Taken]:
    """Every route of every door that the house's resolver serves."""
    for name in doors():
        app = getattr(door(name), "app", None)
        if isinstance(app, api.Api):
            for route in [*app._static_routes, *app._dynamic_routes]:  # noqa: SLF001
                yield read(name, app, route)


def read(name: str, app: api.Api, route: Route) -> Taken:
    signature = inspect.signature(route.func)
    path = route.openapi_path
    in_path, query, body, required = {}, {}, None, False
    for parameter in signature.parameters.values():
        kind = parameter.annotation
        if f"{{{parameter.name}}}" in path:
            in_path[parameter.name] = kind
        elif (model := model_of(kind)) and not is_query(kind):
            body, required = model, parameter.default is parameter.empty
        else:
            query[parameter.name] = (kind, parameter.default)
    return Taken(
        door=name,
        method=route.method,
        path=path,
        name=route.func.__name__,
        summary=inspect.getdoc(route.func) or "",
        public=path in app.public,
        in_path=in_path,
        query=query_model(query),
        body=body,
        body_required=required,
        answers=answers(signature.return_annotation, door(name)),
    )


def is_query(kind: Any) -> bool:
    return any(isinstance(mark, Query) for mark in getattr(kind, "__metadata__", ()))


def model_of(kind: Any) -> type[BaseModel] | None:
    """The request model a parameter is, if it is one: `Body`, `Body | None`, annotated or not."""
    if get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    choices = get_args(kind) if get_origin(kind) in {Union, UnionType} else (kind,)
    models = [one for one in choices if inspect.isclass(one) and issubclass(one, BaseModel)]
    return models[0] if models else None


def query_model(fields: Mapping[str, tuple[Any, Any]]) -> type[BaseModel] | None:
    """One model of all that a query may hold."""
    for kind, _ in fields.values():
        if model := model_of(kind):
            return model
    given: dict[str, Any] = dict(fields)
    return create_model("Query", **given) if given else None


def answers(told: Any, module: ModuleType) -> dict[HTTPStatus, Any]:
    """`Answer[Quote] | Accepted[Quote]` as statuses and types."""
    choices = get_args(told) if get_origin(told) in {Union, UnionType} else (told,)
    found: dict[HTTPStatus, Any] = {}
    for choice in choices:
        kind = get_origin(choice)
        if not (inspect.isclass(kind) and issubclass(kind, api.Answer)):
            raise TypeError(f"{module.__name__}: a route's return type is an api.Answer: {told}")
        (inner,) = get_args(choice)
        status = HTTPStatus.NO_CONTENT if inner in {None, type(None)} else kind.status
        found[status] = resolved(inner, module)
    return found


def resolved(kind: Any, module: ModuleType) -> Any:
    """A type that the door imports for the type checker only, imported."""
    if isinstance(kind, ForwardRef):
        kind = kind.__forward_arg__
    return names_for_types(module)[kind] if isinstance(kind, str) else kind


@cache
def names_for_types(module: ModuleType) -> dict[str, Any]:
    """What stands in a module's `if TYPE_CHECKING`."""
    names: dict[str, Any] = {}
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            exec(compile(ast.Module(node.body, []), "<types>", "exec"), names)  # noqa: S102 our own
    return names
