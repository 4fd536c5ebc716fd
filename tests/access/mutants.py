"""The tables and their policies, broken one at a time."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final

from tests.access.declared import COMMANDS, ROLES
from tests.access.matrix import Matrix

POLICIES: Final = """
select format('%s.%s', schemaname, tablename), permissive,
    format('%I on %I.%I', policyname, schemaname, tablename), cmd,
    array_to_string(roles, ', '), qual, with_check
from pg_policies where schemaname in ('app', 'ops') order by 1, 2
"""


READS: Final = re.compile(r"\bFROM\b|auth\.member_role")  # another table's rows
AFFECTED: Final = {
    "ALL": COMMANDS,
    "SELECT": ("select",),
    "INSERT": ("insert",),
    "UPDATE": ("update", "move"),
    "DELETE": ("delete",),
}


@dataclass(frozen=True)
class Mutant:
    """A broken table; only what it may change is asked: for these roles, these commands."""

    table: str
    name: str
    statement: str
    roles: Sequence[str] = ROLES
    commands: Sequence[str] = COMMANDS


def mutants(matrix: Matrix) -> Iterator[Mutant]:
    """Each table without its security, each policy dropped, loosened, tightened, turned round.

    What changes nothing is not made: a swap of two equal conditions, true made looser, and a
    condition that reads another table offered to roles which that table keeps out; nor is the
    check of a restrictive policy that has none of its own: it says who, which its condition said.
    """
    for table in matrix.rows.tables:
        yield Mutant(
            table, f"{table}: security off", f"alter table {table} disable row level security"
        )
    for table, kind, policy, command, roles, using, check in matrix.connection.execute(POLICIES):
        commands = AFFECTED[command]
        for name, statement in changed(policy, kind, command, roles, (using, check)):
            if name == "check false" and not written(matrix, table, roles.split(", ")):
                continue
            yield Mutant(table, f"{policy}: {name}", statement, roles.split(", "), commands)
        if not READS.search(f"{using} {check}"):
            widely = f"alter policy {policy} to public"
            yield Mutant(table, f"{policy}: for everybody", widely, ROLES, commands)


def written(matrix: Matrix, table: str, roles: Sequence[str]) -> bool:
    """Whether the grants let any of the roles add or change a row."""
    asked = product(roles, ("insert", "update"))
    return any(matrix.granted(table, role, command) for role, command in asked)


def changed(
    policy: str, kind: str, command: str, roles: str, conditions: tuple[str | None, str | None]
) -> Iterator[tuple[str, str]]:
    using, check = conditions
    yield "dropped", f"drop policy {policy}"
    if using:
        yield "using false", f"alter policy {policy} using (false)"
    if using not in {None, "true"}:
        yield "using true", f"alter policy {policy} using (true)"
    if command not in {"SELECT", "DELETE"}:
        yield "check false", f"alter policy {policy} with check (false)"
        if (check or using) != "true" and (check or kind == "PERMISSIVE"):
            yield "check true", f"alter policy {policy} with check (true)"
    if using and check:
        again = f"drop policy {policy}; create policy {policy} as {kind} for {command} to {roles}"
        yield "using dropped", f"{again} with check ({check})"
        if using != check:
            yield "check dropped", f"{again} using ({using})"
            yield "swapped", f"alter policy {policy} using ({check}) with check ({using})"
