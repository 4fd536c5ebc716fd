-- Plans, who has which, and what has been used of them.

-- migrate:up
set local lock_timeout = '5s';

create table app.plans (
    key              text primary key check (key ~ '^[a-z_]{1,40}$'),
    name             text not null,
    quotes_per_month integer check (quotes_per_month >= 0),
    clients          integer check (clients >= 0),
    watermark        boolean not null,
    bulk_operations  boolean not null,
    analytics        boolean not null,
    monthly_price    bigint not null check (monthly_price >= 0),
    yearly_price     bigint not null check (yearly_price >= 0),
    currency         text not null default 'USD' check (currency ~ '^[A-Z]{3}$'),
    updated_at       timestamptz not null default now()
);
comment on table app.plans is 'What a plan allows. A null limit means unlimited and is always written on purpose.';
comment on column app.plans.monthly_price is 'Minor units, as Stripe counts.';
alter table app.plans enable row level security;
alter table app.plans force row level security;
create policy plans_read on app.plans for select to authenticated, ops_admin using (true);
create policy plans_service on app.plans to service_role using (true) with check (true);
grant select on app.plans to authenticated, ops_admin;
grant select, insert, update, delete on app.plans to service_role;

set local role service_role;
insert into app.plans
    (key, name, quotes_per_month, clients, watermark, bulk_operations, analytics, monthly_price, yearly_price)
values
    ('free', 'Free', 5, 50, true, false, false, 0, 0),
    ('premium', 'Premium', null, null, false, true, true, 1200, 11520);
reset role;

create table app.subscriptions (
    account_id             uuid primary key references app.accounts on delete cascade,
    plan_key               text not null references app.plans (key),
    status                 text not null check (status in ('trialing', 'active', 'past_due', 'canceled',
        'incomplete', 'incomplete_expired', 'unpaid', 'paused')),
    stripe_customer_id     text unique,
    stripe_subscription_id text unique,
    current_period_start   timestamptz,
    current_period_end     timestamptz,
    cancel_at_period_end   boolean not null default false,
    updated_at             timestamptz not null default now()
);
comment on table app.subscriptions is 'Written from Stripe''s events and the reconcile job only. No row means the free plan.';
create index subscriptions_plan on app.subscriptions (plan_key);
alter table app.subscriptions enable row level security;
alter table app.subscriptions force row level security;
create policy subscriptions_read on app.subscriptions for select to authenticated
    using (account_id = (select auth.account_id()));
create policy subscriptions_service on app.subscriptions to service_role using (true) with check (true);
create policy subscriptions_operations on app.subscriptions for select to ops_admin using (true);
grant select on app.subscriptions to authenticated, ops_admin;
grant select, insert, update, delete on app.subscriptions to service_role;

create table app.usage (
    account_id uuid not null references app.accounts on delete cascade,
    month      date not null check (extract(day from month) = 1),
    metric     text not null check (metric in ('quotes_sent')),
    used       integer not null check (used >= 0),
    primary key (account_id, month, metric)
);
comment on table app.usage is 'Counted by the transactions that use something; nobody writes his own.';
alter table app.usage enable row level security;
alter table app.usage force row level security;
create policy usage_read on app.usage for select to authenticated
    using (account_id = (select auth.account_id()));
create policy usage_service on app.usage to service_role using (true) with check (true);
create policy usage_operations on app.usage for select to ops_admin using (true);
grant select on app.usage to authenticated, ops_admin;
grant select, insert, update, delete on app.usage to service_role;

create function app.plan_key(account uuid) returns text
language sql stable set search_path = ''
as $$
    select coalesce(
        (select plan_key from app.subscriptions
         where account_id = account and status in ('trialing', 'active', 'past_due')),
        'free')
$$;
comment on function app.plan_key is 'The plan in force; past_due keeps it while Stripe retries.';
grant execute on function app.plan_key(uuid) to authenticated, service_role, ops_admin;

-- migrate:down
drop function app.plan_key(uuid);
drop table app.usage;
drop table app.subscriptions;
drop table app.plans;
