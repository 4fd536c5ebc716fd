"""What is made, read, changed and removed in any order stays what was last said of it.

test_links.py asks every door in sequences and looks at each answer by the document. This one knows
what the answer has to be: the very body that was last answered, on all pages of its list and to
nobody else; a version that is not the present one changes nothing; the second of two POSTs with one
Idempotency-Key is the first.
"""

from typing import Any, Final
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    rule,
    run_state_machine_as_test,
)

from docs.openapi.examples import BODIES, QUOTE
from tests.functions.conftest import OTHER_USER, Issuer
from tests.functions.test_bad_input import Caller, caller, owner  # noqa: F401 fixtures
from tests.functions.test_examples import real

# Of each kind: what makes one, and the field that is changed.
KINDS: Final = {
    "clients": (BODIES["ClientCreate"], "name"),
    "items": (BODIES["ItemCreate"], "name"),
    "categories": (BODIES["CategoryCreate"], "name"),
    "packages": (BODIES["PackageCreate"], "name"),
    "properties": (BODIES["PropertyCreate"], "notes"),
    "assessments": (BODIES["AssessmentCreate"], "notes"),
    "quotes": (QUOTE, "notes"),
}
NAMED: Final = {"categories", "packages"}  # whose names differ within an account
RULES: Final = settings(
    max_examples=12,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


class Resources(RuleBasedStateMachine):
    """`said` is the last answer about each thing that is there, by its path."""

    present = Bundle("present")
    removed = Bundle("removed")

    def __init__(self, me: Caller, stranger: Caller) -> None:
        super().__init__()
        self.me, self.stranger = me, stranger
        self.said: dict[str, Any] = {}
        self.kept = {kind: self.listed(kind) for kind in KINDS}

    def listed(self, kind: str) -> set[str]:
        """The ids on all pages of a list."""
        found: list[str] = []
        cursor = ""
        while True:
            page = self.me.call("GET", f"/v1/{kind}", query=f"limit=3{cursor}").json
            found += [row["id"] for row in page["data"]]
            if page["next_cursor"] is None:
                break
            cursor = f"&cursor={page['next_cursor']}"
        assert len(found) == len(set(found))
        return set(found)

    @rule(target=present, kind=st.sampled_from(sorted(KINDS)))
    def create(self, kind: str) -> str:
        body = real(KINDS[kind][0], self.me.known)
        if kind in NAMED:
            body |= {"name": uuid4().hex}
        key = uuid4().hex

        made, again = (
            self.me.call("POST", f"/v1/{kind}", body, idempotency_key=key) for _ in range(2)
        )

        assert (made.status, again.json) == (201, made.json), made.text
        path = f"/v1/{kind}/{made.json['id']}"
        self.said[path] = made.json
        return path

    @rule(path=present)
    def read(self, path: str) -> None:
        answer = self.me.call("GET", path)

        assert (answer.status, answer.json) == (200, self.said[path])

    @rule(path=present, off=st.sampled_from([0, 0, 1, -1]))
    def change(self, path: str, off: int) -> None:
        """A change made from another version than the present one is refused."""
        field, before = KINDS[path.split("/")[2]][1], self.said[path]
        body = {field: uuid4().hex, "version": max(before["version"] + off, 1)}
        is_current = body["version"] == before["version"]

        answer = self.me.call("PATCH", path, body)

        if is_current:
            assert answer.status == 200, answer.text
            self.said[path] = answer.json
            assert answer.json[field] == body[field]
            assert answer.json["version"] == before["version"] + 1
        else:
            assert answer.status == 409, answer.text
            self.read(path)

    @rule(target=removed, path=consumes(present))
    def remove(self, path: str) -> str:
        answer = self.me.call("DELETE", path)

        assert answer.status == 204, answer.text
        del self.said[path]
        return path

    @rule(path=removed, method=st.sampled_from(["GET", "PATCH", "DELETE"]))
    def ask_for_what_is_gone(self, path: str, method: str) -> None:
        assert self.touch(self.me, method, path) == 404

    @rule(path=present, method=st.sampled_from(["GET", "PATCH", "DELETE"]))
    def ask_as_a_stranger(self, path: str, method: str) -> None:
        assert self.touch(self.stranger, method, path) == 404
        self.read(path)

    def touch(self, who: Caller, method: str, path: str) -> int:
        body = {KINDS[path.split("/")[2]][1]: "theirs", "version": 1} if method == "PATCH" else None
        return who.call(method, path, body).status

    @rule(kind=st.sampled_from(sorted(KINDS)))
    def list(self, kind: str) -> None:
        here = {path.rpartition("/")[2] for path in self.said if path.split("/")[2] == kind}

        assert self.listed(kind) == here | self.kept[kind]


@pytest.mark.parametrize("door", ["catalog-manager"])
def test_every_resource_stays_what_was_last_said_of_it(
    caller: Caller,  # noqa: F811
    issuer: Issuer,
    door: str,
) -> None:
    client = caller.known["clients"]
    place = {"client_id": client, "service_address": "1 Elm Street"}
    caller.known |= {
        "client_id": client,
        "item_id": caller.known["items"],
        "property_id": caller.make("/v1/properties", place),
    }
    stranger = Caller(issuer.token(OTHER_USER), caller.owner)

    def begin() -> Resources:
        return Resources(caller, stranger)

    # Any factory will do, whatever the annotation says.
    run_state_machine_as_test(begin, settings=RULES)  # type: ignore[arg-type]

    stranger.gateway.loop.close()
