-- Erasure of an account: asked for by its owner, done by a worker that resumes, shown by a receipt.
-- docs/decisions/0017-erasure.md

-- migrate:up
set local lock_timeout = '5s';

create table ops.erasures (
    id              uuid primary key,
    account_id      uuid unique,
    account_sha256  text not null check (account_sha256 ~ '^[0-9a-f]{64}$'),
    requested_by    uuid,
    recipient       text check (length(recipient) between 3 and 254),
    status          text not null default 'waiting' check (status in ('waiting', 'erasing', 'done')),
    reason          text check (length(reason) <= 500),
    requested_at    timestamptz not null,
    due_at          timestamptz not null,
    tried_at        timestamptz,
    begun_at        timestamptz,
    leads           jsonb check (jsonb_typeof(leads) = 'object'),
    walked_to       uuid not null default '00000000-0000-0000-0000-000000000000',
    deleted_rows    jsonb not null default '{}' check (jsonb_typeof(deleted_rows) = 'object'),
    emptied_at      timestamptz,
    noted           jsonb not null default '{}' check (jsonb_typeof(noted) = 'object'),
    deleted_objects jsonb not null default '{}' check (jsonb_typeof(deleted_objects) = 'object'),
    receipt         jsonb check (jsonb_typeof(receipt) = 'object'),
    receipt_sha256  text check (receipt_sha256 ~ '^[0-9a-f]{64}$'),
    finished_at     timestamptz,
    mailed_at       timestamptz,
    mail_reason     text check (length(mail_reason) <= 500),
    constraint erasures_begun check ((status = 'waiting') = (begun_at is null)),
    constraint erasures_receipt_whole check (
        (receipt is null) = (receipt_sha256 is null) and (receipt is null) = (finished_at is null)),
    constraint erasures_done_forgets check (case when status = 'done'
        then receipt is not null and num_nonnulls(account_id, requested_by, recipient, leads) = 0 and noted = '{}'
        else account_id is not null end)
);
comment on table ops.erasures is 'Accounts to be erased, and the receipts of those that were. Done, a row names nobody.';
comment on column ops.erasures.account_sha256 is 'SHA-256 of the account''s id as text: whoever knows the id finds its receipt.';
comment on column ops.erasures.reason is 'Why it waits although it is due.';
comment on column ops.erasures.leads is 'What leads to the account from outside of its rows: ids at Stripe, endpoints, batches.';
comment on column ops.erasures.walked_to is 'Webhooks up to this one were looked through.';
comment on column ops.erasures.noted is 'By place in S3, the last key that is counted in deleted_objects.';
create index erasures_open on ops.erasures (due_at) where status <> 'done';
create index erasures_finished on ops.erasures (finished_at desc, id desc) where finished_at is not null;
alter table ops.erasures enable row level security;
alter table ops.erasures force row level security;
create policy erasures_own on ops.erasures for select to authenticated
    using (account_id = (select auth.account_id()) and (select auth.member_role()) = 'owner');
create policy erasures_service on ops.erasures to service_role using (true) with check (true);
create policy erasures_operations on ops.erasures for select to ops_admin using (true);
grant select (account_id, status, reason, recipient, requested_at, due_at) on ops.erasures to authenticated;
grant select, insert, update, delete on ops.erasures to service_role;
grant select (id, account_sha256, status, reason, requested_at, due_at, begun_at, emptied_at, finished_at,
    deleted_rows, deleted_objects, receipt, receipt_sha256, mailed_at, mail_reason) on ops.erasures to ops_admin;

-- What must not come back: accounts, and what names them at Stripe and in senders' webhooks.
create table ops.erased_names (
    digest bytea primary key check (length(digest) = 32)
);
comment on table ops.erased_names is 'SHA-256 of the names of erased accounts. From the random ids that they are, it tells nothing.';
alter table ops.erased_names enable row level security;
alter table ops.erased_names force row level security;
create function auth.account_digest() returns bytea
language sql stable parallel safe set search_path = ''
as $$ select sha256(convert_to(auth.account_id()::text, 'UTF8')) $$;
comment on function auth.account_digest is 'What an erased account of the caller would have left.';
grant execute on function auth.account_digest() to authenticated, service_role;
create policy erased_names_own on ops.erased_names for select to authenticated
    using (digest = (select auth.account_digest()));
create policy erased_names_service on ops.erased_names to service_role using (true) with check (true);
grant select on ops.erased_names to authenticated;
grant select, insert, delete on ops.erased_names to service_role;

-- ---- tokens ------------------------------------------------------------------------------------------------------
-- As in 0016_members.sql, but an erased account is not founded anew. While it is erased it has no members.
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
        if exists (select from ops.erased_names where digest = auth.account_digest()) then
            raise exception using errcode = 'QK403', message = 'This account was erased.';
        end if;
        if current_setting('transaction_read_only') = 'on' then
            return; -- there is nothing to be read
        end if;
        insert into app.accounts (id) values (auth.account_id()) on conflict (id) do nothing;
    end if;
    held := coalesce(held, auth.member_role()); -- founded here, or by another request between the two looks
    if held is null then
        raise exception using errcode = 'QK403', message = 'You are no member of this account.';
    end if;
    if held = 'viewer' then
        perform set_config('transaction_read_only', 'on', true);
    end if;
end
$$;

-- ---- guards, which let go for the house in an account under erasure and for nobody else ----------------------------
create function app.is_erasing(account uuid) returns boolean
language plpgsql stable set search_path = ''
as $$
begin
    if current_user <> 'service_role' then
        return false;
    end if;
    return exists (select from ops.erasures where account_id = account and status = 'erasing');
end
$$;
comment on function app.is_erasing is 'Whether the house may delete what else is kept for ever; true for its own role alone.';
grant execute on function app.is_erasing(uuid) to authenticated, service_role, quote_client;

grant delete on app.audit_events to service_role;
create policy audit_events_erased on app.audit_events for delete to service_role
    using (account_id in (select account_id from ops.erasures where status = 'erasing'));
comment on table app.audit_events is 'Who did what. Rows are added, never changed; none is deleted but with its whole account.';

create or replace function app.guard_frozen_version() returns trigger
language plpgsql set search_path = ''
as $$
begin
    if old.frozen_at is not null then
        if tg_op = 'DELETE' and app.is_erasing(old.account_id) then
            return old;
        end if;
        raise exception using errcode = 'QK409', message = 'a sent version cannot be changed';
    end if;
    return case when tg_op = 'DELETE' then old else new end;
end
$$;

create or replace function app.guard_frozen_lines() returns trigger
language plpgsql set search_path = ''
as $$
declare
    account uuid;
begin
    for account in
        select distinct said.account_id from touched
        join app.quote_versions as said on said.account_id = touched.account_id and said.id = touched.version_id
        where said.frozen_at is not null
    loop
        if tg_op <> 'DELETE' or not app.is_erasing(account) then
            raise exception using errcode = 'QK409', message = 'a sent version cannot be changed';
        end if;
    end loop;
    return null;
end
$$;

create or replace function app.check_owner() returns trigger
language plpgsql set search_path = ''
as $$
begin
    if not exists (select from app.members where account_id = old.account_id and role = 'owner')
        and exists (select from app.accounts where id = old.account_id)
        and not app.is_erasing(old.account_id) then
        raise exception using errcode = 'QK409', message = 'An account has an owner at any time.';
    end if;
    return null;
end
$$;

-- Whoever comes while it begins waits for the account's row, and looks after that.
create function app.keep_out_of_erasure() returns trigger
language plpgsql set search_path = ''
as $$
begin
    perform from app.accounts where id = new.account_id for key share;
    if app.is_erasing(new.account_id) then
        raise exception using errcode = 'QK403', message = 'This account is being erased.';
    end if;
    return new;
end
$$;
create trigger members_keep_out_of_erasure before insert on app.members
    for each row execute function app.keep_out_of_erasure();

-- ---- what comes too late -----------------------------------------------------------------------------------------
-- Foreign keys keep the rest out; these have none, or are told by Stripe, which still knows its customer.
create function ops.is_erased(variadic names text[]) returns boolean
language sql stable set search_path = ''
as $$
    select exists (
        select from ops.erased_names
        where digest = any(array(select sha256(convert_to(name, 'UTF8')) from unnest(names) as name)))
$$;
comment on function ops.is_erased is 'Whether one of the names is of an erased account.';
grant execute on function ops.is_erased(text[]) to service_role;

create function ops.drop_row() returns trigger
language plpgsql set search_path = ''
as $$ begin return null; end $$;

create function ops.drop_erased_event() returns trigger
language plpgsql set search_path = ''
as $$
begin
    if not exists (select from ops.erased_names) then
        return new;
    end if;
    if ops.is_erased(variadic array[new.account_id::text, new.endpoint_id::text] || array(
        select distinct word from unnest(string_to_array(new.body, '"')) as word
        where word like 'cus\_%' or word like 'acct\_%' or word like '________-____-____-____-____________'))
    then
        return null;
    end if;
    return new;
end
$$;
create trigger webhook_events_drop_erased before insert on ops.webhook_events
    for each row when (new.source in ('stripe', 'standard')) execute function ops.drop_erased_event();
create trigger stripe_customers_drop_erased before insert on app.stripe_customers
    for each row when (ops.is_erased(new.id, new.account_id::text)) execute function ops.drop_row();
create trigger stripe_subscriptions_drop_erased before insert on app.stripe_subscriptions
    for each row when (ops.is_erased(new.customer_id)) execute function ops.drop_row();
create trigger payment_methods_drop_erased before insert on app.payment_methods
    for each row when (ops.is_erased(new.customer_id)) execute function ops.drop_row();
create trigger billing_history_drop_erased before insert on app.billing_history
    for each row when (ops.is_erased(new.customer_id)) execute function ops.drop_row();
create trigger billing_differences_drop_erased before insert on ops.billing_differences
    for each row when (ops.is_erased(new.object_id, new.account_id::text, new.theirs ->> 'account_id',
        new.theirs ->> 'customer_id')) execute function ops.drop_row();

-- migrate:down
drop trigger billing_differences_drop_erased on ops.billing_differences;
drop trigger billing_history_drop_erased on app.billing_history;
drop trigger payment_methods_drop_erased on app.payment_methods;
drop trigger stripe_subscriptions_drop_erased on app.stripe_subscriptions;
drop trigger stripe_customers_drop_erased on app.stripe_customers;
drop trigger webhook_events_drop_erased on ops.webhook_events;
drop function ops.drop_erased_event();
drop function ops.drop_row();
drop function ops.is_erased(text[]);
drop trigger members_keep_out_of_erasure on app.members;
drop function app.keep_out_of_erasure();
create or replace function app.check_owner() returns trigger
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
create or replace function app.guard_frozen_lines() returns trigger
language plpgsql set search_path = ''
as $$
begin
    if exists (
        select from touched
        join app.quote_versions as said on said.account_id = touched.account_id and said.id = touched.version_id
        where said.frozen_at is not null)
    then
        raise exception using errcode = 'QK409', message = 'a sent version cannot be changed';
    end if;
    return null;
end
$$;
create or replace function app.guard_frozen_version() returns trigger
language plpgsql set search_path = ''
as $$
begin
    if old.frozen_at is not null then
        raise exception using errcode = 'QK409', message = 'a sent version cannot be changed';
    end if;
    return case when tg_op = 'DELETE' then old else new end;
end
$$;
comment on table app.audit_events is 'Who did what. Rows are added, never changed: no role may update or delete one.';
drop policy audit_events_erased on app.audit_events;
revoke delete on app.audit_events from service_role;
drop function app.is_erasing(uuid);
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
drop table ops.erased_names;
drop function auth.account_digest();
drop table ops.erasures;
