-- Who may do what: three roles a transaction can become, one login that can become them, and the functions
-- that read the transaction's claims. Row level security rests on nothing else.

-- migrate:up
set local lock_timeout = '5s';

-- Roles belong to the cluster, not to the database: another database may have made them already.
do $$
declare
    wanted text;
begin
    foreach wanted in array array['authenticated', 'service_role', 'ops_admin'] loop
        if not exists (select from pg_catalog.pg_roles where rolname = wanted) then
            execute format('create role %I nologin', wanted);
        end if;
    end loop;
    if not exists (select from pg_catalog.pg_roles where rolname = 'quotekit_functions') then
        create role quotekit_functions login noinherit;
    end if;
end
$$;
grant authenticated, service_role, ops_admin to quotekit_functions;
-- The migrating user hands functions over to service_role, so it has to be a member of it.
grant service_role to current_user;

create schema auth;
create schema app;
create schema ops;
revoke all on schema public from public;
grant usage on schema auth, app to authenticated, service_role, ops_admin;
grant usage on schema ops to service_role, ops_admin;
alter default privileges revoke execute on functions from public;

create function auth.claims() returns jsonb
language sql stable parallel safe set search_path = ''
as $$ select nullif(current_setting('request.jwt.claims', true), '')::jsonb $$;
comment on function auth.claims is 'The claims of the token this transaction acts for; null outside a request.';

create function auth.uid() returns uuid
language sql stable parallel safe set search_path = ''
as $$ select (auth.claims() ->> 'sub')::uuid $$;
comment on function auth.uid is 'The person: the token''s subject.';

create function auth.account_id() returns uuid
language sql stable parallel safe set search_path = ''
as $$ select coalesce(auth.claims() ->> 'account_id', auth.claims() ->> 'sub')::uuid $$;
comment on function auth.account_id is 'The tenant: the token''s account, else its subject.';

create function auth.role() returns text
language sql stable parallel safe set search_path = ''
as $$ select current_setting('role', true) $$;
comment on function auth.role is 'The role this transaction became.';

grant execute on function auth.claims(), auth.uid(), auth.account_id(), auth.role()
    to authenticated, service_role, ops_admin;

-- Every table with an updated_at column calls it.
create function app.touch_updated_at() returns trigger
language plpgsql set search_path = ''
as $$
begin
    new.updated_at := now();
    return new;
end
$$;

-- migrate:down
drop function app.touch_updated_at();
drop function auth.role();
drop function auth.account_id();
drop function auth.uid();
drop function auth.claims();
alter default privileges grant execute on functions to public;
drop schema ops;
drop schema app;
drop schema auth;
grant usage, create on schema public to public;
