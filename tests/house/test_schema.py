"""The rules of DESIGN §4, read from the catalog of a migrated database."""

import subprocess
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from local.postgres import Server
from tests.conftest import ROOT, Database, address

TABLES_WITHOUT_FORCED_RLS = """
select format('%s.%s', nspname, relname) from pg_class
join pg_namespace as schema on schema.oid = relnamespace
where nspname in ('app', 'ops', 'auth') and relkind in ('r', 'p')
  and not (relrowsecurity and relforcerowsecurity)
"""
TABLES_WITHOUT_POLICY = """
select format('%s.%s', nspname, relname) from pg_class as rel
join pg_namespace as schema on schema.oid = relnamespace
where nspname in ('app', 'ops', 'auth') and relkind in ('r', 'p')
  and not exists (select from pg_policy where polrelid = rel.oid)
"""
UNINDEXED_FOREIGN_KEYS = """
select conrelid::regclass || '.' || conname from pg_constraint
where contype = 'f' and connamespace::regnamespace::text in ('app', 'ops', 'auth')
  and not exists (
    select from pg_index
    where indrelid = conrelid and indpred is null
      and (indkey::int2[])[0:cardinality(conkey) - 1] @> conkey
      and (indkey::int2[])[0:cardinality(conkey) - 1] <@ conkey)
"""
FUNCTIONS_WITHOUT_SEARCH_PATH = """
select proname from pg_proc
where pronamespace::regnamespace::text in ('app', 'ops', 'auth')
  and not coalesce('search_path=""' = any(proconfig), false)
"""
POLICIES_THAT_CALL_PER_ROW = r"""
select tablename || '.' || policyname from pg_policies
where schemaname in ('app', 'ops', 'auth')
  and regexp_replace(coalesce(qual, '') || coalesce(with_check, ''),
        '\( SELECT \(?auth\.\w+\(\)[^)]*\)?(AS \w+)?\)', '', 'g') ~ 'auth\.\w+\('
"""
CLIENT_CALLABLE_DEFINERS = """
select proname from pg_proc
where pronamespace::regnamespace::text in ('app', 'ops', 'auth') and prosecdef
  and prorettype <> 'trigger'::regtype
  and has_function_privilege('authenticated', oid, 'execute')
"""
DEFINERS_OWNED_BY_A_SUPERUSER = """
select proname from pg_proc join pg_roles on pg_roles.oid = proowner
where pronamespace::regnamespace::text in ('app', 'ops', 'auth') and prosecdef and rolsuper
"""
FUNCTIONS_OPEN_TO_EVERYBODY = """
select proname from pg_proc, aclexplode(coalesce(proacl, acldefault('f', proowner))) as granted
where pronamespace::regnamespace::text in ('app', 'ops', 'auth') and granted.grantee = 0
"""
WRITABLE_BY_CLIENTS = """
select table_name || '.' || column_name || ' ' || privilege_type from information_schema.column_privileges
where grantee = 'authenticated' and privilege_type in ('INSERT', 'UPDATE')
  and ((table_name, column_name) in (('quotes', 'number'), ('quotes', 'sent_at'), ('quotes', 'account_id'))
    or table_name in ('members', 'user_roles', 'plans', 'subscriptions', 'usage', 'quote_counters'))
"""
AUDIT_THAT_CAN_CHANGE = """
select grantee || ' ' || privilege_type from information_schema.table_privileges
where table_name = 'audit_events' and privilege_type in ('UPDATE', 'DELETE', 'TRUNCATE')
  and grantee in ('authenticated', 'service_role', 'ops_admin', 'quote_client', 'quotekit_functions')
  and (grantee, privilege_type) <> ('service_role', 'DELETE')
union all select policyname from pg_policies
where tablename = 'audit_events' and cmd not in ('SELECT', 'INSERT')
  and (cmd, qual) is distinct from ('DELETE', (
    select pg_get_expr(polqual, polrelid) from pg_policy where polname = 'audit_events_erased'))
union all select policyname from pg_policies
where policyname = 'audit_events_erased' and qual not like '%erasures.status = ''erasing''%'
"""
TIMES_WITHOUT_ZONE = """
select table_name || '.' || column_name from information_schema.columns
where table_schema in ('app', 'ops', 'auth')
  and data_type in ('timestamp without time zone', 'real', 'double precision', 'money')
"""

RULES = {
    "row level security is forced on every table": TABLES_WITHOUT_FORCED_RLS,
    "every table has a policy": TABLES_WITHOUT_POLICY,
    "every foreign key is indexed": UNINDEXED_FOREIGN_KEYS,
    "every function has a fixed search path": FUNCTIONS_WITHOUT_SEARCH_PATH,
    "policies call functions once a statement, not once a row": POLICIES_THAT_CALL_PER_ROW,
    "no security definer function can be called by a client": CLIENT_CALLABLE_DEFINERS,
    "no security definer function acts as a superuser": DEFINERS_OWNED_BY_A_SUPERUSER,
    "no function is open to everybody": FUNCTIONS_OPEN_TO_EVERYBODY,
    "nobody writes his own role, plan, usage or number": WRITABLE_BY_CLIENTS,
    "audit rows are never changed": AUDIT_THAT_CAN_CHANGE,
    "times have zones and money is no float": TIMES_WITHOUT_ZONE,
}
MUTANTS = {
    "row level security is forced on every table": "alter table app.clients no force row level security",
    "every table has a policy": "create table app.bare (id int); alter table app.bare enable row level security",
    "every foreign key is indexed": "drop index app.quote_links_quote",
    "every function has a fixed search path": "alter function auth.uid() reset search_path",
    "policies call functions once a statement, not once a row": """
        create policy slow on app.clients for select to authenticated using (account_id = auth.account_id())""",
    "no security definer function can be called by a client": """
        create function app.leak() returns int language sql security definer set search_path = ''
            as 'select 1'; grant execute on function app.leak() to authenticated""",
    "no security definer function acts as a superuser": "alter function app.found_account() owner to postgres",
    "no function is open to everybody": "grant execute on function auth.uid() to public",
    "nobody writes his own role, plan, usage or number": "grant update (used) on app.usage to authenticated",
    "audit rows are never changed": "grant update on app.audit_events to service_role",
    "times have zones and money is no float": "alter table app.clients add column seen timestamp",
}


def broken(database: Database, rule: str) -> list[Any]:
    with psycopg.connect(database.owner_url) as connection:
        return connection.execute(RULES[rule].encode()).fetchall()


@pytest.mark.parametrize("rule", RULES)
def test_the_schema_keeps_the_rule(database: Database, rule: str) -> None:
    assert broken(database, rule) == []


@pytest.mark.parametrize("rule", RULES)
def test_the_rule_notices_who_breaks_it(database: Database, rule: str) -> None:
    with psycopg.connect(database.owner_url, autocommit=True) as connection:
        connection.execute(MUTANTS[rule].encode())

    assert len(broken(database, rule)) == 1


ROLES = "authenticated, service_role, ops_admin, quote_client"
DESCRIBE = """
select 'column', table_schema || '.' || table_name, column_name,
    data_type || ' ' || is_nullable || ' ' || coalesce(column_default, '')
        || coalesce(generation_expression, '')
from information_schema.columns where table_schema in ('app', 'ops', 'auth')
union all select 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid)
from pg_constraint where connamespace::regnamespace::text in ('app', 'ops', 'auth')
union all select 'index', tablename::text, indexname::text, indexdef
from pg_indexes where schemaname in ('app', 'ops', 'auth')
union all select 'function', proname::text, pg_get_function_identity_arguments(oid),
    pg_get_functiondef(oid) || pg_get_userbyid(proowner) || coalesce(proacl::text, '')
from pg_proc where pronamespace::regnamespace::text in ('app', 'ops', 'auth')
union all select 'trigger', tgrelid::regclass::text, tgname::text, pg_get_triggerdef(oid)
from pg_trigger where not tgisinternal
union all select 'policy', tablename::text, policyname::text,
    cmd || roles::text || coalesce(qual, '') || coalesce(with_check, '')
from pg_policies
union all select 'table', oid::regclass::text, relrowsecurity::text || relforcerowsecurity::text,
    coalesce(relacl::text, '')
from pg_class where relnamespace::regnamespace::text in ('app', 'ops', 'auth')
union all select 'schema', nspname::text, '', coalesce(nspacl::text, '')
from pg_namespace where nspname in ('app', 'ops', 'auth')
order by 1, 2, 3, 4
"""


@pytest.fixture
def migrate(server: Server, migrated: str) -> Any:
    """dbmate on an empty database, by a role that is no superuser: as on RDS."""
    with psycopg.connect(server.url, autocommit=True) as owner:
        owner.execute("create role migrating login createrole password 'migrating'")
        owner.execute(f"grant {ROLES} to migrating with admin option")
        owner.execute("create database updown owner migrating")
        url = address(server.url, "updown", "migrating:migrating")

        def run(*command: str) -> list[Any]:
            place = f"{url}?sslmode=disable"
            arguments = ["--migrations-dir", "migrations", "--no-dump-schema", *command]
            dbmate = ROOT / ".venv/bin/dbmate"
            done = subprocess.run(
                [dbmate, "--url", place, *arguments],
                cwd=ROOT,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            with psycopg.connect(url) as connection:
                return connection.execute(DESCRIBE.encode()).fetchall()

        yield run
        owner.execute("drop database updown with (force)")
        owner.execute("drop owned by migrating")
        owner.execute("drop role migrating")


def test_migrations_go_up_down_and_up_again_to_the_same_schema(
    migrate: Callable[..., list[Any]],
) -> None:
    first = migrate("up")
    states = [migrate("down") for _ in sorted((ROOT / "migrations").glob("*.sql"))]
    second = migrate("up")

    assert len(first) > 300
    assert states[-1] == []
    assert first == second
