-- What keeps others' outages from becoming ours: breakers and leases that all processes share.

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

-- migrate:down
drop function ops.take_lease_v1(text, uuid, numeric, uuid, text);
drop table ops.leases;
drop table ops.lease_pools;
drop table ops.tiers;
drop table ops.breaker_transitions;
drop table ops.breakers;
