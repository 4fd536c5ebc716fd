"""The route table of an HTTP API and its CORS configuration, as the template has them."""

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote


@dataclass(frozen=True)
class Route:
    method: str  # GET … or ANY
    path: str  # /v1/quotes/{quote_id}/pdf, /v1/quotes/{proxy+}, $default
    function: str  # its name in the Lambda service
    qualifier: str = "live"

    @property
    def key(self) -> str:
        return self.path if self.path == "$default" else f"{self.method} {self.path}"


@dataclass(frozen=True)
class _Pattern:
    route: Route
    segments: tuple[str, ...]
    greedy: str | None

    def match(self, segments: list[str]) -> dict[str, str] | None:
        count = len(self.segments)
        if len(segments) < count + bool(self.greedy) or (not self.greedy and len(segments) > count):
            return None
        found: dict[str, str] = {}
        for expected, actual in zip(self.segments, segments, strict=False):
            if expected.startswith("{") and actual:
                found[expected[1:-1]] = unquote(actual)
            elif expected != actual:
                return None
        if self.greedy:
            rest = "/".join(segments[count:])
            if not rest:
                return None
            found[self.greedy] = unquote(rest)
        return found

    @property
    def rank(self) -> tuple[tuple[int, ...], bool]:
        """What is most specific sorts first: literal, variable, greedy; a method before ANY."""
        kinds = [int(segment.startswith("{")) for segment in self.segments]
        return (*kinds, 2 if self.greedy else 0), self.route.method == "ANY"


class RouteTable:
    """Selects as API Gateway does: full match, then variables, then greedy, then $default."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._default: Route | None = None
        patterns = []
        for route in routes:
            if route.path == "$default":
                self._default = route
            else:
                patterns.append(_pattern(route))
        self._patterns = sorted(patterns, key=lambda pattern: pattern.rank)

    def select(self, method: str, path: str) -> tuple[Route, dict[str, str]] | None:
        segments = path.split("/")[1:]
        for pattern in self._patterns:
            if pattern.route.method in (method, "ANY"):
                found = pattern.match(segments)
                if found is not None:
                    return pattern.route, found
        return (self._default, {}) if self._default else None


def _pattern(route: Route) -> _Pattern:
    segments = route.path.split("/")[1:]
    if segments[-1].endswith("+}"):
        return _Pattern(route, tuple(segments[:-1]), segments[-1][1:-2])
    return _Pattern(route, tuple(segments), None)


@dataclass(frozen=True)
class Cors:
    """CorsConfiguration: the gateway answers preflights and owns the headers of every answer."""

    origins: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    expose: tuple[str, ...] = ()
    max_age: int | None = None
    credentials: bool = False

    def answer(self, origin: str) -> dict[str, str]:
        """The headers for an actual request; none for an origin that is not allowed."""
        if not self._allows(origin):
            return {}
        headers = {"access-control-allow-origin": "*" if "*" in self.origins else origin}
        if self.credentials:
            headers["access-control-allow-credentials"] = "true"
        if self.expose:
            headers["access-control-expose-headers"] = ",".join(self.expose)
        return headers

    def preflight(self, origin: str) -> dict[str, str]:
        headers = self.answer(origin)
        if not headers:
            return {}
        if self.methods:
            headers["access-control-allow-methods"] = ",".join(self.methods)
        if self.headers:
            headers["access-control-allow-headers"] = ",".join(self.headers)
        if self.max_age is not None:
            headers["access-control-max-age"] = str(self.max_age)
        return headers

    def _allows(self, origin: str) -> bool:
        return bool(origin) and any(
            allowed in ("*", origin)
            or (allowed.endswith("://*") and origin.startswith(allowed[:-1]))
            for allowed in self.origins
        )
