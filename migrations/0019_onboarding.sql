-- Onboarding: the checklist, whose truth is in the account's own rows; tours with their steps, gates and prerequisites;
-- how far each person is; what he prefers; and the events a funnel is counted from. One store for all of it.

-- migrate:up
set local lock_timeout = '5s';

create table app.tours (
    id          text primary key check (id ~ '^[a-z][a-z-]{0,59}$'),
    name        text not null check (length(name) between 1 and 100),
    description text not null default '' check (length(description) <= 2000),
    gate        text not null default 'all' check (gate in ('all', 'free', 'paid')),
    requires    text[] not null default '{}' check (cardinality(requires) <= 10),
    sort_order  integer not null default 0,
    is_active   boolean not null default true
);
comment on table app.tours is 'What a newcomer is shown, for whom and after what; every account reads it, migrations write it.';
comment on column app.tours.gate is 'free: only without a paid plan; paid: only with one.';
comment on column app.tours.requires is 'Tours to be completed before.';
alter table app.tours enable row level security;
alter table app.tours force row level security;
create policy tours_read on app.tours for select to authenticated, ops_admin using (true);
create policy tours_service on app.tours to service_role using (true) with check (true);
grant select on app.tours to authenticated, ops_admin;
grant select, insert, update, delete on app.tours to service_role;

create table app.tour_steps (
    tour_id  text not null references app.tours on delete cascade,
    key      text not null check (key ~ '^[a-z][a-z-]{0,59}$'),
    position smallint not null check (position between 1 and 50),
    title    text not null check (length(title) between 1 and 200),
    fact     text check (fact ~ '^[a-z_]{1,60}$'),
    primary key (tour_id, key),
    unique (tour_id, position)
);
comment on column app.tour_steps.fact is 'What has to be so in the database before the step counts as done; null: a person says so.';
alter table app.tour_steps enable row level security;
alter table app.tour_steps force row level security;
create policy tour_steps_read on app.tour_steps for select to authenticated, ops_admin using (true);
create policy tour_steps_service on app.tour_steps to service_role using (true) with check (true);
grant select on app.tour_steps to authenticated, ops_admin;
grant select, insert, update, delete on app.tour_steps to service_role;

create table app.onboarding_facts (
    account_id uuid not null default auth.account_id() references app.accounts on delete cascade,
    fact       text not null check (fact ~ '^[a-z_]{1,60}$'),
    reached_at timestamptz not null,
    primary key (account_id, fact)
);
comment on table app.onboarding_facts is 'What an account did for the first time, and when; kept even when what it made is deleted.';
alter table app.onboarding_facts enable row level security;
alter table app.onboarding_facts force row level security;
create policy onboarding_facts_own on app.onboarding_facts to authenticated
    using (account_id = (select auth.account_id())) with check (account_id = (select auth.account_id()));
create policy onboarding_facts_service on app.onboarding_facts to service_role using (true) with check (true);
grant select, insert (fact, reached_at) on app.onboarding_facts to authenticated;
grant select, insert, update, delete on app.onboarding_facts to service_role;

create table app.tour_progress (
    account_id     uuid not null default auth.account_id() references app.accounts on delete cascade,
    user_id        uuid not null default auth.uid(),
    tour_id        text not null references app.tours,
    status         text not null check (status in ('in_progress', 'completed', 'skipped', 'abandoned')),
    started_at     timestamptz,
    completed_at   timestamptz,
    last_active_at timestamptz not null default now(),
    primary key (account_id, user_id, tour_id),
    constraint tour_progress_completed_when check ((status = 'completed') = (completed_at is not null))
);
comment on table app.tour_progress is 'How far a person is with a tour. No row: not begun.';
create index tour_progress_tour on app.tour_progress (tour_id);
alter table app.tour_progress enable row level security;
alter table app.tour_progress force row level security;
create policy tour_progress_own on app.tour_progress to authenticated
    using (account_id = (select auth.account_id()) and user_id = (select auth.uid()))
    with check (account_id = (select auth.account_id()) and user_id = (select auth.uid()));
create policy tour_progress_service on app.tour_progress to service_role using (true) with check (true);
grant select, insert (tour_id, status, started_at, last_active_at),
    update (status, started_at, completed_at, last_active_at) on app.tour_progress to authenticated;
grant select, insert, update, delete on app.tour_progress to service_role;

create table app.tour_steps_done (
    account_id uuid not null default auth.account_id(),
    user_id    uuid not null default auth.uid(),
    tour_id    text not null,
    step       text not null,
    outcome    text not null check (outcome in ('completed', 'skipped')),
    done_at    timestamptz not null,
    primary key (account_id, user_id, tour_id, step),
    foreign key (account_id, user_id, tour_id) references app.tour_progress on delete cascade,
    foreign key (tour_id, step) references app.tour_steps (tour_id, key)
);
comment on table app.tour_steps_done is 'One row a step, so that two steps done at once are both kept; the first time stays.';
create index tour_steps_done_step on app.tour_steps_done (tour_id, step);
alter table app.tour_steps_done enable row level security;
alter table app.tour_steps_done force row level security;
create policy tour_steps_done_own on app.tour_steps_done to authenticated
    using (account_id = (select auth.account_id()) and user_id = (select auth.uid()))
    with check (account_id = (select auth.account_id()) and user_id = (select auth.uid()));
create policy tour_steps_done_service on app.tour_steps_done to service_role using (true) with check (true);
grant select, insert (tour_id, step, outcome, done_at), update (outcome, done_at) on app.tour_steps_done
    to authenticated;
grant select, insert, update, delete on app.tour_steps_done to service_role;

create table app.tour_events (
    id          uuid primary key,
    account_id  uuid not null default auth.account_id() references app.accounts on delete cascade,
    user_id     uuid not null default auth.uid(),
    tour_id     text not null references app.tours,
    step        text check (length(step) <= 60),
    event       text not null check (event in ('started', 'resumed', 'step_viewed', 'step_completed', 'step_skipped',
        'completed', 'skipped', 'abandoned')),
    session_id  text check (length(session_id) between 1 and 100),
    device      text check (device in ('desktop', 'mobile', 'tablet')),
    occurred_at timestamptz not null,
    constraint tour_events_of_a_step check ((event like 'step%') = (step is not null))
);
comment on table app.tour_events is 'What happened in tours, added and never changed; funnels are counted from it.';
create index tour_events_account on app.tour_events (account_id, user_id, tour_id, occurred_at);
create index tour_events_tour on app.tour_events (tour_id, occurred_at);
alter table app.tour_events enable row level security;
alter table app.tour_events force row level security;
create policy tour_events_read on app.tour_events for select to authenticated
    using (account_id = (select auth.account_id()) and user_id = (select auth.uid()));
create policy tour_events_write on app.tour_events for insert to authenticated
    with check (account_id = (select auth.account_id()) and user_id = (select auth.uid()));
create policy tour_events_service on app.tour_events to service_role using (true) with check (true);
create policy tour_events_operations on app.tour_events for select to ops_admin using (true);
grant select, insert (id, tour_id, step, event, session_id, device, occurred_at) on app.tour_events to authenticated;
grant select, insert, delete on app.tour_events to service_role;
grant select on app.tour_events to ops_admin;

create table app.onboarding_preferences (
    account_id           uuid not null default auth.account_id() references app.accounts on delete cascade,
    user_id              uuid not null default auth.uid(),
    show_tooltips        boolean not null default true,
    auto_start_tours     boolean not null default true,
    tour_speed           text not null default 'normal' check (tour_speed in ('slow', 'normal', 'fast')),
    skip_completed_tours boolean not null default true,
    enable_animations    boolean not null default true,
    version              integer not null default 1,
    updated_at           timestamptz not null default now(),
    primary key (account_id, user_id)
);
comment on table app.onboarding_preferences is 'How a person wants to be shown round. No row: the defaults, as version 0.';
alter table app.onboarding_preferences enable row level security;
alter table app.onboarding_preferences force row level security;
create policy onboarding_preferences_own on app.onboarding_preferences to authenticated
    using (account_id = (select auth.account_id()) and user_id = (select auth.uid()))
    with check (account_id = (select auth.account_id()) and user_id = (select auth.uid()));
create policy onboarding_preferences_service on app.onboarding_preferences to service_role using (true) with check (true);
grant select, insert (show_tooltips, auto_start_tours, tour_speed, skip_completed_tours, enable_animations),
    update (show_tooltips, auto_start_tours, tour_speed, skip_completed_tours, enable_animations, version)
    on app.onboarding_preferences to authenticated;
grant select, insert, update, delete on app.onboarding_preferences to service_role;
create trigger onboarding_preferences_touch before update on app.onboarding_preferences
    for each row execute function app.touch_updated_at();

set local role service_role;
insert into app.tours (id, name, description, gate, requires, sort_order) values
    ('welcome', 'Welcome', 'Where things are, in a minute.', 'all', '{}', 1),
    ('settings', 'Your company', 'Name, logo, tax and numbers, as your quotes show them.', 'all', '{welcome}', 2),
    ('item-library', 'Your items', 'What you sell, at your prices.', 'all', '{welcome}', 3),
    ('quote-creation', 'Your first quote', 'From a client to a sent quote.', 'all', '{welcome}', 4),
    ('client-management', 'Clients', 'Whom you quote, found again.', 'all', '{}', 5),
    ('quote-management', 'Quotes at a glance', 'What is out, what was answered, what lapsed.', 'all', '{}', 6),
    ('freemium-highlights', 'What is free', 'What the free plan holds, and where it ends.', 'free', '{welcome}', 7),
    ('pro-features', 'What your plan adds', 'Batches, the premium catalogue and your own brand.', 'paid', '{welcome}', 8),
    ('contextual-help', 'Help where you are', 'Hints on the page at hand.', 'all', '{}', 9),
    ('interactive-tutorial', 'Try it', 'A quote from end to end, with your hands.', 'all', '{quote-creation}', 10),
    ('personalized-onboarding', 'Your trade', 'What others of your trade set up first.', 'all', '{welcome}', 11),
    ('mobile-welcome', 'On the phone', 'The same, on a small screen.', 'all', '{}', 12)
on conflict (id) do nothing;
insert into app.tour_steps (tour_id, position, key, title, fact) values
    ('welcome', 1, 'greeting', 'Hello', null),
    ('welcome', 2, 'navigation', 'Where things are', null),
    ('welcome', 3, 'next', 'What to do first', null),
    ('settings', 1, 'company', 'Say who you are', 'company_named'),
    ('settings', 2, 'rates', 'Tax and markup', null),
    ('settings', 3, 'logo', 'Add your logo', 'logo_added'),
    ('item-library', 1, 'catalogue', 'Look through the shared catalogue', null),
    ('item-library', 2, 'item', 'Have an item of your own', 'first_item'),
    ('quote-creation', 1, 'client', 'Add a client', 'first_client'),
    ('quote-creation', 2, 'draft', 'Write a quote', 'first_quote'),
    ('quote-creation', 3, 'check', 'Check it as your client sees it', null),
    ('quote-creation', 4, 'send', 'Send it', 'first_quote_sent'),
    ('client-management', 1, 'list', 'The list', null),
    ('client-management', 2, 'search', 'Find one', null),
    ('quote-management', 1, 'list', 'The list', null),
    ('quote-management', 2, 'states', 'What the states mean', null),
    ('freemium-highlights', 1, 'limits', 'What you have', null),
    ('freemium-highlights', 2, 'more', 'What more there is', null),
    ('pro-features', 1, 'batches', 'Many at once', null),
    ('pro-features', 2, 'catalogue', 'The premium catalogue', null),
    ('pro-features', 3, 'brand', 'Without our mark', null),
    ('contextual-help', 1, 'hints', 'Where the hints are', null),
    ('interactive-tutorial', 1, 'build', 'Build a quote', 'first_quote'),
    ('interactive-tutorial', 2, 'answer', 'See it accepted', 'first_quote_accepted'),
    ('personalized-onboarding', 1, 'trade', 'Say your trade', null),
    ('personalized-onboarding', 2, 'items', 'Take the usual items', 'first_copy'),
    ('mobile-welcome', 1, 'greeting', 'Hello', null),
    ('mobile-welcome', 2, 'menu', 'The menu', null)
on conflict (tour_id, key) do nothing;
reset role;

-- migrate:down
drop table app.onboarding_preferences;
drop table app.tour_events;
drop table app.tour_steps_done;
drop table app.tour_progress;
drop table app.onboarding_facts;
drop table app.tour_steps;
drop table app.tours;
