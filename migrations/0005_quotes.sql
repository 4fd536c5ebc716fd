-- Quotes, their versions and lines; the numbers and the quota that sending takes.

-- migrate:up
set local lock_timeout = '5s';

create table app.quotes (
    id             uuid primary key,
    account_id     uuid not null default auth.account_id() references app.accounts on delete cascade,
    client_id      uuid,
    status         text not null default 'draft' check (status in ('draft', 'sent', 'viewed', 'accepted',
        'declined', 'expired', 'converted', 'superseded')),
    number         text check (length(number) between 1 and 60),
    revision       integer not null default 1 check (revision >= 1),
    version        integer not null default 1 check (version >= 1),
    is_template    boolean not null default false,
    template_name  text check (length(template_name) between 1 and 200),
    title          text not null default '' check (length(title) <= 1000),
    created_by     uuid not null default auth.uid(),
    created_at     timestamptz not null default now(),
    updated_at     timestamptz not null default now(),
    sent_at        timestamptz,
    viewed_at      timestamptz,
    decided_at     timestamptz,
    decision_note  text check (length(decision_note) <= 2000),
    converted_at   timestamptz,
    expires_at     timestamptz,
    search         tsvector not null generated always as (to_tsvector('simple', translate(
        title || ' ' || coalesce(number, '') || ' ' || coalesce(template_name, ''), '@._-+/', '      '))) stored,
    unique (account_id, id),
    unique (account_id, number),
    foreign key (account_id, client_id) references app.clients (account_id, id),
    constraint quotes_number_when_sent check ((status = 'draft') = (number is null)),
    constraint quotes_sent_at_when_sent check ((status = 'draft') = (sent_at is null)),
    constraint quotes_template_is_draft check (not is_template or status = 'draft'),
    constraint quotes_template_named check (is_template = (template_name is not null))
);
comment on table app.quotes is 'A quote''s identity and state; what it says is in its versions.';
comment on column app.quotes.version is 'Counts every change, for If-Match.';
comment on column app.quotes.revision is 'The version of the document that is in force.';
comment on column app.quotes.title is 'Words to find it by: client, lines, notes.';
create index quotes_list on app.quotes (account_id, created_at desc, id desc);
create index quotes_status on app.quotes (account_id, status, created_at desc, id desc);
create index quotes_client on app.quotes (account_id, client_id, created_at desc, id desc);
create index quotes_expiring on app.quotes (expires_at) where status in ('sent', 'viewed');
alter table app.quotes enable row level security;
alter table app.quotes force row level security;
create policy quotes_own on app.quotes to authenticated
    using (account_id = (select auth.account_id())) with check (account_id = (select auth.account_id()));
create policy quotes_service on app.quotes to service_role using (true) with check (true);
grant select, delete, insert (id, client_id, is_template, template_name, title),
    update (client_id, status, version, is_template, template_name, title, viewed_at, decided_at,
        decision_note, converted_at, expires_at) on app.quotes to authenticated;
grant select, insert, update, delete on app.quotes to service_role;
create trigger quotes_touch before update on app.quotes
    for each row execute function app.touch_updated_at();

create table app.quote_versions (
    id             uuid primary key,
    account_id     uuid not null default auth.account_id(),
    quote_id       uuid not null,
    revision       integer not null default 1 check (revision >= 1),
    client_name    text not null default '' check (length(client_name) <= 200),
    client_email   text check (length(client_email) <= 254),
    client_phone   text check (length(client_phone) <= 50),
    client_address text check (length(client_address) <= 1000),
    currency       text not null check (currency ~ '^[A-Z]{3}$'),
    language       text not null check (length(language) between 2 and 10),
    tax_rate       numeric(7, 4) not null check (tax_rate between 0 and 100),
    tax_inclusive  boolean not null,
    tax_rounding   text not null check (tax_rounding in ('document', 'line')),
    markup_rate    numeric(8, 4) not null check (markup_rate between 0 and 1000),
    discount_type  text check (discount_type in ('percent', 'amount')),
    discount_value numeric(20, 4) check (discount_value >= 0),
    deposit_type   text check (deposit_type in ('percent', 'amount')),
    deposit_value  numeric(20, 4) check (deposit_value >= 0),
    notes          text not null default '' check (length(notes) <= 20000),
    terms          text not null default '' check (length(terms) <= 20000),
    valid_until    date,
    subtotal        numeric(24, 4) not null check (subtotal >= 0),
    markup_amount   numeric(24, 4) not null,
    discount_amount numeric(24, 4) not null check (discount_amount >= 0 and discount_amount <= subtotal),
    tax_amount      numeric(24, 4) not null check (tax_amount >= 0),
    tax_breakdown   jsonb not null check (jsonb_typeof(tax_breakdown) = 'array'),
    total           numeric(24, 4) not null check (total >= 0),
    deposit_amount  numeric(24, 4) not null check (deposit_amount between 0 and total),
    frozen_at      timestamptz,
    created_at     timestamptz not null default now(),
    unique (quote_id, revision),
    unique (account_id, id),
    foreign key (account_id, quote_id) references app.quotes (account_id, id) on delete cascade,
    constraint quote_versions_total_adds_up check (
        total = subtotal - discount_amount + case when tax_inclusive then 0 else tax_amount end),
    constraint quote_versions_discount_whole check ((discount_type is null) = (discount_value is null)),
    constraint quote_versions_deposit_whole check ((deposit_type is null) = (deposit_value is null)),
    constraint quote_versions_percent check (
        (discount_type is distinct from 'percent' or discount_value <= 100)
        and (deposit_type is distinct from 'percent' or deposit_value <= 100))
);
comment on table app.quote_versions is 'What a quote says. Once frozen_at is set, not a byte of it changes.';
create index quote_versions_quote on app.quote_versions (account_id, quote_id);
alter table app.quote_versions enable row level security;
alter table app.quote_versions force row level security;
create policy quote_versions_own on app.quote_versions to authenticated
    using (account_id = (select auth.account_id())) with check (account_id = (select auth.account_id()));
create policy quote_versions_service on app.quote_versions to service_role using (true) with check (true);
grant select, delete,
    insert (id, quote_id, client_name, client_email, client_phone, client_address, currency, language, tax_rate,
        tax_inclusive, tax_rounding, markup_rate, discount_type, discount_value, deposit_type, deposit_value, notes,
        terms, valid_until, subtotal, markup_amount, discount_amount, tax_amount, tax_breakdown, total,
        deposit_amount),
    update (client_name, client_email, client_phone, client_address, currency, language, tax_rate, tax_inclusive,
        tax_rounding, markup_rate, discount_type, discount_value, deposit_type, deposit_value, notes, terms,
        valid_until, subtotal, markup_amount, discount_amount, tax_amount, tax_breakdown, total, deposit_amount,
        frozen_at)
    on app.quote_versions to authenticated;
grant select, insert, update, delete on app.quote_versions to service_role;

create table app.quote_lines (
    account_id      uuid not null default auth.account_id(),
    version_id      uuid not null,
    position        smallint not null check (position between 1 and 500),
    item_id         uuid,
    name            text not null check (length(name) between 1 and 200),
    description     text not null default '' check (length(description) <= 5000),
    unit            text not null default '' check (length(unit) <= 30),
    quantity        numeric(16, 4) not null check (quantity >= 0),
    unit_cost       numeric(16, 4) not null check (unit_cost >= 0),
    tax_rate        numeric(7, 4) check (tax_rate between 0 and 100),
    discount_type   text check (discount_type in ('percent', 'amount')),
    discount_value  numeric(20, 4) check (discount_value >= 0),
    optional        boolean not null default false,
    selected        boolean not null default false,
    unit_price      numeric(24, 4) not null check (unit_price >= 0),
    gross           numeric(24, 4) not null check (gross >= 0),
    discount_amount numeric(24, 4) not null check (discount_amount between 0 and gross),
    line_total      numeric(24, 4) not null,
    net             numeric(24, 4) not null check (net between 0 and line_total),
    tax_amount      numeric(24, 4) not null check (tax_amount >= 0),
    primary key (version_id, position),
    foreign key (account_id, version_id) references app.quote_versions (account_id, id) on delete cascade,
    foreign key (account_id, item_id) references app.items (account_id, id) on delete set null (item_id),
    constraint quote_lines_total_adds_up check (line_total = gross - discount_amount),
    constraint quote_lines_discount_whole check ((discount_type is null) = (discount_value is null)),
    constraint quote_lines_unselected_is_free check (not optional or selected or (net = 0 and tax_amount = 0))
);
comment on table app.quote_lines is 'The lines of a version, in order.';
create index quote_lines_version on app.quote_lines (account_id, version_id);
create index quote_lines_item on app.quote_lines (account_id, item_id);
alter table app.quote_lines enable row level security;
alter table app.quote_lines force row level security;
create policy quote_lines_own on app.quote_lines to authenticated
    using (account_id = (select auth.account_id())) with check (account_id = (select auth.account_id()));
create policy quote_lines_service on app.quote_lines to service_role using (true) with check (true);
grant select, delete,
    insert (version_id, position, item_id, name, description, unit, quantity, unit_cost, tax_rate, discount_type,
        discount_value, optional, selected, unit_price, gross, discount_amount, line_total, net, tax_amount)
    on app.quote_lines to authenticated;
grant select, insert, update, delete on app.quote_lines to service_role;

create table app.quote_counters (
    account_id uuid not null references app.accounts on delete cascade,
    year       integer not null check (year between 2000 and 9999),
    last       integer not null check (last >= 1),
    primary key (account_id, year)
);
comment on table app.quote_counters is 'The last number given out; its row lock makes numbers gapless.';
alter table app.quote_counters enable row level security;
alter table app.quote_counters force row level security;
create policy quote_counters_read on app.quote_counters for select to authenticated
    using (account_id = (select auth.account_id()));
create policy quote_counters_service on app.quote_counters to service_role using (true) with check (true);
grant select on app.quote_counters to authenticated;
grant select, insert, update, delete on app.quote_counters to service_role;

-- The client's way in. Only a hash of the token is kept.
create table app.quote_links (
    id         uuid primary key,
    account_id uuid not null default auth.account_id(),
    quote_id   uuid not null,
    token_hash bytea not null unique check (length(token_hash) = 32),
    expires_at timestamptz not null,
    revoked_at timestamptz,
    created_at timestamptz not null default now(),
    foreign key (account_id, quote_id) references app.quotes (account_id, id) on delete cascade
);
create index quote_links_quote on app.quote_links (account_id, quote_id);
alter table app.quote_links enable row level security;
alter table app.quote_links force row level security;
create policy quote_links_own on app.quote_links to authenticated
    using (account_id = (select auth.account_id())) with check (account_id = (select auth.account_id()));
create policy quote_links_service on app.quote_links to service_role using (true) with check (true);
grant select, insert (id, quote_id, token_hash, expires_at), update (revoked_at)
    on app.quote_links to authenticated;
grant select, insert, update, delete on app.quote_links to service_role;

create function app.format_quote_number(pattern text, year integer, counter integer) returns text
language sql immutable set search_path = ''
as $$
    select replace(
        replace(pattern, '{year}', year::text),
        substring(pattern from '\{0+\}'),
        lpad(counter::text, greatest(length(counter::text), length(substring(pattern from '\{(0+)\}'))), '0'))
$$;
comment on function app.format_quote_number is 'Q-{year}-{0000} → Q-2026-0042; grows past its zeros instead of cutting.';
grant execute on function app.format_quote_number(text, integer, integer) to authenticated, service_role;

create function app.quote_may_become(old_status text, new_status text) returns boolean
language sql immutable set search_path = ''
as $$
    select (old_status, new_status) in (
        ('draft', 'sent'),
        ('sent', 'viewed'), ('sent', 'accepted'), ('sent', 'declined'), ('sent', 'expired'), ('sent', 'superseded'),
        ('viewed', 'accepted'), ('viewed', 'declined'), ('viewed', 'expired'), ('viewed', 'superseded'),
        ('accepted', 'converted'), ('declined', 'superseded'), ('expired', 'superseded'))
$$;
comment on function app.quote_may_become is 'The only changes of status there are; the database refuses all others.';
grant execute on function app.quote_may_become(text, text) to authenticated, service_role;

create function app.guard_quote_status() returns trigger
language plpgsql set search_path = ''
as $$
begin
    if not app.quote_may_become(old.status, new.status) then
        raise exception using errcode = 'QK409',
            message = format('a quote that is %s cannot become %s', old.status, new.status);
    end if;
    return new;
end
$$;
create trigger quotes_guard_status before update of status on app.quotes
    for each row when (old.status is distinct from new.status) execute function app.guard_quote_status();

-- Sending takes one of the month's quotes and the next number, in the transaction that sends: the plan's limit
-- cannot be passed and a number cannot be lost. Nobody may call it; it runs because the status changes.
-- Locks are taken in one order (quote, usage, counter), so parallel sends wait but never deadlock.
create function app.take_quota_and_number() returns trigger
language plpgsql security definer set search_path = ''
as $$
declare
    allowed  integer := (select quotes_per_month from app.plans where key = app.plan_key(new.account_id));
    settings record;
    today    date;
    counter  integer;
begin
    select coalesce(max(time_zone), 'UTC') as time_zone,
           coalesce(max(number_pattern), 'Q-{year}-{0000}') as number_pattern
    into settings
    from app.company_settings where account_id = new.account_id;
    today := (now() at time zone settings.time_zone)::date;

    insert into app.usage as u (account_id, month, metric, used)
    select new.account_id, date_trunc('month', today)::date, 'quotes_sent', 1
    where allowed is null or allowed > 0
    on conflict (account_id, month, metric) do update set used = u.used + 1
    where allowed is null or u.used < allowed;
    if not found then
        raise exception using errcode = 'QK402',
            message = format('the plan allows %s sent quotes a month', allowed), detail = allowed::text;
    end if;

    insert into app.quote_counters as c (account_id, year, last)
    values (new.account_id, extract(year from today), 1)
    on conflict (account_id, year) do update set last = c.last + 1
    returning last into counter;
    new.number := app.format_quote_number(settings.number_pattern, extract(year from today)::integer, counter);
    new.sent_at := now();
    return new;
end
$$;
grant create on schema app to service_role; -- a new owner has to hold it
alter function app.take_quota_and_number() owner to service_role;
revoke create on schema app from service_role;
create trigger quotes_take_quota_and_number before update of status on app.quotes
    for each row when (old.status = 'draft' and new.status = 'sent')
    execute function app.take_quota_and_number();

create function app.guard_frozen_version() returns trigger
language plpgsql set search_path = ''
as $$
begin
    if old.frozen_at is not null then
        raise exception using errcode = 'QK409', message = 'a sent version cannot be changed';
    end if;
    return case when tg_op = 'DELETE' then old else new end;
end
$$;
create trigger quote_versions_frozen before update or delete on app.quote_versions
    for each row execute function app.guard_frozen_version();

-- Once a statement, over all rows it touched: five hundred lines cost one look.
create function app.guard_frozen_lines() returns trigger
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
create trigger quote_lines_frozen_insert after insert on app.quote_lines
    referencing new table as touched for each statement execute function app.guard_frozen_lines();
create trigger quote_lines_frozen_delete after delete on app.quote_lines
    referencing old table as touched for each statement execute function app.guard_frozen_lines();

-- A deleted item leaves its lines as they were printed, without the reference; nothing else of a line ever changes.
create function app.guard_lines() returns trigger
language plpgsql set search_path = ''
as $$
begin
    if new.item_id is null and to_jsonb(new) - 'item_id' = to_jsonb(old) - 'item_id' then
        return new;
    end if;
    raise exception using errcode = 'QK409', message = 'a line is replaced, not changed';
end
$$;
create trigger quote_lines_replaced before update on app.quote_lines
    for each row execute function app.guard_lines();

-- A draft may be half written inside a transaction; at its end the lines and the totals agree.
create function app.check_version_adds_up() returns trigger
language plpgsql set search_path = ''
as $$
declare
    current app.quote_versions := (select v from app.quote_versions v where v.id = new.id);
    sums    record;
begin
    if current.id is null then
        return null;
    end if;
    select coalesce(sum(line_total) filter (where not optional or selected), 0) as subtotal,
           coalesce(sum(net), 0) as net, coalesce(sum(tax_amount), 0) as tax
    into sums
    from app.quote_lines where version_id = current.id;
    if (sums.subtotal, sums.net, sums.tax)
        is distinct from (current.subtotal, current.subtotal - current.discount_amount, current.tax_amount) then
        raise exception using errcode = '23514', constraint = 'quote_versions_lines_add_up',
            message = 'the lines of a quote do not add up to its totals';
    end if;
    return null;
end
$$;
create constraint trigger quote_versions_lines_add_up after insert or update on app.quote_versions
    deferrable initially deferred for each row execute function app.check_version_adds_up();

-- migrate:down
drop table app.quote_links;
drop table app.quote_counters;
drop table app.quote_lines;
drop table app.quote_versions;
drop table app.quotes;
drop function app.check_version_adds_up();
drop function app.guard_lines();
drop function app.guard_frozen_lines();
drop function app.guard_frozen_version();
drop function app.take_quota_and_number();
drop function app.guard_quote_status();
drop function app.quote_may_become(text, text);
drop function app.format_quote_number(text, integer, integer);
