-- Properties, what was found there, and the rules by which that becomes a price.

-- migrate:up
set local lock_timeout = '5s';

create table app.properties (
    id              uuid primary key,
    account_id      uuid not null default auth.account_id() references app.accounts on delete cascade,
    client_id       uuid not null,
    service_address text not null check (length(service_address) between 1 and 1000),
    lot_area_sqft   numeric(11, 2) check (lot_area_sqft > 0),
    lawn_area_sqft  numeric(11, 2) check (lawn_area_sqft > 0),
    access          text check (access in ('easy', 'limited', 'difficult')),
    gate_code       text check (length(gate_code) <= 50),
    notes           text check (length(notes) <= 10000),
    is_active       boolean not null default true,
    version         integer not null default 1,
    created_at      timestamptz not null default now(),
    updated_at      timestamptz not null default now(),
    unique (account_id, id),
    foreign key (account_id, client_id) references app.clients (account_id, id) on delete cascade,
    constraint properties_lawn_within_lot check (lawn_area_sqft <= lot_area_sqft)
);
comment on table app.properties is 'Where a client''s work is done. They go with their client.';
create index properties_list on app.properties (account_id, created_at desc, id desc);
create index properties_client on app.properties (account_id, client_id);
alter table app.properties enable row level security;
alter table app.properties force row level security;
create policy properties_own on app.properties to authenticated
    using (account_id = (select auth.account_id())) with check (account_id = (select auth.account_id()));
create policy properties_service on app.properties to service_role using (true) with check (true);
grant select, delete,
    insert (id, client_id, service_address, lot_area_sqft, lawn_area_sqft, access, gate_code, notes, is_active),
    update (service_address, lot_area_sqft, lawn_area_sqft, access, gate_code, notes, is_active, version)
    on app.properties to authenticated;
grant select, insert, update, delete on app.properties to service_role;
create trigger properties_touch before update on app.properties
    for each row execute function app.touch_updated_at();

create table app.assessments (
    id              uuid primary key,
    account_id      uuid not null default auth.account_id() references app.accounts on delete cascade,
    property_id     uuid not null,
    status          text not null default 'scheduled' check (status in ('scheduled', 'in_progress', 'completed',
        'reviewed', 'requires_followup')),
    scheduled_for   timestamptz,
    area_sqft       numeric(11, 2) check (area_sqft > 0),
    lawn_condition  text check (lawn_condition in ('pristine', 'healthy', 'patchy', 'poor', 'dead')),
    soil_condition  text check (soil_condition in ('excellent', 'good', 'compacted', 'sandy', 'clay', 'contaminated')),
    weed_percent    numeric(5, 2) check (weed_percent between 0 and 100),
    complexity      smallint check (complexity between 1 and 10),
    slope_percent   numeric(5, 2) check (slope_percent between 0 and 100),
    access          text check (access in ('easy', 'limited', 'difficult')),
    obstacle_count  integer check (obstacle_count between 0 and 1000000),
    has_irrigation  boolean,
    priority        smallint check (priority between 1 and 10),
    markup_rate     numeric(8, 4) check (markup_rate between 0 and 1000),
    manual_estimate numeric(16, 4) check (manual_estimate >= 0),
    notes           text check (length(notes) <= 10000),
    completed_at    timestamptz,
    version         integer not null default 1,
    created_at      timestamptz not null default now(),
    updated_at      timestamptz not null default now(),
    unique (account_id, id),
    foreign key (account_id, property_id) references app.properties (account_id, id) on delete cascade
);
comment on table app.assessments is 'What was found at a property. Null means that nobody looked, and is never guessed.';
comment on column app.assessments.markup_rate is 'Instead of the account''s own, for this one''s quote.';
create index assessments_list on app.assessments (account_id, created_at desc, id desc);
create index assessments_property on app.assessments (account_id, property_id);
alter table app.assessments enable row level security;
alter table app.assessments force row level security;
create policy assessments_own on app.assessments to authenticated
    using (account_id = (select auth.account_id())) with check (account_id = (select auth.account_id()));
create policy assessments_service on app.assessments to service_role using (true) with check (true);
grant select, delete,
    insert (id, property_id, scheduled_for, area_sqft, lawn_condition, soil_condition, weed_percent, complexity,
        slope_percent, access, obstacle_count, has_irrigation, priority, markup_rate, manual_estimate, notes),
    update (status, scheduled_for, area_sqft, lawn_condition, soil_condition, weed_percent, complexity,
        slope_percent, access, obstacle_count, has_irrigation, priority, markup_rate, manual_estimate, notes,
        version)
    on app.assessments to authenticated;
grant select, insert, update, delete on app.assessments to service_role;
create trigger assessments_touch before update on app.assessments
    for each row execute function app.touch_updated_at();

create function app.assessment_may_become(old_status text, new_status text) returns boolean
language sql immutable set search_path = ''
as $$
    select (old_status, new_status) in (
        ('scheduled', 'in_progress'), ('in_progress', 'scheduled'),
        ('in_progress', 'completed'), ('completed', 'reviewed'),
        ('in_progress', 'requires_followup'), ('completed', 'requires_followup'), ('reviewed', 'requires_followup'),
        ('requires_followup', 'scheduled'), ('requires_followup', 'in_progress'))
$$;
comment on function app.assessment_may_become is 'The only changes of status there are; the database refuses all others.';
grant execute on function app.assessment_may_become(text, text) to authenticated, service_role;

create function app.guard_assessment_status() returns trigger
language plpgsql set search_path = ''
as $$
begin
    if not app.assessment_may_become(old.status, new.status) then
        raise exception using errcode = 'QK409',
            message = format('an assessment that is %s cannot become %s', old.status, new.status);
    end if;
    if new.status = 'completed' then
        new.completed_at := now();
    elsif new.status <> 'reviewed' then
        new.completed_at := null;
    end if;
    return new;
end
$$;
create trigger assessments_guard_status before update of status on app.assessments
    for each row when (old.status is distinct from new.status) execute function app.guard_assessment_status();

-- One quote an assessment: its row goes with a deleted draft, and then another may be made.
create table app.assessment_quotes (
    account_id    uuid not null default auth.account_id(),
    assessment_id uuid not null,
    quote_id      uuid not null,
    charges       jsonb not null check (jsonb_typeof(charges) = 'array'),
    created_at    timestamptz not null default now(),
    primary key (account_id, assessment_id),
    unique (account_id, quote_id),
    foreign key (account_id, assessment_id) references app.assessments (account_id, id) on delete cascade,
    foreign key (account_id, quote_id) references app.quotes (account_id, id) on delete cascade
);
comment on table app.assessment_quotes is 'Which quote came of which assessment, and why each of its prices is what it is.';
comment on column app.assessment_quotes.charges is 'The explanation as it was when the quote was made; later rules do not reach it.';
alter table app.assessment_quotes enable row level security;
alter table app.assessment_quotes force row level security;
create policy assessment_quotes_own on app.assessment_quotes to authenticated
    using (account_id = (select auth.account_id())) with check (account_id = (select auth.account_id()));
create policy assessment_quotes_service on app.assessment_quotes to service_role using (true) with check (true);
grant select, insert (assessment_id, quote_id, charges) on app.assessment_quotes to authenticated;
grant select, insert, update, delete on app.assessment_quotes to service_role;

create table app.assessment_rules (
    id         uuid primary key,
    account_id uuid default auth.account_id() references app.accounts on delete cascade,
    factor     text not null check (factor in ('area', 'lawn_condition', 'soil_condition', 'weed_percent',
        'complexity', 'slope_percent', 'obstacle_density', 'access')),
    kind       text not null check (kind in ('multiplier', 'percentage', 'per_sqft', 'flat_fee')),
    value      text,
    range_from numeric(11, 2) check (range_from >= 0),
    range_to   numeric(11, 2),
    amount     numeric(16, 4) not null,
    currency   text check (currency ~ '^[A-Z]{3}$'),
    label      text not null check (length(label) between 1 and 200),
    version    integer not null default 1,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint assessment_rules_range check (range_from < range_to),
    constraint assessment_rules_money_has_currency check ((kind in ('per_sqft', 'flat_fee')) = (currency is not null)),
    constraint assessment_rules_area_by_sqft check (factor <> 'area' or kind = 'per_sqft'),
    constraint assessment_rules_amount check (case kind
        when 'multiplier' then amount > 0 and amount <= 100
        when 'percentage' then amount > -100 and amount <= 1000
        else amount between 0 and 1000000 end),
    constraint assessment_rules_value check (value is null or case factor
        when 'lawn_condition' then value in ('pristine', 'healthy', 'patchy', 'poor', 'dead')
        when 'soil_condition' then value in ('excellent', 'good', 'compacted', 'sandy', 'clay', 'contaminated')
        when 'access' then value in ('easy', 'limited', 'difficult')
        else false end),
    constraint assessment_rules_words_have_no_range check (
        factor not in ('lawn_condition', 'soil_condition', 'access') or (range_from is null and range_to is null))
);
comment on table app.assessment_rules is 'What a finding does to a price. Without an account: the defaults of the house.';
comment on column app.assessment_rules.range_from is 'From this, and below range_to; null is no limit. Neither, and no value: whatever is found.';
create index assessment_rules_account on app.assessment_rules (account_id, factor, id);
alter table app.assessment_rules enable row level security;
alter table app.assessment_rules force row level security;
create policy assessment_rules_read on app.assessment_rules for select to authenticated
    using (account_id is null or account_id = (select auth.account_id()));
create policy assessment_rules_insert on app.assessment_rules for insert to authenticated
    with check (account_id = (select auth.account_id()));
create policy assessment_rules_update on app.assessment_rules for update to authenticated
    using (account_id = (select auth.account_id())) with check (account_id = (select auth.account_id()));
create policy assessment_rules_delete on app.assessment_rules for delete to authenticated
    using (account_id = (select auth.account_id()));
create policy assessment_rules_service on app.assessment_rules to service_role using (true) with check (true);
grant select, delete, insert (id, factor, kind, value, range_from, range_to, amount, currency, label),
    update (kind, value, range_from, range_to, amount, currency, label, version)
    on app.assessment_rules to authenticated;
grant select, insert, update, delete on app.assessment_rules to service_role;
create trigger assessment_rules_touch before update on app.assessment_rules
    for each row execute function app.touch_updated_at();

-- No finding meets two rules of one account, so no order among them can matter. The lock makes parallel writers
-- look one after the other. A btree_gist exclusion would say it in a line, but needs an extension.
create function app.guard_assessment_rule() returns trigger
language plpgsql set search_path = ''
as $$
begin
    perform pg_advisory_xact_lock(hashtextextended(
        concat('assessment_rules ', new.account_id, new.factor), 0));
    if exists (
        select from app.assessment_rules as other
        where other.account_id is not distinct from new.account_id and other.factor = new.factor
          and other.id <> new.id and (other.value is null or new.value is null or other.value = new.value)
          and numrange(other.range_from, other.range_to) && numrange(new.range_from, new.range_to))
    then
        raise exception using errcode = 'QK409', message = 'another of your rules is about the same values';
    end if;
    if tg_op = 'INSERT' and (
        select count(*) from app.assessment_rules as other
        where other.account_id = new.account_id and other.factor = new.factor) >= 50
    then
        raise exception using errcode = 'QK409', message = 'fifty rules for one factor are there already';
    end if;
    return new;
end
$$;
create trigger assessment_rules_guard before insert or update on app.assessment_rules
    for each row execute function app.guard_assessment_rule();

set local role service_role;
insert into app.assessment_rules (id, account_id, factor, kind, value, range_from, range_to, amount, currency, label)
select ('01900000-0020-7000-8000-' || lpad(number::text, 12, '0'))::uuid, null, factor, kind, value, range_from,
    range_to, amount, currency, label
from (values
    (1, 'area', 'per_sqft', null, null, null, 0.50, 'USD', 'Lawn work by area'),
    (11, 'lawn_condition', 'multiplier', 'pristine', null, null, 0.9, null, 'Pristine lawn'),
    (12, 'lawn_condition', 'multiplier', 'healthy', null, null, 1, null, 'Healthy lawn'),
    (13, 'lawn_condition', 'multiplier', 'patchy', null, null, 1.2, null, 'Patchy lawn'),
    (14, 'lawn_condition', 'multiplier', 'poor', null, null, 1.4, null, 'Poor lawn'),
    (15, 'lawn_condition', 'multiplier', 'dead', null, null, 1.6, null, 'Dead lawn'),
    (21, 'soil_condition', 'multiplier', 'excellent', null, null, 0.95, null, 'Excellent soil'),
    (22, 'soil_condition', 'multiplier', 'good', null, null, 1, null, 'Good soil'),
    (23, 'soil_condition', 'multiplier', 'sandy', null, null, 1.1, null, 'Sandy soil'),
    (24, 'soil_condition', 'multiplier', 'compacted', null, null, 1.25, null, 'Compacted soil'),
    (25, 'soil_condition', 'multiplier', 'clay', null, null, 1.3, null, 'Clay soil'),
    (26, 'soil_condition', 'multiplier', 'contaminated', null, null, 1.5, null, 'Contaminated soil'),
    (31, 'weed_percent', 'multiplier', null, 10, 25, 1.1, null, 'Some weeds'),
    (32, 'weed_percent', 'multiplier', null, 25, 50, 1.2, null, 'Many weeds'),
    (33, 'weed_percent', 'multiplier', null, 50, 75, 1.3, null, 'Mostly weeds'),
    (34, 'weed_percent', 'multiplier', null, 75, null, 1.4, null, 'Overgrown by weeds'),
    (41, 'complexity', 'multiplier', null, 4, 6, 1.1, null, 'Somewhat complex'),
    (42, 'complexity', 'multiplier', null, 6, 8, 1.3, null, 'Complex'),
    (43, 'complexity', 'multiplier', null, 8, 9, 1.5, null, 'Very complex'),
    (44, 'complexity', 'multiplier', null, 9, null, 1.6, null, 'Most complex'),
    (51, 'slope_percent', 'multiplier', null, 5, 15, 1.1, null, 'Gentle slope'),
    (52, 'slope_percent', 'multiplier', null, 15, 30, 1.3, null, 'Slope'),
    (53, 'slope_percent', 'multiplier', null, 30, null, 1.5, null, 'Steep slope'),
    (61, 'obstacle_density', 'multiplier', null, 5, 10, 1.1, null, 'Some obstacles'),
    (62, 'obstacle_density', 'multiplier', null, 10, null, 1.25, null, 'Many obstacles'),
    (71, 'access', 'flat_fee', 'limited', null, null, 100, 'USD', 'Limited access'),
    (72, 'access', 'flat_fee', 'difficult', null, null, 200, 'USD', 'Difficult access')
) as rule (number, factor, kind, value, range_from, range_to, amount, currency, label);
reset role;

-- migrate:down
drop table app.assessment_rules;
drop table app.assessment_quotes;
drop table app.assessments;
drop table app.properties;
drop function app.guard_assessment_rule();
drop function app.guard_assessment_status();
drop function app.assessment_may_become(text, text);
