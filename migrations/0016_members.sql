-- Members with roles that the database enforces, one owner an account, and invitations by mail.

-- migrate:up
set local lock_timeout = '5s';

alter table app.accounts add column version integer not null default 1;
grant update (version) on app.accounts to authenticated;

alter table app.members
    add column email text check (length(email) <= 254),
    add column version integer not null default 1,
    add column updated_at timestamptz not null default now();
create unique index members_one_owner on app.members (account_id) where role = 'owner';
comment on column app.members.email is 'The address an invitation went to; null for a founder, whose address nobody said.';
create trigger members_touch before update on app.members
    for each row execute function app.touch_updated_at();

create function auth.member_role() returns text
language sql stable parallel safe set search_path = ''
as $$ select role from app.members where account_id = auth.account_id() and user_id = auth.uid() $$;
comment on function auth.member_role is 'What the person is in the account; null for a stranger.';
grant execute on function auth.member_role() to authenticated, service_role;

-- Runs as the caller, in the round trip that opens a transaction. A withdrawn token is refused, and so is whoever is
-- no member of an account that is there; a viewer's transaction can write nothing; a new caller founds his account.
create or replace function auth.admit() returns void
language plpgsql set search_path = ''
as $$
declare
    held text;
begin
    if exists (select from ops.revoked_tokens where jti = auth.claims() ->> 'jti') then
        raise exception using errcode = 'QK401', message = 'the token was withdrawn';
    end if;
    held := auth.member_role();
    if held is null and not exists (select from app.accounts where id = auth.account_id()) then
        if current_setting('transaction_read_only') = 'on' then
            return; -- there is nothing to be read
        end if;
        insert into app.accounts (id) values (auth.account_id()) on conflict (id) do nothing;
        held := auth.member_role();
    end if;
    if held is null then
        raise exception using errcode = 'QK403', message = 'You are no member of this account.';
    end if;
    if held = 'viewer' then
        perform set_config('transaction_read_only', 'on', true);
    end if;
end
$$;

create function auth.admit_person() returns void
language plpgsql set search_path = ''
as $$
begin
    if exists (select from ops.revoked_tokens where jti = auth.claims() ->> 'jti') then
        raise exception using errcode = 'QK401', message = 'the token was withdrawn';
    end if;
end
$$;
comment on function auth.admit_person is 'Admits whoever has a good token, for what concerns himself and not his account.';
grant execute on function auth.admit_person() to authenticated, service_role;

create function auth.admit_work() returns void
language plpgsql set search_path = ''
as $$
declare
    held constant text := auth.member_role();
begin
    if held is null or (held = 'viewer' and current_setting('transaction_read_only') = 'off') then
        raise exception using errcode = 'QK403',
            message = 'Whoever asked for this may not do it in this account any more.';
    end if;
end
$$;
comment on function auth.admit_work is 'Admits work that goes on after the request, by what the person may do now.';
grant execute on function auth.admit_work() to authenticated;

-- The house's own second look, whatever its services do: an account that is there has an owner.
create function app.check_owner() returns trigger
language plpgsql set search_path = ''
as $$
begin
    if not exists (select from app.members where account_id = old.account_id and role = 'owner')
        and exists (select from app.accounts where id = old.account_id) then
        raise exception using errcode = 'QK409', message = 'An account has an owner at any time.';
    end if;
    return null;
end
$$;
create constraint trigger members_keep_an_owner after update or delete on app.members
    deferrable initially deferred for each row when (old.role = 'owner') execute function app.check_owner();

-- What only who manages the account may change. Of app.accounts it is a trigger: a policy would also keep members from
-- locking its row, which they need to count clients and categories.
create function app.check_manager() returns trigger
language plpgsql set search_path = ''
as $$
begin
    if auth.role() = 'authenticated' and coalesce(auth.member_role(), '') not in ('owner', 'admin') then
        raise exception using errcode = 'QK403', message = 'Only an owner or an admin of the account may do this.';
    end if;
    return new;
end
$$;
create trigger accounts_managed before update of name, version on app.accounts
    for each row execute function app.check_manager();
create policy company_settings_made_by_managers on app.company_settings as restrictive for insert to authenticated
    with check ((select auth.member_role()) in ('owner', 'admin'));
create policy company_settings_changed_by_managers on app.company_settings as restrictive for update to authenticated
    using ((select auth.member_role()) in ('owner', 'admin'));
create policy webhook_endpoints_made_by_managers on app.webhook_endpoints as restrictive for insert to authenticated
    with check ((select auth.member_role()) in ('owner', 'admin'));
create policy webhook_endpoints_changed_by_managers on app.webhook_endpoints as restrictive for update to authenticated
    using ((select auth.member_role()) in ('owner', 'admin'));
create policy webhook_endpoints_deleted_by_managers on app.webhook_endpoints as restrictive for delete to authenticated
    using ((select auth.member_role()) in ('owner', 'admin'));

create table app.invitations (
    id          uuid primary key,
    account_id  uuid not null default auth.account_id() references app.accounts on delete cascade,
    email       text not null check (length(email) between 3 and 254),
    role        text not null check (role in ('admin', 'member', 'viewer')),
    token_hash  bytea not null unique check (length(token_hash) = 32),
    invited_by  uuid not null default auth.uid(),
    created_at  timestamptz not null default now(),
    expires_at  timestamptz not null,
    accepted_at timestamptz,
    accepted_by uuid,
    revoked_at  timestamptz,
    check ((accepted_at is null) = (accepted_by is null)),
    check (accepted_at is null or revoked_at is null)
);
comment on table app.invitations is 'Who was asked to become a member. The token is in the mail alone; here is its SHA-256.';
create index invitations_account on app.invitations (account_id, created_at desc, id desc);
create unique index invitations_open on app.invitations (account_id, lower(email))
    where accepted_at is null and revoked_at is null;
alter table app.invitations enable row level security;
alter table app.invitations force row level security;
create policy invitations_managed on app.invitations to authenticated
    using (account_id = (select auth.account_id()) and (select auth.member_role()) in ('owner', 'admin'))
    with check (account_id = (select auth.account_id()) and (select auth.member_role()) in ('owner', 'admin'));
create policy invitations_service on app.invitations to service_role using (true) with check (true);
create policy invitations_operations on app.invitations for select to ops_admin using (true);
grant select (id, account_id, email, role, invited_by, created_at, expires_at, accepted_at, accepted_by, revoked_at),
    insert (id, email, role, token_hash, expires_at),
    update (token_hash, expires_at, revoked_at) on app.invitations to authenticated;
grant select, insert, update, delete on app.invitations to service_role;
grant select (id, account_id, role, created_at, expires_at, accepted_at, revoked_at) on app.invitations to ops_admin;

alter table app.mails add column confidential boolean not null default false;
comment on column app.mails.confidential is 'Its text goes once it was sent or given up: it holds a secret.';
grant insert (confidential) on app.mails to authenticated;

-- migrate:down
revoke insert (confidential) on app.mails from authenticated;
alter table app.mails drop column confidential;
drop table app.invitations;
drop trigger accounts_managed on app.accounts;
drop function app.check_manager();
drop policy company_settings_made_by_managers on app.company_settings;
drop policy company_settings_changed_by_managers on app.company_settings;
drop policy webhook_endpoints_made_by_managers on app.webhook_endpoints;
drop policy webhook_endpoints_changed_by_managers on app.webhook_endpoints;
drop policy webhook_endpoints_deleted_by_managers on app.webhook_endpoints;
drop trigger members_keep_an_owner on app.members;
drop function app.check_owner();
drop function auth.admit_work();
drop function auth.admit_person();
create or replace function auth.admit() returns void
language plpgsql set search_path = ''
as $$
begin
    if exists (select from ops.revoked_tokens where jti = auth.claims() ->> 'jti') then
        raise exception using errcode = 'QK401', message = 'the token was withdrawn';
    end if;
    if current_setting('transaction_read_only') = 'off'
        and not exists (select from app.accounts where id = auth.account_id()) then
        insert into app.accounts (id) values (auth.account_id()) on conflict (id) do nothing;
    end if;
end
$$;
drop function auth.member_role();
drop trigger members_touch on app.members;
drop index app.members_one_owner;
alter table app.members drop column updated_at, drop column version, drop column email;
revoke update (version) on app.accounts from authenticated;
alter table app.accounts drop column version;
