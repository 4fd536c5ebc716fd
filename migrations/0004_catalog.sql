-- What an account quotes from: its clients, its items and their categories.
-- The search columns have no GIN index: @@ is not leakproof, so row level security keeps the planner from using one,
-- and the account's own rows are read by its list index. Punctuation is taken out, else an address is one word.

-- migrate:up
set local lock_timeout = '5s';

create table app.clients (
    id         uuid primary key,
    account_id uuid not null default auth.account_id() references app.accounts on delete cascade,
    name       text not null check (length(name) between 1 and 200),
    email      text check (length(email) <= 254),
    phone      text check (length(phone) <= 50),
    address    text check (length(address) <= 1000),
    notes      text check (length(notes) <= 10000),
    version    integer not null default 1,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    search     tsvector not null generated always as (to_tsvector('simple', translate(
        name || ' ' || coalesce(email, '') || ' ' || coalesce(phone, '') || ' ' || coalesce(address, ''),
        '@._-+/', '      '))) stored,
    unique (account_id, id)
);
create index clients_list on app.clients (account_id, created_at desc, id desc);
alter table app.clients enable row level security;
alter table app.clients force row level security;
create policy clients_own on app.clients to authenticated
    using (account_id = (select auth.account_id())) with check (account_id = (select auth.account_id()));
create policy clients_service on app.clients to service_role using (true) with check (true);
grant select, delete, insert (id, name, email, phone, address, notes),
    update (name, email, phone, address, notes, version) on app.clients to authenticated;
grant select, insert, update, delete on app.clients to service_role;
create trigger clients_touch before update on app.clients
    for each row execute function app.touch_updated_at();

-- The plan's number of clients; the account row is the lock that makes the count true for parallel inserts.
create function app.check_client_limit() returns trigger
language plpgsql security definer set search_path = ''
as $$
declare
    allowed integer := (select clients from app.plans where key = app.plan_key(new.account_id));
begin
    if allowed is null then
        return new;
    end if;
    perform from app.accounts where id = new.account_id for update;
    if (select count(*) from app.clients where account_id = new.account_id) >= allowed then
        raise exception using errcode = 'QK402',
            message = format('the plan allows %s clients', allowed), detail = allowed::text;
    end if;
    return new;
end
$$;
grant create on schema app to service_role; -- a new owner has to hold it
alter function app.check_client_limit() owner to service_role;
revoke create on schema app from service_role;
create trigger clients_limit before insert on app.clients
    for each row execute function app.check_client_limit();

create table app.item_categories (
    id          uuid primary key,
    account_id  uuid not null default auth.account_id() references app.accounts on delete cascade,
    name        text not null check (length(name) between 1 and 100),
    colour      text not null default '#3b82f6' check (colour ~ '^#[0-9a-f]{6}$'),
    description text check (length(description) <= 2000),
    sort_order  integer not null default 0,
    version     integer not null default 1,
    created_at  timestamptz not null default now(),
    updated_at  timestamptz not null default now(),
    unique (account_id, id)
);
create unique index item_categories_name on app.item_categories (account_id, lower(name));
alter table app.item_categories enable row level security;
alter table app.item_categories force row level security;
create policy item_categories_own on app.item_categories to authenticated
    using (account_id = (select auth.account_id())) with check (account_id = (select auth.account_id()));
create policy item_categories_service on app.item_categories to service_role using (true) with check (true);
grant select, delete, insert (id, name, colour, description, sort_order),
    update (name, colour, description, sort_order, version) on app.item_categories to authenticated;
grant select, insert, update, delete on app.item_categories to service_role;
create trigger item_categories_touch before update on app.item_categories
    for each row execute function app.touch_updated_at();

create table app.items (
    id           uuid primary key,
    account_id   uuid not null default auth.account_id() references app.accounts on delete cascade,
    category_id  uuid,
    name         text not null check (length(name) between 1 and 200),
    description  text check (length(description) <= 5000),
    unit         text not null check (length(unit) between 1 and 30),
    unit_cost    numeric(16, 4) not null check (unit_cost >= 0),
    tax_rate     numeric(7, 4) check (tax_rate between 0 and 100),
    tags         text[] not null default '{}' check (cardinality(tags) <= 50),
    is_favorite  boolean not null default false,
    last_used_at timestamptz,
    version      integer not null default 1,
    created_at   timestamptz not null default now(),
    updated_at   timestamptz not null default now(),
    search       tsvector not null generated always as (to_tsvector('simple', translate(
        name || ' ' || coalesce(description, ''), '@._-+/', '      '))) stored,
    unique (account_id, id),
    foreign key (account_id, category_id) references app.item_categories (account_id, id)
        on delete set null (category_id)
);
create index items_list on app.items (account_id, created_at desc, id desc);
create index items_category on app.items (account_id, category_id);
alter table app.items enable row level security;
alter table app.items force row level security;
create policy items_own on app.items to authenticated
    using (account_id = (select auth.account_id())) with check (account_id = (select auth.account_id()));
create policy items_service on app.items to service_role using (true) with check (true);
grant select, delete,
    insert (id, category_id, name, description, unit, unit_cost, tax_rate, tags, is_favorite),
    update (category_id, name, description, unit, unit_cost, tax_rate, tags, is_favorite, last_used_at, version)
    on app.items to authenticated;
grant select, insert, update, delete on app.items to service_role;
create trigger items_touch before update on app.items
    for each row execute function app.touch_updated_at();

-- migrate:down
drop table app.items;
drop table app.item_categories;
drop table app.clients;
drop function app.check_client_limit();
