-- What leaves the house: documents, mails and the outbox; what came in twice; and who did what.

-- migrate:up
set local lock_timeout = '5s';

create table app.documents (
    id           uuid primary key,
    account_id   uuid not null default auth.account_id(),
    quote_id     uuid not null,
    version_id   uuid not null,
    input_hash   bytea not null check (length(input_hash) = 32),
    status       text not null default 'pending' check (status in ('pending', 'ready', 'failed')),
    reason       text check (length(reason) <= 2000),
    key          text not null check (length(key) <= 500),
    sha256       text check (sha256 ~ '^[0-9a-f]{64}$'),
    bytes        bigint check (bytes > 0),
    pages        integer check (pages > 0),
    created_at   timestamptz not null default now(),
    updated_at   timestamptz not null default now(),
    unique (version_id, input_hash),
    unique (account_id, id),
    foreign key (account_id, quote_id) references app.quotes (account_id, id) on delete cascade,
    foreign key (account_id, version_id) references app.quote_versions (account_id, id) on delete cascade,
    constraint documents_ready_is_measured check (
        (status = 'ready') = (sha256 is not null and bytes is not null and pages is not null)),
    constraint documents_failed_has_reason check ((status = 'failed') = (reason is not null))
);
comment on table app.documents is 'PDFs in the documents bucket. The same input is the same document.';
comment on column app.documents.input_hash is 'SHA-256 of all that was printed; a changed draft is another document.';
create index documents_quote on app.documents (account_id, quote_id, created_at desc);
create index documents_version on app.documents (account_id, version_id);
alter table app.documents enable row level security;
alter table app.documents force row level security;
create policy documents_own on app.documents to authenticated
    using (account_id = (select auth.account_id())) with check (account_id = (select auth.account_id()));
create policy documents_service on app.documents to service_role using (true) with check (true);
grant select, insert (id, quote_id, version_id, input_hash, key, status, sha256, bytes, pages),
    update (status, reason, key, sha256, bytes, pages) on app.documents to authenticated;
grant select, insert, update, delete on app.documents to service_role;
create trigger documents_touch before update on app.documents
    for each row execute function app.touch_updated_at();

create table app.mails (
    id          uuid primary key,
    account_id  uuid not null default auth.account_id() references app.accounts on delete cascade,
    quote_id    uuid,
    version_id  uuid,
    recipient   text not null check (length(recipient) between 3 and 254),
    reply_to    text check (length(reply_to) <= 254),
    sender_name text not null default '' check (length(sender_name) <= 200),
    subject     text not null check (length(subject) between 1 and 500),
    text_body   text not null,
    html_body   text not null,
    status      text not null default 'queued' check (status in ('queued', 'sent', 'failed')),
    attachment_name text not null default 'quote.pdf' check (attachment_name ~ '^[A-Za-z0-9-]+\.pdf$'),
    attachment  text check (attachment in ('attached', 'linked')),
    attempts    integer not null default 0 check (attempts >= 0),
    leased_until timestamptz,
    reason      text check (length(reason) <= 2000),
    provider_id text check (length(provider_id) <= 200),
    created_at  timestamptz not null default now(),
    updated_at  timestamptz not null default now(),
    sent_at     timestamptz,
    unique (account_id, id),
    foreign key (account_id, quote_id) references app.quotes (account_id, id) on delete cascade,
    foreign key (account_id, version_id) references app.quote_versions (account_id, id) on delete cascade,
    constraint mails_sent_is_known check ((status = 'sent') = (sent_at is not null)),
    constraint mails_failed_has_reason check (status <> 'failed' or reason is not null)
);
comment on table app.mails is 'Every mail, what became of it, and why.';
comment on column app.mails.leased_until is 'A worker is sending it; after that time it is taken to have died.';
comment on column app.mails.attachment is 'How the PDF travelled: attached, or linked because it was too large or could not be made.';
create index mails_quote on app.mails (account_id, quote_id, created_at desc);
create index mails_version on app.mails (account_id, version_id);
create index mails_queued on app.mails (created_at) where status = 'queued';
alter table app.mails enable row level security;
alter table app.mails force row level security;
create policy mails_own on app.mails to authenticated
    using (account_id = (select auth.account_id())) with check (account_id = (select auth.account_id()));
create policy mails_service on app.mails to service_role using (true) with check (true);
grant select, insert (id, quote_id, version_id, recipient, reply_to, sender_name, subject, text_body, html_body,
    attachment_name)
    on app.mails to authenticated;
grant select, insert, update, delete on app.mails to service_role;
create trigger mails_touch before update on app.mails
    for each row execute function app.touch_updated_at();

create table app.outbox (
    id         uuid primary key,
    account_id uuid not null default auth.account_id() references app.accounts on delete cascade,
    topic      text not null check (topic in ('pdf', 'mail')),
    payload    jsonb not null check (jsonb_typeof(payload) = 'object'),
    blocked_by uuid references app.outbox on delete set null,
    attempts   integer not null default 0,
    due_at     timestamptz not null default now(),
    sent_at    timestamptz,
    reason     text check (length(reason) <= 2000),
    created_at timestamptz not null default now()
);
comment on table app.outbox is 'Messages that a committed transaction promised; sent after it, again until the queue has them.';
comment on column app.outbox.blocked_by is 'Goes only after that one''s work is done: the worker clears it.';
create index outbox_due on app.outbox (due_at) where sent_at is null and blocked_by is null;
create index outbox_blocked on app.outbox (blocked_by);
create index outbox_account on app.outbox (account_id);
alter table app.outbox enable row level security;
alter table app.outbox force row level security;
create policy outbox_own on app.outbox for select to authenticated
    using (account_id = (select auth.account_id()));
create policy outbox_write on app.outbox for insert to authenticated
    with check (account_id = (select auth.account_id()));
create policy outbox_service on app.outbox to service_role using (true) with check (true);
grant select, insert (id, topic, payload, blocked_by) on app.outbox to authenticated;
grant select, insert, update, delete on app.outbox to service_role;

create table app.idempotency_keys (
    account_id    uuid not null default auth.account_id(),
    key           text not null check (length(key) between 1 and 255),
    request_hash  bytea not null check (length(request_hash) = 32),
    status        integer not null check (status between 200 and 599),
    body          text not null,
    created_at    timestamptz not null default now(),
    expires_at    timestamptz not null default now() + interval '24 hours',
    primary key (account_id, key)
);
comment on table app.idempotency_keys is 'The answer a key got, written in the transaction that earned it.';
create index idempotency_keys_expired on app.idempotency_keys (expires_at);
alter table app.idempotency_keys enable row level security;
alter table app.idempotency_keys force row level security;
create policy idempotency_keys_own on app.idempotency_keys to authenticated
    using (account_id = (select auth.account_id())) with check (account_id = (select auth.account_id()));
create policy idempotency_keys_service on app.idempotency_keys to service_role using (true) with check (true);
grant select, delete, insert (key, request_hash, status, body) on app.idempotency_keys to authenticated;
grant select, insert, update, delete on app.idempotency_keys to service_role;

create table app.audit_events (
    id          uuid primary key,
    account_id  uuid not null default auth.account_id(),
    actor_id    uuid default auth.uid(),
    action      text not null check (action ~ '^[a-z_]+\.[a-z_]+$'),
    object_id   uuid not null,
    details     jsonb not null default '{}' check (jsonb_typeof(details) = 'object'),
    request_id  text check (length(request_id) <= 100),
    occurred_at timestamptz not null default now()
);
comment on table app.audit_events is 'Who did what. Rows are added, never changed: no role may update or delete one.';
create index audit_events_object on app.audit_events (account_id, object_id, occurred_at, id);
create index audit_events_time on app.audit_events (account_id, occurred_at desc, id desc);
alter table app.audit_events enable row level security;
alter table app.audit_events force row level security;
create policy audit_events_read on app.audit_events for select to authenticated
    using (account_id = (select auth.account_id()));
create policy audit_events_write on app.audit_events for insert to authenticated
    with check (account_id = (select auth.account_id()) and actor_id = (select auth.uid()));
create policy audit_events_service_read on app.audit_events for select to service_role using (true);
create policy audit_events_service_write on app.audit_events for insert to service_role with check (true);
create policy audit_events_operations on app.audit_events for select to ops_admin using (true);
grant select, insert (id, action, object_id, details, request_id) on app.audit_events to authenticated;
grant select, insert on app.audit_events to service_role;
grant select on app.audit_events to ops_admin;

create table ops.revoked_tokens (
    jti        text primary key check (length(jti) between 1 and 255),
    expires_at timestamptz not null,
    reason     text not null default '' check (length(reason) <= 500),
    revoked_at timestamptz not null default now()
);
comment on table ops.revoked_tokens is 'Tokens withdrawn before they expire.';
create index revoked_tokens_expired on ops.revoked_tokens (expires_at);
alter table ops.revoked_tokens enable row level security;
alter table ops.revoked_tokens force row level security;
create policy revoked_tokens_service on ops.revoked_tokens to service_role using (true) with check (true);
create policy revoked_tokens_operations on ops.revoked_tokens to ops_admin using (true) with check (true);
grant select, insert, update, delete on ops.revoked_tokens to service_role;
grant select, insert on ops.revoked_tokens to ops_admin;

-- Runs as the caller, in the round trip that opens a transaction: refuses a withdrawn token, and founds the account
-- of a caller who comes for the first time.
create policy revoked_tokens_own on ops.revoked_tokens for select to authenticated
    using (jti = (select auth.claims() ->> 'jti'));
grant usage on schema ops to authenticated;
grant select (jti) on ops.revoked_tokens to authenticated;

create function auth.admit() returns void
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
grant execute on function auth.admit() to authenticated;

-- migrate:down
drop function auth.admit();
revoke usage on schema ops from authenticated;
drop table ops.revoked_tokens;
drop table app.audit_events;
drop table app.idempotency_keys;
drop table app.outbox;
drop table app.mails;
drop table app.documents;
