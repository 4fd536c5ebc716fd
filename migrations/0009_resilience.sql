-- What keeps others' outages from becoming ours: breakers and leases that all processes share. And how the webhooks
-- do: counts rolled up once a minute, targets and thresholds as rows.

-- migrate:up
set local lock_timeout = '5s';

create table ops.breakers (
    id              uuid primary key,
    dependency      text not null unique check (dependency ~ '^[a-z0-9][a-z0-9_.:-]{0,99}$'),
    profile         text not null check (profile ~ '^[a-z_]{1,40}$'),
    phase           text not null default 'closed' check (phase in ('closed', 'open', 'half_open')),
    since           timestamptz not null default now(),
    generation      bigint not null default 0 check (generation >= 0),
    consecutive     integer not null default 0 check (consecutive >= 0),
    step            integer not null default 0 check (step >= 0),
    good            integer not null default 0 check (good >= 0),
    bad             integer not null default 0 check (bad >= 0),
    buckets         jsonb not null default '{}' check (jsonb_typeof(buckets) = 'object'),
    probes          jsonb not null default '{}' check (jsonb_typeof(probes) = 'object'),
    override        text check (override in ('closed', 'open')),
    override_until  timestamptz,
    override_reason text check (length(override_reason) between 1 and 500),
    updated_at      timestamptz not null default now(),
    constraint breakers_override_expires check ((override is null) = (override_until is null)
        and (override is null) = (override_reason is null))
);
comment on table ops.breakers is 'One row a service we call. Its processes change it under the row''s lock: resilience/machine.py has the rules.';
comment on column ops.breakers.generation is 'Grows with every transition; results of calls begun before one no longer count.';
comment on column ops.breakers.buckets is 'Calls and failures of the closed breaker, by the number of a twelfth of its window.';
comment on column ops.breakers.probes is 'Who may try a half-open service now, and until when (seconds since 1970).';
alter table ops.breakers enable row level security;
alter table ops.breakers force row level security;
create policy breakers_service on ops.breakers to service_role using (true) with check (true);
create policy breakers_operations on ops.breakers for select to ops_admin using (true);
grant select, insert, update, delete on ops.breakers to service_role;
grant select on ops.breakers to ops_admin;

create table ops.breaker_transitions (
    id          uuid primary key,
    dependency  text not null references ops.breakers (dependency) on delete cascade,
    from_phase  text not null check (from_phase in ('closed', 'open', 'half_open')),
    to_phase    text not null check (to_phase in ('closed', 'open', 'half_open')),
    reason      text not null check (reason in ('calls', 'probe', 'time', 'operator')),
    calls       integer check (calls >= 0),
    failures    integer check (failures between 0 and calls),
    occurred_at timestamptz not null default clock_timestamp()
);
comment on table ops.breaker_transitions is 'Rows are added, never changed. Calls and failures are null where the transition did not rest on counts.';
create index breaker_transitions_dependency on ops.breaker_transitions (dependency, occurred_at desc);
create index breaker_transitions_time on ops.breaker_transitions (occurred_at);
alter table ops.breaker_transitions enable row level security;
alter table ops.breaker_transitions force row level security;
create policy breaker_transitions_service on ops.breaker_transitions to service_role using (true) with check (true);
create policy breaker_transitions_operations on ops.breaker_transitions for select to ops_admin using (true);
grant select, insert on ops.breaker_transitions to service_role;
grant select on ops.breaker_transitions to ops_admin;

create table ops.tiers (
    key         text primary key check (key ~ '^[a-z_]{1,40}$'),
    maximum     integer not null check (maximum > 0),
    burst       integer not null,
    cooldown_ms integer not null check (cooldown_ms > 0),
    updated_at  timestamptz not null default now(),
    constraint tiers_burst_is_more check (burst >= maximum)
);
comment on table ops.tiers is 'How much may go on at once. Between maximum and burst a lease takes one of burst - maximum tokens; one comes back every cool-down.';
alter table ops.tiers enable row level security;
alter table ops.tiers force row level security;
create policy tiers_service on ops.tiers to service_role using (true) with check (true);
create policy tiers_operations on ops.tiers for select to ops_admin using (true);
grant select, insert, update, delete on ops.tiers to service_role;
grant select on ops.tiers to ops_admin;

set local role service_role;
insert into ops.tiers (key, maximum, burst, cooldown_ms) values
    ('free', 10, 15, 5000),
    ('pro', 40, 50, 2000),
    ('enterprise', 100, 150, 1000);
reset role;

create table ops.lease_pools (
    id          uuid primary key,
    resource    text not null unique check (length(resource) between 1 and 200),
    tier        text not null references ops.tiers (key),
    tokens      numeric not null check (tokens >= 0),
    refilled_at timestamptz not null default clock_timestamp(),
    updated_at  timestamptz not null default now()
);
comment on table ops.lease_pools is 'A dependency or a tenant whose use is limited, and by which tier.';
create index lease_pools_tier on ops.lease_pools (tier);
alter table ops.lease_pools enable row level security;
alter table ops.lease_pools force row level security;
create policy lease_pools_service on ops.lease_pools to service_role using (true) with check (true);
create policy lease_pools_operations on ops.lease_pools for select to ops_admin using (true);
grant select, insert, update, delete on ops.lease_pools to service_role;
grant select on ops.lease_pools to ops_admin;

create table ops.leases (
    resource   text not null references ops.lease_pools (resource) on delete cascade,
    holder     uuid not null,
    taken_at   timestamptz not null default clock_timestamp(),
    expires_at timestamptz not null,
    primary key (resource, holder)
);
comment on table ops.leases is 'What goes on now. A holder that died gives its lease back by letting it expire.';
alter table ops.leases enable row level security;
alter table ops.leases force row level security;
create policy leases_service on ops.leases to service_role using (true) with check (true);
create policy leases_operations on ops.leases for select to ops_admin using (true);
grant select, insert, update, delete on ops.leases to service_role;
grant select on ops.leases to ops_admin;

-- One statement for the caller; several inside, because what is counted has to be read after the lock is held.
create function ops.take_lease_v1(wanted text, new_holder uuid, seconds numeric, new_pool uuid, default_tier text)
returns table (taken boolean, live integer, maximum integer, burst integer, cooldown_ms integer)
language plpgsql set search_path = ''
as $$
declare
    pool record;
    refilled numeric;
begin
    insert into ops.lease_pools (id, resource, tier, tokens)
    select new_pool, wanted, tiers.key, tiers.burst - tiers.maximum from ops.tiers as tiers
    where tiers.key = default_tier
      and not exists (select from ops.lease_pools as known where known.resource = wanted)
    on conflict (resource) do nothing;

    select pools.tokens, pools.refilled_at, tiers.maximum, tiers.burst, tiers.cooldown_ms into pool
    from ops.lease_pools as pools join ops.tiers as tiers on tiers.key = pools.tier
    where pools.resource = wanted for update of pools;
    if not found then
        raise exception using errcode = 'no_data_found', message = 'there is no such tier';
    end if;

    delete from ops.leases as gone where gone.resource = wanted and gone.expires_at <= clock_timestamp();
    select count(*) into live from ops.leases as held where held.resource = wanted;
    maximum := pool.maximum;
    burst := pool.burst;
    cooldown_ms := pool.cooldown_ms;
    taken := live < maximum;
    if not taken and live < burst then
        refilled := least(burst - maximum, pool.tokens
            + extract(epoch from clock_timestamp() - pool.refilled_at) * 1000 / cooldown_ms);
        taken := refilled >= 1;
        if taken then
            update ops.lease_pools as pools set tokens = refilled - 1, refilled_at = clock_timestamp()
            where pools.resource = wanted;
        end if;
    end if;
    if taken then
        insert into ops.leases (resource, holder, expires_at)
        values (wanted, new_holder, clock_timestamp() + make_interval(secs => seconds::double precision));
        live := live + 1;
    end if;
    return next;
end
$$;
comment on function ops.take_lease_v1 is 'Takes one lease of a resource if its tier allows another; runs as the caller.';
grant execute on function ops.take_lease_v1(text, uuid, numeric, uuid, text) to service_role;

-- ---- how the webhooks do ----
create table ops.webhook_rollup (
    only_row     boolean primary key default true check (only_row),
    rolled_until timestamptz not null
);
comment on table ops.webhook_rollup is 'Up to when events and attempts are counted in webhook_hours, webhook_days and webhook_latencies.';

create table ops.webhook_hours (
    source       text not null check (length(source) <= 50),
    type         text not null check (length(type) <= 200),
    hour         timestamptz not null,
    events       bigint not null,
    verified     bigint not null,
    applied      bigint not null,
    stale        bigint not null,
    ignored      bigint not null,
    failed       bigint not null,
    retried      bigint not null,
    milliseconds numeric not null,
    primary key (source, type, hour)
);
comment on table ops.webhook_hours is 'Events by the hour they were recorded, attempts by the hour they began. Source and type * is all of them.';
comment on column ops.webhook_hours.retried is 'Second attempts: events that needed more than one.';
comment on column ops.webhook_hours.milliseconds is 'Of the attempts that did not fail.';

create table ops.webhook_days (
    day          date not null,
    source       text not null check (length(source) <= 50),
    type         text not null check (length(type) <= 200),
    events       bigint not null,
    verified     bigint not null,
    applied      bigint not null,
    stale        bigint not null,
    ignored      bigint not null,
    failed       bigint not null,
    retried      bigint not null,
    milliseconds numeric not null,
    primary key (day, source, type)
);
comment on table ops.webhook_days is 'The same by the day in UTC, without the rows of all.';

create table ops.webhook_latencies (
    span     text not null check (span in ('day', 'week')),
    start    date not null,
    source   text not null check (length(source) <= 50),
    type     text not null check (length(type) <= 200),
    bucket   smallint not null check (bucket between 0 and 255),
    attempts bigint not null,
    primary key (span, start, source, type, bucket)
);
comment on table ops.webhook_latencies is 'How long attempts took that did not fail: bucket b holds up to 0.1 · 1.1^b ms, so a percentile is right to 5 %. By days in UTC, and the same again by weeks from Monday on, for long periods.';

create table ops.webhook_targets (
    source      text not null check (length(source) between 1 and 50),
    type        text not null check (length(type) between 1 and 200),
    baseline_ms numeric(12, 3) not null check (baseline_ms > 0),
    target_ms   numeric(12, 3) not null check (target_ms > 0),
    updated_at  timestamptz not null default now(),
    primary key (source, type)
);
comment on table ops.webhook_targets is 'What an event may take on average, and what it took in the system before this one.';

create table ops.webhook_thresholds (
    kind       text primary key check (kind ~ '^[a-z_]{1,40}$'),
    warning    numeric not null,
    critical   numeric not null,
    unit       text not null check (length(unit) <= 20),
    note       text not null default '' check (length(note) <= 500),
    updated_at timestamptz not null default now()
);
comment on table ops.webhook_thresholds is 'From where on the monitor warns.';

-- The lowest id (UUID of version 7) that can be made at a moment.
create function ops.id_floor(moment timestamptz) returns uuid
language sql stable set search_path = ''
as $$
    select rpad(lpad(to_hex((extract(epoch from greatest(moment, to_timestamp(0))) * 1000)::bigint), 12, '0'), 32, '0')::uuid
$$;
grant execute on function ops.id_floor(timestamptz) to service_role, ops_admin;

create function ops.webhook_counts_v1(since timestamptz, until timestamptz)
returns table (source text, type text, hour timestamptz, events bigint, verified bigint, applied bigint, stale bigint,
    ignored bigint, failed bigint, retried bigint, milliseconds numeric)
language sql stable set search_path = ''
as $$
    select source, case when source = 'standard' then '*' else type end, hour, sum(events)::bigint,
        sum(verified)::bigint, sum(applied)::bigint, sum(stale)::bigint, sum(ignored)::bigint, sum(failed)::bigint,
        sum(retried)::bigint, sum(milliseconds)
    from (
        select source, type, date_trunc('hour', recorded_at, 'UTC') as hour, count(*) as events,
            count(signature_key) as verified, 0 as applied, 0 as stale, 0 as ignored, 0 as failed, 0 as retried,
            0 as milliseconds
        from ops.webhook_events
        where id >= (select ops.id_floor(since)) and id < (select ops.id_floor(until))
        group by 1, 2, 3
        union all
        select event.source, event.type, date_trunc('hour', attempt.started_at, 'UTC'), 0, 0,
            count(*) filter (where outcome = 'applied'), count(*) filter (where outcome = 'stale'),
            count(*) filter (where outcome = 'ignored'), count(*) filter (where outcome = 'failed'),
            count(*) filter (where number = 2), coalesce(sum(milliseconds) filter (where outcome <> 'failed'), 0)
        from ops.webhook_attempts as attempt join ops.webhook_events as event on event.id = attempt.webhook_id
        where attempt.started_at >= since and attempt.started_at < until
        group by 1, 2, 3
    ) as counted
    group by 1, 2, 3
$$;
comment on function ops.webhook_counts_v1 is 'Counts the events recorded and the attempts begun in [since, until). A tenant''s own types are his to invent: they count as one.';

create function ops.webhook_latencies_v1(since timestamptz, until timestamptz)
returns table (day date, source text, type text, bucket smallint, attempts bigint)
language sql stable set search_path = ''
as $$
    select (attempt.started_at at time zone 'UTC')::date, event.source,
        case when event.source = 'standard' then '*' else event.type end,
        least(255, ceil(greatest(0, ln(greatest(attempt.milliseconds, 0.1)::float8 / 0.1) / ln(1.1::float8))))::smallint,
        count(*)
    from ops.webhook_attempts as attempt join ops.webhook_events as event on event.id = attempt.webhook_id
    where attempt.started_at >= since and attempt.started_at < until and attempt.outcome <> 'failed'
    group by 1, 2, 3, 4
$$;
comment on function ops.webhook_latencies_v1 is 'How long the attempts begun in [since, until) took that did not fail.';

-- Three minutes: no transaction of the worker, which has sixty seconds, can still add to what lies before.
create function ops.roll_up_webhooks_v1(wanted timestamptz) returns timestamptz
language plpgsql set search_path = ''
as $$
declare
    since timestamptz;
    until timestamptz := least(wanted, date_trunc('milliseconds', now()) - interval '3 minutes');
begin
    select rolled_until into strict since from ops.webhook_rollup for update;
    -- Over the time in which nothing happened at once; else no more than a transaction can do.
    since := greatest(since, least(until,
        (select min(started_at) from ops.webhook_attempts where started_at >= since),
        (select recorded_at - interval '1 minute' from ops.webhook_events
         where id >= ops.id_floor(since) order by id limit 1)));
    until := least(until, since + interval '10 minutes');
    if until <= since then
        return since;
    end if;
    with slice as materialized (
        select * from ops.webhook_counts_v1(since, until)
    ), hours as (
        insert into ops.webhook_hours as known
        select source, type, hour, sum(events), sum(verified), sum(applied), sum(stale), sum(ignored), sum(failed),
            sum(retried), sum(milliseconds)
        from (select * from slice
            union all
            select '*', '*', hour, events, verified, applied, stale, ignored, failed, retried, milliseconds
            from slice) as counted
        group by source, type, hour
        on conflict (source, type, hour) do update
        set events = known.events + excluded.events, verified = known.verified + excluded.verified,
            applied = known.applied + excluded.applied, stale = known.stale + excluded.stale,
            ignored = known.ignored + excluded.ignored, failed = known.failed + excluded.failed,
            retried = known.retried + excluded.retried, milliseconds = known.milliseconds + excluded.milliseconds
    )
    insert into ops.webhook_days as known
    select (hour at time zone 'UTC')::date, source, type, sum(events), sum(verified), sum(applied), sum(stale),
        sum(ignored), sum(failed), sum(retried), sum(milliseconds)
    from slice group by 1, 2, 3
    on conflict (day, source, type) do update
    set events = known.events + excluded.events, verified = known.verified + excluded.verified,
        applied = known.applied + excluded.applied, stale = known.stale + excluded.stale,
        ignored = known.ignored + excluded.ignored, failed = known.failed + excluded.failed,
        retried = known.retried + excluded.retried, milliseconds = known.milliseconds + excluded.milliseconds;

    insert into ops.webhook_latencies as known
    select span, case span when 'day' then day else date_trunc('week', day)::date end, source, type, bucket,
        sum(attempts)
    from ops.webhook_latencies_v1(since, until) cross join (values ('day'), ('week')) as spans (span)
    group by 1, 2, 3, 4, 5
    on conflict (span, start, source, type, bucket) do update set attempts = known.attempts + excluded.attempts;

    update ops.webhook_rollup set rolled_until = until;
    return until;
end
$$;
comment on function ops.roll_up_webhooks_v1 is 'Counts what is older than three minutes and not counted yet, each row once; returns up to when.';
grant execute on function ops.webhook_counts_v1(timestamptz, timestamptz),
    ops.webhook_latencies_v1(timestamptz, timestamptz) to service_role, ops_admin;
grant execute on function ops.roll_up_webhooks_v1(timestamptz) to service_role;

do $$
declare
    name text;
begin
    foreach name in array array['webhook_rollup', 'webhook_hours', 'webhook_days', 'webhook_latencies',
        'webhook_targets', 'webhook_thresholds'] loop
        execute format('alter table ops.%I enable row level security', name);
        execute format('alter table ops.%I force row level security', name);
        execute format('create policy %I on ops.%I to service_role using (true) with check (true)',
            name || '_service', name);
        execute format('create policy %I on ops.%I for select to ops_admin using (true)', name || '_operations', name);
        execute format('grant select, insert, update, delete on ops.%I to service_role', name);
        execute format('grant select on ops.%I to ops_admin', name);
    end loop;
end
$$;

set local role service_role;
insert into ops.webhook_rollup (rolled_until) values (to_timestamp(0));
insert into ops.webhook_targets (source, type, baseline_ms, target_ms) values
    ('stripe', 'customer.subscription.created', 500, 200),
    ('stripe', 'customer.subscription.updated', 500, 200),
    ('stripe', 'customer.subscription.deleted', 400, 150),
    ('stripe', 'checkout.session.completed', 600, 250),
    ('stripe', 'invoice.payment_succeeded', 300, 120),
    ('stripe', 'invoice.payment_failed', 300, 120),
    ('stripe', 'setup_intent.succeeded', 400, 160),
    ('stripe', 'payment_method.attached', 300, 120),
    ('stripe', 'product.created', 200, 80),
    ('stripe', 'product.updated', 200, 80),
    ('stripe', 'price.created', 200, 80),
    ('stripe', 'price.updated', 200, 80);
insert into ops.webhook_thresholds (kind, warning, critical, unit, note) values
    ('high_failure_rate', 95, 90, 'percent', 'success below'),
    ('slow_processing', 200, 500, 'ms', 'average above; an event''s own target stands in for the warning'),
    ('dlq_buildup', 10, 50, 'events', 'unresolved dead letters above'),
    ('stale_webhooks', 0, 10, 'events', 'events older than an hour and not done, above');
reset role;

-- migrate:down
drop function ops.roll_up_webhooks_v1(timestamptz);
drop function ops.webhook_latencies_v1(timestamptz, timestamptz);
drop function ops.webhook_counts_v1(timestamptz, timestamptz);
drop function ops.id_floor(timestamptz);
drop table ops.webhook_thresholds;
drop table ops.webhook_targets;
drop table ops.webhook_latencies;
drop table ops.webhook_days;
drop table ops.webhook_hours;
drop table ops.webhook_rollup;
drop function ops.take_lease_v1(text, uuid, numeric, uuid, text);
drop table ops.leases;
drop table ops.lease_pools;
drop table ops.tiers;
drop table ops.breaker_transitions;
drop table ops.breakers;
