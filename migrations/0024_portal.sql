-- The client's page: who opens it may see and answer one quote, and nothing else of anybody.

-- migrate:up
set local lock_timeout = '5s';

-- The fourth role: a client with the link of a quote. Its claims name the account and the quote.
do $$
begin
    if not exists (select from pg_catalog.pg_roles where rolname = 'quote_client') then
        create role quote_client nologin;
    end if;
end
$$;
grant quote_client to quotekit_functions;
grant usage on schema auth, app to quote_client;

create function auth.quote_id() returns uuid
language sql stable parallel safe set search_path = ''
as $$ select (auth.claims() ->> 'quote_id')::uuid $$;
comment on function auth.quote_id is 'The one quote this transaction may touch; null for whoever is no client with a link.';
grant execute on function auth.quote_id() to authenticated, service_role, ops_admin, quote_client;
grant execute on function auth.claims(), auth.uid(), auth.account_id(), auth.role() to quote_client;
grant execute on function app.quote_may_become(text, text), app.plan_key(uuid) to quote_client;

create table app.quote_acceptances (
    id              uuid primary key,
    account_id      uuid not null default auth.account_id(),
    quote_id        uuid not null,
    version_id      uuid not null,
    name            text not null check (length(name) between 1 and 200),
    signature       text check (length(signature) <= 20000
        and signature ~ '^(M\d{1,3} \d{1,3}(L\d{1,3} \d{1,3})+)+$'),
    source_ip       inet not null,
    user_agent      text not null default '' check (length(user_agent) <= 500),
    version_sha256  text not null check (version_sha256 ~ '^[0-9a-f]{64}$'),
    selected        smallint[] not null default '{}' check (cardinality(selected) <= 500),
    currency        text not null check (currency ~ '^[A-Z]{3}$'),
    subtotal        numeric(24, 4) not null check (subtotal >= 0),
    discount_amount numeric(24, 4) not null check (discount_amount between 0 and subtotal),
    tax_amount      numeric(24, 4) not null check (tax_amount >= 0),
    tax_breakdown   jsonb not null check (jsonb_typeof(tax_breakdown) = 'array'),
    total           numeric(24, 4) not null check (total >= 0),
    deposit_amount  numeric(24, 4) not null check (deposit_amount between 0 and total),
    accepted_at     timestamptz not null default now(),
    unique (account_id, quote_id),
    unique (account_id, id),
    foreign key (account_id, quote_id) references app.quotes (account_id, id) on delete cascade,
    foreign key (account_id, version_id) references app.quote_versions (account_id, id) on delete cascade
);
comment on table app.quote_acceptances is 'What a client agreed to on his page, and how he said so. Rows are added, never changed.';
comment on column app.quote_acceptances.signature is 'Strokes on a field of 600 by 200, as an SVG path of M and L alone; null where nothing was drawn.';
comment on column app.quote_acceptances.version_sha256 is 'SHA-256 of what the frozen version says; see quotes/sealing.py.';
comment on column app.quote_acceptances.selected is 'Positions of the optional lines the client took; the totals are those with them.';
create index quote_acceptances_version on app.quote_acceptances (account_id, version_id);
alter table app.quote_acceptances enable row level security;
alter table app.quote_acceptances force row level security;
create policy quote_acceptances_own on app.quote_acceptances for select to authenticated
    using (account_id = (select auth.account_id()));
create policy quote_acceptances_service on app.quote_acceptances to service_role using (true) with check (true);
create policy quote_acceptances_client_read on app.quote_acceptances for select to quote_client
    using (account_id = (select auth.account_id()) and quote_id = (select auth.quote_id()));
create policy quote_acceptances_client_write on app.quote_acceptances for insert to quote_client
    with check (account_id = (select auth.account_id()) and quote_id = (select auth.quote_id()));
grant select on app.quote_acceptances to authenticated;
grant select, delete on app.quote_acceptances to service_role;
grant select, insert (id, quote_id, version_id, name, signature, source_ip, user_agent, version_sha256, selected,
    currency, subtotal, discount_amount, tax_amount, tax_breakdown, total, deposit_amount)
    on app.quote_acceptances to quote_client;

create table app.quote_questions (
    id         uuid primary key,
    account_id uuid not null default auth.account_id(),
    quote_id   uuid not null,
    question   text not null check (length(question) between 1 and 2000),
    source_ip  inet not null,
    asked_at   timestamptz not null default now(),
    foreign key (account_id, quote_id) references app.quotes (account_id, id) on delete cascade
);
comment on table app.quote_questions is 'What clients asked on their page; the answer goes by mail.';
create index quote_questions_quote on app.quote_questions (account_id, quote_id, asked_at desc, id desc);
alter table app.quote_questions enable row level security;
alter table app.quote_questions force row level security;
create policy quote_questions_own on app.quote_questions for select to authenticated
    using (account_id = (select auth.account_id()));
create policy quote_questions_service on app.quote_questions to service_role using (true) with check (true);
create policy quote_questions_client_read on app.quote_questions for select to quote_client
    using (account_id = (select auth.account_id()) and quote_id = (select auth.quote_id()));
create policy quote_questions_client_write on app.quote_questions for insert to quote_client
    with check (account_id = (select auth.account_id()) and quote_id = (select auth.quote_id()));
grant select on app.quote_questions to authenticated;
grant select, delete on app.quote_questions to service_role;
grant select, insert (id, quote_id, question, source_ip) on app.quote_questions to quote_client;

-- What else a client's transaction reads and writes: the quote, what it says, how its company prints.
create policy quotes_client_read on app.quotes for select to quote_client
    using (account_id = (select auth.account_id()) and id = (select auth.quote_id()));
create policy quotes_client_answer on app.quotes for update to quote_client
    using (account_id = (select auth.account_id()) and id = (select auth.quote_id()))
    with check (account_id = (select auth.account_id()) and id = (select auth.quote_id())
        and status in ('viewed', 'accepted', 'declined'));
grant select, update (status, version, viewed_at, decided_at, decision_note, converted_at)
    on app.quotes to quote_client;
create policy quote_versions_client on app.quote_versions for select to quote_client
    using (account_id = (select auth.account_id()) and quote_id = (select auth.quote_id()));
grant select on app.quote_versions to quote_client;
create policy quote_lines_client on app.quote_lines for select to quote_client
    using (account_id = (select auth.account_id()) and version_id in (
        select said.id from app.quote_versions as said
        where said.account_id = (select auth.account_id()) and said.quote_id = (select auth.quote_id())));
grant select on app.quote_lines to quote_client;
create policy company_settings_client on app.company_settings for select to quote_client
    using (account_id = (select auth.account_id()));
grant select on app.company_settings to quote_client;
create policy plans_client on app.plans for select to quote_client using (true);
grant select on app.plans to quote_client;
create policy subscriptions_client on app.subscriptions for select to quote_client
    using (account_id = (select auth.account_id()));
grant select on app.subscriptions to quote_client;
create policy documents_client on app.documents for select to quote_client
    using (account_id = (select auth.account_id()) and quote_id = (select auth.quote_id()));
grant select on app.documents to quote_client;
create policy mails_client_read on app.mails for select to quote_client
    using (account_id = (select auth.account_id()) and quote_id = (select auth.quote_id()));
create policy mails_client_write on app.mails for insert to quote_client
    with check (account_id = (select auth.account_id()) and quote_id = (select auth.quote_id()));
grant select, insert (id, quote_id, version_id, recipient, reply_to, sender_name, subject, text_body, html_body,
    attachment_name) on app.mails to quote_client;
create policy quote_reminders_client on app.quote_reminders for select to quote_client
    using (account_id = (select auth.account_id()) and quote_id = (select auth.quote_id()));
grant select on app.quote_reminders to quote_client;
create policy outbox_client on app.outbox for insert to quote_client
    with check (account_id = (select auth.account_id()));
grant insert (id, topic, payload, blocked_by) on app.outbox to quote_client;
create policy audit_events_client on app.audit_events for insert to quote_client
    with check (account_id = (select auth.account_id()) and object_id = (select auth.quote_id())
        and actor_id is null);
grant insert (id, action, object_id, details, request_id) on app.audit_events to quote_client;

-- How often the page was asked for in the last minute. The place of a caller is a part of a hash of his address or
-- token: the table cannot grow past 131,072 rows and says nothing of anybody. Strangers may share a place.
create unlogged table ops.portal_requests (
    place    integer primary key check (place between 0 and 131071),
    begun_at timestamptz not null default now(),
    requests integer not null default 1
);
comment on table ops.portal_requests is 'Requests for clients'' pages, a minute each; lost in a crash without harm.';
alter table ops.portal_requests enable row level security;
alter table ops.portal_requests force row level security;
create policy portal_requests_service on ops.portal_requests to service_role using (true) with check (true);
grant select, insert, update, delete on ops.portal_requests to service_role;

-- migrate:down
drop table ops.portal_requests;
drop policy audit_events_client on app.audit_events;
drop policy outbox_client on app.outbox;
drop policy quote_reminders_client on app.quote_reminders;
drop policy mails_client_write on app.mails;
drop policy mails_client_read on app.mails;
drop policy documents_client on app.documents;
drop policy subscriptions_client on app.subscriptions;
drop policy plans_client on app.plans;
drop policy company_settings_client on app.company_settings;
drop policy quote_lines_client on app.quote_lines;
drop policy quote_versions_client on app.quote_versions;
drop policy quotes_client_answer on app.quotes;
drop policy quotes_client_read on app.quotes;
drop table app.quote_questions;
drop table app.quote_acceptances;
revoke all on all tables in schema app from quote_client; -- their columns too
revoke all on all functions in schema app, auth from quote_client;
drop function auth.quote_id();
revoke usage on schema auth, app from quote_client;
-- The role and who may become it belong to the cluster, as in 0001.
