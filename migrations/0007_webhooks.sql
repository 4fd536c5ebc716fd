-- What other systems tell us: how it is routed, each event once with its attempts, what could never be applied, and
-- where the applied went.

-- migrate:up
set local lock_timeout = '5s';

-- ---- routing ----
create table ops.webhook_rules (
    id         uuid primary key default gen_random_uuid(),
    source     text not null check (source ~ '^[a-z][a-z0-9-]{0,49}$'),
    type       text not null default '*' check (length(type) between 1 and 200),
    action     text not null default '*' check (length(action) between 1 and 200),
    size_band  text not null default '*' check (size_band in ('*', 'light', 'heavy')),
    queue      text not null check (queue in ('critical', 'standard', 'bulk')),
    handler    text not null check (handler ~ '^[a-z][a-z0-9-]{0,49}$'),
    debounce_seconds integer check (debounce_seconds between 1 and 3600),
    note       text not null default '' check (length(note) <= 500),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    unique (source, type, action, size_band)
);
comment on table ops.webhook_rules is 'Which event goes to which class of queue and to which handler; published as one document.';
comment on column ops.webhook_rules.type is 'Exact, or a beginning followed by *; the most exact rule wins: type, then action, then size band.';
create trigger webhook_rules_touch before update on ops.webhook_rules
    for each row execute function app.touch_updated_at();

create table ops.webhook_routings (
    version      bigint generated always as identity primary key,
    document     jsonb not null check (jsonb_typeof(document) = 'object'),
    published_by uuid,
    created_at   timestamptz not null default now(),
    published_at timestamptz
);
comment on table ops.webhook_routings is 'The documents made of the rules; published_at is null until the document was stored where the handler reads.';

create table app.webhook_endpoints (
    id           uuid primary key,
    account_id   uuid not null default auth.account_id() references app.accounts on delete cascade,
    name         text not null default '' check (length(name) <= 200),
    scheme       text not null check (scheme in ('hmac', 'ed25519')),
    enabled      boolean not null default true,
    published_at timestamptz,
    created_at   timestamptz not null default now(),
    updated_at   timestamptz not null default now()
);
comment on table app.webhook_endpoints is 'Addresses a tenant''s own senders post Standard Webhooks to. The secrets are in Secrets Manager, by id.';
create index webhook_endpoints_account on app.webhook_endpoints (account_id, created_at, id);
create trigger webhook_endpoints_touch before update on app.webhook_endpoints
    for each row execute function app.touch_updated_at();

-- ---- events ----
create table ops.webhook_events (
    id            uuid primary key,
    source        text not null check (length(source) between 1 and 50),
    endpoint_id   uuid,
    event_id      text not null check (length(event_id) between 1 and 255),
    type          text not null check (length(type) <= 200),
    action        text check (length(action) <= 200),
    object_id     text check (length(object_id) <= 255),
    account_id    uuid,
    handler       text not null check (length(handler) <= 50),
    queue         text not null check (queue in ('webhooks_critical', 'webhooks', 'webhooks_bulk')),
    debounce_seconds integer,
    signature_key integer,
    status        text not null
        check (status in ('queued', 'applied', 'stale', 'ignored', 'failed', 'dead')),
    attempts      integer not null default 1 check (attempts >= 0),
    failures      integer not null default 0 check (failures >= 0),
    category      text check (category in ('timeout', 'validation', 'external', 'rate_limit', 'unknown')),
    error         text check (length(error) <= 2000),
    sent_at       timestamptz,
    received_at   timestamptz not null,
    recorded_at   timestamptz not null default now(),
    finished_at   timestamptz,
    bytes         integer not null check (bytes >= 0),
    is_json       boolean not null,
    body          text not null,
    -- One tenant's event cannot stand in for another's.
    constraint webhook_events_once unique nulls not distinct (source, endpoint_id, event_id),
    constraint webhook_events_failed_has_reason
        check (status not in ('failed', 'dead') or (error is not null and category is not null))
);
comment on table ops.webhook_events is 'Every event once. It is recorded in the transaction that applies it.';
comment on column ops.webhook_events.status is 'queued: sent again and not yet done; failed: the queue will deliver it again; dead: nobody will, unless it is redriven.';
comment on column ops.webhook_events.failures is 'Since it was received or last redriven; attempts are counted for ever.';
comment on column ops.webhook_events.sent_at is 'The time the sender gives; received_at is ours.';
comment on column ops.webhook_events.is_json is 'Whether body::jsonb works: it is JSON without the null character and half surrogates.';
create index webhook_events_type on ops.webhook_events (source, type, id);
create index webhook_events_object on ops.webhook_events (source, object_id, id) where object_id is not null;
create index webhook_events_unfinished on ops.webhook_events (id) include (status, source, type)
    where status in ('queued', 'failed', 'dead');

create table ops.webhook_attempts (
    webhook_id   uuid not null references ops.webhook_events on delete cascade,
    number       integer not null check (number > 0),
    receives     integer not null check (receives > 0),
    started_at   timestamptz not null,
    milliseconds numeric(12, 3) not null check (milliseconds >= 0),
    outcome      text not null check (outcome in ('applied', 'stale', 'ignored', 'failed')),
    category     text check (category in ('timeout', 'validation', 'external', 'rate_limit', 'unknown')),
    error        text check (length(error) <= 2000),
    details      jsonb not null default '{}' check (jsonb_typeof(details) = 'object'),
    primary key (webhook_id, number),
    constraint webhook_attempts_failed_has_reason
        check ((outcome = 'failed') = (error is not null and category is not null))
);
comment on table ops.webhook_attempts is 'Each try at an event, also when its transaction was rolled back. Rows are added, never changed.';
comment on column ops.webhook_attempts.milliseconds is 'From taking the message up to the commit, or to the error.';
create index webhook_attempts_time on ops.webhook_attempts (started_at);

create table ops.webhook_refusals (
    id          uuid primary key,
    source      text not null check (length(source) <= 50),
    endpoint_id uuid,
    reason      text not null check (length(reason) <= 200),
    sample      text not null,
    received_at timestamptz not null
);
comment on table ops.webhook_refusals is 'A sample of the requests that were turned away, redacted. Anybody can send one, so none counts as an event.';
create index webhook_refusals_time on ops.webhook_refusals (received_at desc, id desc);

create table ops.webhook_dead_letters (
    id              uuid primary key,
    webhook_id      uuid references ops.webhook_events on delete set null,
    source          text not null check (length(source) <= 50),
    endpoint_id     uuid,
    event_id        text not null check (length(event_id) between 1 and 255),
    type            text check (length(type) <= 200),
    queue           text not null check (queue in ('webhooks_critical', 'webhooks', 'webhooks_bulk')),
    body            text not null,
    reason          text not null check (length(reason) <= 2000),
    category        text not null check (category in ('timeout', 'validation', 'external', 'rate_limit', 'unknown')),
    count           integer not null default 1 check (count > 0),
    message_id      text not null check (length(message_id) <= 200),
    first_failed_at timestamptz not null default now(),
    last_failed_at  timestamptz not null default now(),
    resolved_at     timestamptz,
    resolved_by     uuid,
    resolution      text check (length(resolution) <= 2000),
    constraint webhook_dead_letters_once unique nulls not distinct (source, endpoint_id, event_id),
    constraint webhook_dead_letters_resolved_says_how check ((resolved_at is null) = (resolution is null))
);
comment on table ops.webhook_dead_letters is 'Messages that failed for good, once an event. What nobody can read has the source unreadable and its hash as event.';
comment on column ops.webhook_dead_letters.body is 'The message as it lay in the dead-letter queue; of a claim check, what it led to.';
comment on column ops.webhook_dead_letters.message_id is 'Of the message counted last, so that one delivered twice counts once.';
create index webhook_dead_letters_event on ops.webhook_dead_letters (webhook_id);
create index webhook_dead_letters_open on ops.webhook_dead_letters (last_failed_at desc, id) include (category, count)
    where resolved_at is null;

create table ops.webhook_redrives (
    id          uuid primary key,
    filter      jsonb not null check (jsonb_typeof(filter) = 'object'),
    per_minute  integer not null check (per_minute between 1 and 60000),
    status      text not null default 'running' check (status in ('running', 'cancelled', 'done')),
    after_id    uuid,
    continued_at timestamptz,
    matching    integer not null check (matching >= 0),
    promised    integer not null default 0 check (promised >= 0),
    created_by  uuid,
    reason      text not null default '' check (length(reason) <= 500),
    created_at  timestamptz not null default now(),
    updated_at  timestamptz not null default now(),
    finished_at timestamptz,
    constraint webhook_redrives_finished_is_known check ((status = 'running') = (finished_at is null))
);
comment on table ops.webhook_redrives is 'Dead events sent again, a part a minute, in the order of their ids.';
comment on column ops.webhook_redrives.after_id is 'Everything up to this event was looked at; the next part begins behind it.';
comment on column ops.webhook_redrives.matching is 'How many events matched when it began.';
create index webhook_redrives_running on ops.webhook_redrives (created_at) where status = 'running';
create trigger webhook_redrives_touch before update on ops.webhook_redrives
    for each row execute function app.touch_updated_at();

create table ops.webhook_redrive_items (
    redrive_id  uuid not null references ops.webhook_redrives on delete cascade,
    webhook_id  uuid not null references ops.webhook_events on delete cascade,
    promised_at timestamptz not null default now(),
    primary key (redrive_id, webhook_id)
);
comment on table ops.webhook_redrive_items is 'Which events a redrive sent again; what became of them is in their own status.';
create index webhook_redrive_items_event on ops.webhook_redrive_items (webhook_id);

-- Redriven events belong to no account, and tenants promise no webhooks.
alter table app.outbox alter column account_id drop not null;
alter table app.outbox drop constraint outbox_topic_check;
alter table app.outbox add constraint outbox_topic_check
    check (topic in ('pdf', 'mail', 'webhooks_critical', 'webhooks', 'webhooks_bulk'));
alter policy outbox_write on app.outbox
    with check (account_id = (select auth.account_id()) and topic in ('pdf', 'mail'));

-- ---- what the events came to ----
create table ops.webhook_objects (
    source     text not null check (length(source) <= 50),
    scope      text not null default '' check (length(scope) <= 100),
    kind       text not null check (length(kind) <= 50),
    object_id  text not null check (length(object_id) <= 500),
    rank       smallint not null default 0,
    version_at timestamptz not null,
    event_id   text not null check (length(event_id) <= 255),
    state      text not null check (length(state) <= 100),
    details    jsonb not null default '{}' check (jsonb_typeof(details) = 'object'),
    updated_at timestamptz not null default now(),
    primary key (source, scope, kind, object_id)
);
comment on table ops.webhook_objects is 'A sender''s objects as far as we know them: of all events the one with the greatest (rank, version_at, event_id).';
comment on column ops.webhook_objects.rank is 'Above 0 for states that nothing but a higher one follows: deleted, delivered, returned.';
comment on column ops.webhook_objects.scope is 'The tenant''s endpoint where ids are unique only there.';

create table ops.repository_events (
    id              uuid primary key,
    source          text not null check (length(source) <= 50),
    event_id        text not null check (length(event_id) <= 255),
    debounce_key    text not null unique check (length(debounce_key) <= 1000),
    repository      text not null check (length(repository) <= 300),
    installation_id bigint,
    kind            text not null check (length(kind) <= 50),
    action          text check (length(action) <= 200),
    object_id       text check (length(object_id) <= 500),
    sender          text check (length(sender) <= 100),
    author          text check (length(author) <= 100),
    version_at      timestamptz not null,
    collapsed       integer not null default 0 check (collapsed >= 0),
    priority_score  smallint not null check (priority_score between 0 and 100),
    priority        text not null generated always as (case when priority_score >= 80 then 'critical'
        when priority_score >= 60 then 'high' when priority_score >= 40 then 'medium' else 'low' end) stored,
    settles_at      timestamptz not null,
    recorded_at     timestamptz not null default now(),
    handled_at      timestamptz
);
comment on table ops.repository_events is 'What happened in repositories, for those who work on it: take what has settled, the most urgent first.';
comment on column ops.repository_events.debounce_key is 'Events with the same key collapse into the last; without debounce the event''s own.';
comment on column ops.repository_events.collapsed is 'How many others this one stands for.';
create index repository_events_activity on ops.repository_events (repository, version_at);
create index repository_events_author on ops.repository_events (repository, author)
    where kind = 'pull_request' and action = 'closed';
create index repository_events_open on ops.repository_events (priority_score desc, settles_at) where handled_at is null;

create table ops.shop_events (
    id          uuid primary key,
    source      text not null check (length(source) <= 50),
    event_id    text not null check (length(event_id) <= 255),
    shop_id     text not null check (length(shop_id) <= 100),
    kind        text not null check (kind in ('order', 'address', 'package', 'product', 'cancellation', 'return',
        'inventory', 'authorization', 'other')),
    object_id   text check (length(object_id) <= 255),
    state       text check (length(state) <= 100),
    version_at  timestamptz not null,
    is_stale    boolean not null,
    data        jsonb not null check (jsonb_typeof(data) = 'object'),
    recorded_at timestamptz not null default now(),
    handled_at  timestamptz,
    unique (source, event_id)
);
comment on table ops.shop_events is 'The commerce functions'' inbox of orders, packages and products.';
comment on column ops.shop_events.is_stale is 'A later version of the same object had come before it.';
create index shop_events_open on ops.shop_events (kind, id) where handled_at is null;
create index shop_events_object on ops.shop_events (shop_id, object_id, version_at);

create table ops.tracking_events (
    id              uuid primary key,
    source          text not null check (length(source) <= 50),
    event_id        text not null check (length(event_id) <= 255),
    carrier         text not null check (length(carrier) <= 100),
    tracking_number text not null check (length(tracking_number) between 1 and 100),
    scanned_at      timestamptz not null,
    code            text not null check (length(code) <= 200),
    state           text check (state in ('label_created', 'picked_up', 'in_transit', 'out_for_delivery', 'delivered',
        'exception', 'returned', 'voided')),
    place           text check (length(place) <= 300),
    recorded_at     timestamptz not null default now(),
    handled_at      timestamptz,
    unique (source, tracking_number, scanned_at, code)
);
comment on table ops.tracking_events is 'The commerce functions'' inbox of scans; each once, however often it is told.';
comment on column ops.tracking_events.state is 'Null for a code nobody taught us.';
create index tracking_events_open on ops.tracking_events (id) where handled_at is null;

create table app.webhook_inbox (
    id          uuid primary key,
    account_id  uuid not null references app.accounts on delete cascade,
    endpoint_id uuid not null,
    event_id    text not null check (length(event_id) <= 255),
    type        text not null check (length(type) <= 200),
    body        text not null,
    occurred_at timestamptz not null,
    received_at timestamptz not null,
    created_at  timestamptz not null default now(),
    unique (account_id, endpoint_id, event_id)
);
comment on table app.webhook_inbox is 'Standard Webhooks that a tenant''s own senders posted.';
create index webhook_inbox_time on app.webhook_inbox (account_id, id);

-- ---- who may what ----
do $$
declare
    name text;
begin
    foreach name in array array['webhook_rules', 'webhook_routings', 'webhook_events', 'webhook_attempts',
        'webhook_refusals', 'webhook_dead_letters', 'webhook_redrives', 'webhook_redrive_items', 'webhook_objects',
        'repository_events', 'shop_events', 'tracking_events'] loop
        execute format('alter table ops.%I enable row level security', name);
        execute format('alter table ops.%I force row level security', name);
        execute format('create policy %I on ops.%I to service_role using (true) with check (true)',
            name || '_service', name);
        execute format('create policy %I on ops.%I for select to ops_admin using (true)', name || '_operations', name);
        execute format('grant select on ops.%I to ops_admin', name);
        execute format('grant select, insert, delete on ops.%I to service_role', name);
        if name <> 'webhook_attempts' then
            execute format('grant update on ops.%I to service_role', name);
        end if;
    end loop;
end
$$;

alter table app.webhook_endpoints enable row level security;
alter table app.webhook_endpoints force row level security;
create policy webhook_endpoints_own on app.webhook_endpoints to authenticated
    using (account_id = (select auth.account_id())) with check (account_id = (select auth.account_id()));
create policy webhook_endpoints_service on app.webhook_endpoints to service_role using (true) with check (true);
create policy webhook_endpoints_operations on app.webhook_endpoints for select to ops_admin using (true);
grant select, insert (id, name, scheme), update (name, enabled) on app.webhook_endpoints to authenticated;
grant select, insert, update, delete on app.webhook_endpoints to service_role;
grant select on app.webhook_endpoints to ops_admin;

alter table app.webhook_inbox enable row level security;
alter table app.webhook_inbox force row level security;
create policy webhook_inbox_own on app.webhook_inbox for select to authenticated
    using (account_id = (select auth.account_id()));
create policy webhook_inbox_service on app.webhook_inbox to service_role using (true) with check (true);
grant select on app.webhook_inbox to authenticated;
grant select, insert, delete on app.webhook_inbox to service_role;

insert into ops.webhook_rules (source, type, action, size_band, queue, handler, debounce_seconds, note) values
    ('stripe', '*', '*', '*', 'critical', 'stripe', null, 'money'),
    ('stripe', 'customer.created', '*', '*', 'standard', 'stripe', null, ''),
    ('stripe', 'customer.updated', '*', '*', 'standard', 'stripe', null, ''),
    ('stripe', 'customer.deleted', '*', '*', 'standard', 'stripe', null, ''),
    ('stripe', 'product.*', '*', '*', 'standard', 'stripe', null, ''),
    ('stripe', 'price.*', '*', '*', 'standard', 'stripe', null, ''),
    ('github', '*', '*', '*', 'bulk', 'github', null, 'stored, mostly ignored'),
    ('github', 'pull_request', '*', '*', 'standard', 'github', 5, ''),
    ('github', 'pull_request', 'opened', '*', 'standard', 'github', null, 'never delayed'),
    ('github', 'issues', '*', '*', 'standard', 'github', 5, ''),
    ('github', 'issues', 'opened', '*', 'standard', 'github', null, 'never delayed'),
    ('github', 'push', '*', '*', 'standard', 'github', 5, ''),
    ('github', 'push', '*', 'heavy', 'bulk', 'github', 5, ''),
    ('github', 'installation', '*', '*', 'critical', 'github', null, ''),
    ('github', 'installation_repositories', '*', '*', 'critical', 'github', null, ''),
    ('tiktok-shop', '*', '*', '*', 'standard', 'tiktok-shop', null, ''),
    ('tiktok-shop', '1', '*', '*', 'critical', 'tiktok-shop', null, 'orders'),
    ('easypost', '*', '*', '*', 'standard', 'carrier', null, ''),
    ('shippo', '*', '*', '*', 'standard', 'carrier', null, ''),
    ('standard', '*', '*', '*', 'standard', 'standard', null, '');

-- migrate:down
drop table app.webhook_inbox;
drop table ops.tracking_events;
drop table ops.shop_events;
drop table ops.repository_events;
drop table ops.webhook_objects;
alter policy outbox_write on app.outbox with check (account_id = (select auth.account_id()));
delete from app.outbox where account_id is null or topic not in ('pdf', 'mail');
alter table app.outbox drop constraint outbox_topic_check;
alter table app.outbox add constraint outbox_topic_check check (topic in ('pdf', 'mail'));
alter table app.outbox alter column account_id set not null;
drop table ops.webhook_redrive_items;
drop table ops.webhook_redrives;
drop table ops.webhook_dead_letters;
drop table ops.webhook_refusals;
drop table ops.webhook_attempts;
drop table ops.webhook_events;
drop table app.webhook_endpoints;
drop table ops.webhook_routings;
drop table ops.webhook_rules;
