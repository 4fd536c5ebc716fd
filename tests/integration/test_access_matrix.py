"""Every table x who asks x what he does x whose row it is, and every policy broken on purpose.

Tables, grants and policies are read from the catalog, so a new table is in here by itself. Samples,
keys and shared tables are declared in tests/access/declared.py, each with its reason.
"""

from collections.abc import Iterator

import psycopg
import pytest

from tests.access import declared
from tests.access.matrix import Matrix
from tests.access.mutants import mutants
from tests.conftest import Database


@pytest.fixture
def matrix(database: Database) -> Iterator[Matrix]:
    with psycopg.connect(database.owner_url) as connection, connection.transaction():
        yield Matrix(connection)


def test_nobody_reaches_what_is_not_his_and_everybody_what_he_was_granted(matrix: Matrix) -> None:
    found = [said for table in matrix.rows.tables for said in matrix.violations(table)]

    assert not found, "\n".join(found)


def test_of_every_table_a_client_may_touch_it_is_known_whose_its_rows_are(matrix: Matrix) -> None:
    assert matrix.undeclared() == []


def test_the_roles_that_policies_name_are_those_that_are_asked(matrix: Matrix) -> None:
    named = matrix.connection.execute(
        "select distinct unnest(roles)::text from pg_policies where schemaname in ('app', 'ops')"
    )

    assert {role for (role,) in named} <= {caller.role for caller in declared.CALLERS}


def test_each_broken_policy_is_noticed(matrix: Matrix) -> None:
    made = list(mutants(matrix))
    survivors = []
    for mutant in made:
        with matrix.mutated(mutant.statement):
            if not any(matrix.violations(mutant.table, mutant.roles, mutant.commands)):
                survivors.append(mutant.name)

    assert not survivors, "\n".join(survivors)
    assert {mutant.table for mutant in made} == matrix.rows.tables.keys()
