-- Billing: Stripe's objects as its events told them, one row each, and what follows from them: the plans' features
-- and the subscription each account has in force. docs/decisions/0010-billing.md

-- migrate:up
set local lock_timeout = '5s';

-- ---- plans --------------------------------------------------------------------------------------------------------
alter table app.plans
    add column trialing_keeps_access boolean not null default true,
    add column past_due_keeps_access boolean not null default true,
    add column flags jsonb not null default '{}' check (jsonb_typeof(flags) = 'object');
comment on column app.plans.flags is 'What a product''s metadata declares for the pages of the product; nothing here enforces it.';

create table app.plan_defaults (
    plan_key         text primary key references app.plans (key) on delete cascade,
    quotes_per_month integer check (quotes_per_month >= 0),
    clients          integer check (clients >= 0),
    watermark        boolean not null,
    bulk_operations  boolean not null,
    analytics        boolean not null,
    trialing_keeps_access boolean not null default true,
    past_due_keeps_access boolean not null default true,
    flags            jsonb not null default '{}' check (jsonb_typeof(flags) = 'object'),
    monthly_price    bigint not null check (monthly_price >= 0),
    yearly_price     bigint not null check (yearly_price >= 0)
);
comment on table app.plan_defaults is 'What a plan allows where its Stripe product says nothing; app.plans is what it allows.';
alter table app.plan_defaults enable row level security;
alter table app.plan_defaults force row level security;
create policy plan_defaults_service on app.plan_defaults to service_role using (true) with check (true);
create policy plan_defaults_operations on app.plan_defaults for select to ops_admin using (true);
grant select, insert, update, delete on app.plan_defaults to service_role;
grant select on app.plan_defaults to ops_admin;
set local role service_role;
insert into app.plan_defaults
    (plan_key, quotes_per_month, clients, watermark, bulk_operations, analytics, monthly_price, yearly_price)
select key, quotes_per_month, clients, watermark, bulk_operations, analytics, monthly_price, yearly_price from app.plans;
reset role;

-- ---- Stripe's objects ---------------------------------------------------------------------------------------------
-- The last four columns of each table say which statement about the object is kept; a row only ever moves to a greater
-- one: final (Stripe never takes it back), as_of (when it was true, by Stripe's clock), as_of_rank (the kind of event,
-- for two of one second), as_of_tie (the object's own time and the event's id).
create table app.stripe_customers (
    id         text primary key check (length(id) between 1 and 255),
    account_id uuid references app.accounts on delete set null,
    claimed_at timestamptz,
    claimed_by text collate "C" check (length(claimed_by) <= 300),
    default_payment_method text check (length(default_payment_method) <= 255),
    deleted    boolean not null default false,
    last_event_id   text check (length(last_event_id) <= 255),
    last_event_type text check (length(last_event_type) <= 100),
    last_event_at   timestamptz,
    last_applied_at timestamptz,
    final      boolean not null default false,
    as_of      timestamptz not null default 'epoch',
    as_of_rank smallint not null default 0,
    as_of_tie  text collate "C" not null default '',
    constraint stripe_customers_claim_is_dated check (account_id is null or claimed_at is not null)
);
comment on table app.stripe_customers is 'Whose Stripe customer it is: by the metadata account_id we set, never by e-mail.';
create index stripe_customers_account on app.stripe_customers (account_id);
alter table app.stripe_customers enable row level security;
alter table app.stripe_customers force row level security;
create policy stripe_customers_own on app.stripe_customers for select to authenticated
    using (account_id = (select auth.account_id()));
create policy stripe_customers_service on app.stripe_customers to service_role using (true) with check (true);
create policy stripe_customers_operations on app.stripe_customers for select to ops_admin using (true);
grant select on app.stripe_customers to authenticated, ops_admin;
grant select, insert, update, delete on app.stripe_customers to service_role;

create table app.stripe_products (
    id         text primary key check (length(id) between 1 and 255),
    name       text not null check (length(name) <= 5000),
    active     boolean not null,
    plan_key   text references app.plans (key) on delete set null,
    features   jsonb not null default '{}' check (jsonb_typeof(features) = 'object'),
    warnings   jsonb not null default '[]' check (jsonb_typeof(warnings) = 'array'),
    created_at timestamptz not null,
    final      boolean not null default false,
    as_of      timestamptz not null default 'epoch',
    as_of_rank smallint not null default 0,
    as_of_tie  text collate "C" not null default ''
);
comment on table app.stripe_products is 'A product is a plan''s when its metadata says `plan`; features holds what else that says and we understood.';
comment on column app.stripe_products.warnings is 'Metadata we could not use, with the reason.';
create index stripe_products_plan on app.stripe_products (plan_key);
alter table app.stripe_products enable row level security;
alter table app.stripe_products force row level security;
create policy stripe_products_read on app.stripe_products for select to authenticated, ops_admin using (true);
create policy stripe_products_service on app.stripe_products to service_role using (true) with check (true);
grant select on app.stripe_products to authenticated, ops_admin;
grant select, insert, update, delete on app.stripe_products to service_role;

-- No key to the product: a price's event may come before its product's.
create table app.stripe_prices (
    id             text primary key check (length(id) between 1 and 255),
    product_id     text not null check (length(product_id) between 1 and 255),
    active         boolean not null,
    currency       text not null check (currency ~ '^[A-Z]{3}$'),
    unit_amount    bigint,
    "interval"     text check ("interval" in ('day', 'week', 'month', 'year')),
    interval_count integer check (interval_count > 0),
    trial_days     integer check (trial_days >= 0),
    created_at     timestamptz not null,
    final          boolean not null default false,
    as_of          timestamptz not null default 'epoch',
    as_of_rank     smallint not null default 0,
    as_of_tie      text collate "C" not null default ''
);
comment on column app.stripe_prices.unit_amount is 'Minor units; null where Stripe counts by tiers or fractions.';
create index stripe_prices_product on app.stripe_prices (product_id);
alter table app.stripe_prices enable row level security;
alter table app.stripe_prices force row level security;
create policy stripe_prices_read on app.stripe_prices for select to authenticated, ops_admin using (true);
create policy stripe_prices_service on app.stripe_prices to service_role using (true) with check (true);
grant select on app.stripe_prices to authenticated, ops_admin;
grant select, insert, update, delete on app.stripe_prices to service_role;

create table app.stripe_subscriptions (
    id           text primary key check (length(id) between 1 and 255),
    customer_id  text not null references app.stripe_customers on delete cascade,
    status       text not null check (status in ('trialing', 'active', 'past_due', 'canceled', 'incomplete',
        'incomplete_expired', 'unpaid', 'paused')),
    items        jsonb not null check (jsonb_typeof(items) = 'array'),
    product_ids  text[] not null,
    cancel_at_period_end boolean not null,
    cancel_at    timestamptz,
    canceled_at  timestamptz,
    ended_at     timestamptz,
    trial_start  timestamptz,
    trial_end    timestamptz,
    created_at   timestamptz not null,
    final        boolean not null default false,
    as_of        timestamptz not null default 'epoch',
    as_of_rank   smallint not null default 0,
    as_of_tie    text collate "C" not null default ''
);
comment on column app.stripe_subscriptions.items is '[{id, price_id, product_id, quantity, period_start, period_end}]';
create index stripe_subscriptions_customer on app.stripe_subscriptions (customer_id);
create index stripe_subscriptions_products on app.stripe_subscriptions using gin (product_ids);
alter table app.stripe_subscriptions enable row level security;
alter table app.stripe_subscriptions force row level security;
create policy stripe_subscriptions_service on app.stripe_subscriptions to service_role using (true) with check (true);
create policy stripe_subscriptions_operations on app.stripe_subscriptions for select to ops_admin using (true);
grant select on app.stripe_subscriptions to ops_admin;
grant select, insert, update, delete on app.stripe_subscriptions to service_role;

create table app.payment_methods (
    id          text primary key check (length(id) between 1 and 255),
    customer_id text references app.stripe_customers on delete cascade,
    type        text check (length(type) <= 50),
    brand       text check (length(brand) <= 50),
    last4       text check (length(last4) <= 10),
    exp_month   smallint check (exp_month between 1 and 12),
    exp_year    smallint check (exp_year > 0),
    is_default  boolean not null default false,
    created_at  timestamptz not null,
    final       boolean not null default false,
    as_of       timestamptz not null default 'epoch',
    as_of_rank  smallint not null default 0,
    as_of_tie   text collate "C" not null default ''
);
comment on table app.payment_methods is 'Without a customer it was detached: only its id is kept, so that a late event does not bring it back.';
create index payment_methods_customer on app.payment_methods (customer_id);
alter table app.payment_methods enable row level security;
alter table app.payment_methods force row level security;
create policy payment_methods_own on app.payment_methods for select to authenticated
    using (customer_id in (select id from app.stripe_customers where account_id = (select auth.account_id())));
create policy payment_methods_service on app.payment_methods to service_role using (true) with check (true);
grant select on app.payment_methods to authenticated;
grant select, insert, update, delete on app.payment_methods to service_role;

-- No key to the customer: a dispute does not name one, and an invoice may come before its customer's event.
create table app.billing_history (
    id              text primary key check (length(id) between 1 and 300),
    kind            text not null check (kind in ('invoice', 'refund', 'dispute')),
    customer_id     text check (length(customer_id) <= 255),
    subscription_id text check (length(subscription_id) <= 255),
    charge_id       text check (length(charge_id) <= 255),
    payment_intent  text check (length(payment_intent) <= 255),
    amount          bigint not null,
    currency        text not null check (currency ~ '^[A-Z]{3}$'),
    status          text not null check (length(status) <= 50),
    description     text check (length(description) <= 1000),
    url             text check (length(url) <= 5000),
    needs_answer    boolean not null default false,
    due_by          timestamptz,
    occurred_at     timestamptz not null,
    final           boolean not null default false,
    as_of           timestamptz not null default 'epoch',
    as_of_rank      smallint not null default 0,
    as_of_tie       text collate "C" not null default ''
);
comment on table app.billing_history is 'Invoices, refunds and disputes. Nothing answers a dispute but a human: needs_answer until due_by.';
comment on column app.billing_history.amount is 'Minor units: paid or due; negative what went back, 0 for a dispute that took nothing.';
comment on column app.billing_history.customer_id is 'Null for a dispute whose payment no other event named.';
create index billing_history_customer on app.billing_history (customer_id, occurred_at desc);
create index billing_history_payment on app.billing_history (payment_intent);
create index billing_history_answer on app.billing_history (due_by) where needs_answer;
alter table app.billing_history enable row level security;
alter table app.billing_history force row level security;
create policy billing_history_own on app.billing_history for select to authenticated
    using (customer_id in (select id from app.stripe_customers where account_id = (select auth.account_id())));
create policy billing_history_service on app.billing_history to service_role using (true) with check (true);
create policy billing_history_operations on app.billing_history for select to ops_admin using (true);
grant select on app.billing_history to authenticated, ops_admin;
grant select, insert, update, delete on app.billing_history to service_role;

-- ---- what follows -------------------------------------------------------------------------------------------------
alter table app.subscriptions
    add column stripe_price_id text check (length(stripe_price_id) <= 255),
    add column quantity integer not null default 1 check (quantity >= 0),
    add column trial_end timestamptz,
    add column cancel_at timestamptz,
    add column canceled_at timestamptz,
    add column ended_at timestamptz,
    add column as_of timestamptz;
comment on column app.subscriptions.as_of is 'When Stripe said so, by its clock; null for a row written by hand.';
-- They follow from rows with keys of their own, several in one statement, so that two rows may change places.
alter table app.subscriptions
    drop constraint subscriptions_stripe_customer_id_key,
    drop constraint subscriptions_stripe_subscription_id_key;

-- Of an account's subscriptions the one that gives most; of its items the dearest plan's.
create view app.subscriptions_in_force with (security_invoker = true) as
select distinct on (customer.account_id)
    customer.account_id, coalesce(item.plan_key, 'free') as plan_key, held.status,
    held.customer_id as stripe_customer_id, held.id as stripe_subscription_id,
    item.period_start as current_period_start, item.period_end as current_period_end,
    held.cancel_at_period_end, item.price_id as stripe_price_id, coalesce(item.quantity, 1) as quantity,
    held.trial_end, held.cancel_at, held.canceled_at, held.ended_at, held.as_of
from app.stripe_subscriptions as held
join app.stripe_customers as customer on customer.id = held.customer_id and customer.account_id is not null
left join lateral (
    select item.price_id, item.quantity, item.period_start, item.period_end, product.plan_key
    from jsonb_to_recordset(held.items) as item(
        id text, price_id text, product_id text, quantity integer, period_start timestamptz, period_end timestamptz)
    left join app.stripe_products as product on product.id = item.product_id
    left join app.plan_defaults as plan on plan.plan_key = product.plan_key
    order by plan.monthly_price desc nulls last, item.id collate "C"
    limit 1) as item on true
order by customer.account_id,
    case held.status when 'active' then 0 when 'trialing' then 0 when 'past_due' then 1
        when 'canceled' then 3 when 'incomplete_expired' then 3 else 2 end,
    held.created_at desc, held.id collate "C" desc;
comment on view app.subscriptions_in_force is 'What app.subscriptions has to say of every account that Stripe knows.';
grant select on app.subscriptions_in_force to service_role, ops_admin;

create or replace function app.plan_key(account uuid) returns text
language sql stable set search_path = ''
as $$
    select coalesce(
        (select plan.key from app.subscriptions as held
         join app.plans as plan on plan.key = held.plan_key
         where held.account_id = account
           and (held.status = 'active'
             or held.status = 'trialing' and plan.trialing_keeps_access
             or held.status = 'past_due' and plan.past_due_keeps_access)
           and (held.cancel_at is null or held.cancel_at > now())
           and (not held.cancel_at_period_end or held.current_period_end is null
             or held.current_period_end > now())),
        'free')
$$;
comment on function app.plan_key is 'The plan in force. A cancelled one ends with its period, also while Stripe''s event is late.';

-- ---- reconcile ----------------------------------------------------------------------------------------------------
create table ops.billing_reconciles (
    id           uuid primary key,
    dry_run      boolean not null,
    status       text not null default 'running' check (status in ('running', 'done')),
    phase        text not null default 'products' check (phase in ('products', 'prices', 'customers', 'subscriptions', 'ours')),
    cursor       text check (length(cursor) <= 255),
    checked      integer not null default 0,
    applied      integer not null default 0,
    reason       text check (length(reason) <= 500),
    leased_until timestamptz,
    started_at   timestamptz not null default now(),
    finished_at  timestamptz,
    constraint billing_reconciles_done_is_dated check ((status = 'done') = (finished_at is not null))
);
comment on table ops.billing_reconciles is 'Readings of all that Stripe has, compared with ours; one at a time, taken up where it stopped.';
comment on column ops.billing_reconciles.reason is 'Why the last call stopped before the end; null when it had no time left, or is done.';
create unique index billing_reconciles_one on ops.billing_reconciles (status) where status = 'running';
create index billing_reconciles_finished on ops.billing_reconciles (finished_at desc);
alter table ops.billing_reconciles enable row level security;
alter table ops.billing_reconciles force row level security;
create policy billing_reconciles_service on ops.billing_reconciles to service_role using (true) with check (true);
create policy billing_reconciles_operations on ops.billing_reconciles for select to ops_admin using (true);
create policy billing_reconciles_read on ops.billing_reconciles for select to authenticated using (not dry_run);
grant select, insert, update, delete on ops.billing_reconciles to service_role;
grant select on ops.billing_reconciles to ops_admin;
grant select (dry_run, status, finished_at) on ops.billing_reconciles to authenticated;

create table ops.billing_differences (
    id          uuid primary key,
    run_id      uuid not null references ops.billing_reconciles on delete cascade,
    kind        text not null check (kind ~ '^[a-z_]+\.[a-z_]+$'),
    object_id   text not null check (length(object_id) <= 255),
    account_id  uuid,
    ours        jsonb,
    theirs      jsonb,
    decided     text not null check (decided in ('applied', 'would_apply', 'ours_is_newer', 'for_a_human')),
    found_at    timestamptz not null default now(),
    seen_at     timestamptz not null default now(),
    constraint billing_differences_differ check (ours is distinct from theirs)
);
comment on table ops.billing_differences is 'Each difference once: one that stays is seen again, not reported again.';
create unique index billing_differences_once
    on ops.billing_differences (kind, object_id, decided, md5(coalesce(ours::text, '') || ' / ' || coalesce(theirs::text, '')))
    where decided <> 'applied';
create index billing_differences_run on ops.billing_differences (run_id, found_at);
alter table ops.billing_differences enable row level security;
alter table ops.billing_differences force row level security;
create policy billing_differences_service on ops.billing_differences to service_role using (true) with check (true);
create policy billing_differences_operations on ops.billing_differences for select to ops_admin using (true);
grant select, insert, update, delete on ops.billing_differences to service_role;
grant select on ops.billing_differences to ops_admin;

create table ops.billing_seen (
    run_id    uuid not null references ops.billing_reconciles on delete cascade,
    object_id text not null check (length(object_id) <= 255),
    primary key (run_id, object_id)
);
comment on table ops.billing_seen is 'What a reading met so far, to find what Stripe does not have; emptied at its end.';
alter table ops.billing_seen enable row level security;
alter table ops.billing_seen force row level security;
create policy billing_seen_service on ops.billing_seen to service_role using (true) with check (true);
grant select, insert, update, delete on ops.billing_seen to service_role;

-- migrate:down
drop table ops.billing_seen;
drop table ops.billing_differences;
drop table ops.billing_reconciles;
create or replace function app.plan_key(account uuid) returns text
language sql stable set search_path = ''
as $$
    select coalesce(
        (select plan_key from app.subscriptions
         where account_id = account and status in ('trialing', 'active', 'past_due')),
        'free')
$$;
comment on function app.plan_key is 'The plan in force; past_due keeps it while Stripe retries.';
drop view app.subscriptions_in_force;
alter table app.subscriptions
    drop column stripe_price_id, drop column quantity, drop column trial_end, drop column cancel_at,
    drop column canceled_at, drop column ended_at, drop column as_of,
    add unique (stripe_customer_id), add unique (stripe_subscription_id);
drop table app.billing_history;
drop table app.payment_methods;
drop table app.stripe_subscriptions;
drop table app.stripe_prices;
drop table app.stripe_products;
drop table app.stripe_customers;
drop table app.plan_defaults;
alter table app.plans drop column trialing_keeps_access, drop column past_due_keeps_access, drop column flags;
