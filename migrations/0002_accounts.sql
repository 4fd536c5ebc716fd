-- Accounts (the tenants), their members, the operators' roles, and how a company prints its quotes.

-- migrate:up
set local lock_timeout = '5s';

create table app.accounts (
    id         uuid primary key,
    name       text not null default '' check (length(name) <= 200),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
comment on table app.accounts is 'A tenant. Its first signed request creates it.';
alter table app.accounts enable row level security;
alter table app.accounts force row level security;
create policy accounts_own on app.accounts to authenticated
    using (id = (select auth.account_id())) with check (id = (select auth.account_id()));
create policy accounts_service on app.accounts to service_role using (true) with check (true);
create policy accounts_operations on app.accounts for select to ops_admin using (true);
grant select, insert (id), update (name) on app.accounts to authenticated;
grant select, insert, update, delete on app.accounts to service_role;
grant select on app.accounts to ops_admin;
create trigger accounts_touch before update on app.accounts
    for each row execute function app.touch_updated_at();

create table app.members (
    account_id uuid not null references app.accounts on delete cascade,
    user_id    uuid not null,
    role       text not null default 'owner' check (role in ('owner', 'admin', 'member', 'viewer')),
    created_at timestamptz not null default now(),
    primary key (account_id, user_id)
);
comment on table app.members is 'People of an account. Whoever founds it owns it; others come by invitation.';
create index members_user on app.members (user_id);
alter table app.members enable row level security;
alter table app.members force row level security;
create policy members_read on app.members for select to authenticated
    using (account_id = (select auth.account_id()));
create policy members_service on app.members to service_role using (true) with check (true);
create policy members_operations on app.members for select to ops_admin using (true);
grant select on app.members to authenticated, ops_admin;
grant select, insert, update, delete on app.members to service_role;

-- A founder cannot grant himself a role by writing a row, so the row comes from here.
create function app.found_account() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
    if auth.uid() is not null then
        insert into app.members (account_id, user_id) values (new.id, auth.uid());
    end if;
    return null;
end
$$;
grant create on schema app to service_role; -- a new owner has to hold it
alter function app.found_account() owner to service_role;
revoke create on schema app from service_role;
create trigger accounts_founder after insert on app.accounts
    for each row execute function app.found_account();

create table app.user_roles (
    user_id    uuid not null,
    role       text not null check (role in ('admin', 'moderator')),
    is_active  boolean not null default true,
    expires_at timestamptz,
    granted_by uuid,
    granted_at timestamptz not null default now(),
    primary key (user_id, role)
);
comment on table app.user_roles is 'Operators. A token''s own admin claim is never believed; this row is.';
alter table app.user_roles enable row level security;
alter table app.user_roles force row level security;
create policy user_roles_own on app.user_roles for select to authenticated
    using (user_id = (select auth.uid()));
create policy user_roles_service on app.user_roles to service_role using (true) with check (true);
create policy user_roles_operations on app.user_roles for select to ops_admin using (true);
grant select on app.user_roles to authenticated, ops_admin;
grant select, insert, update, delete on app.user_roles to service_role;

create table app.company_settings (
    account_id          uuid primary key references app.accounts on delete cascade,
    company_name        text not null default '' check (length(company_name) <= 200),
    address             text not null default '' check (length(address) <= 1000),
    email               text check (length(email) <= 254),
    phone               text check (length(phone) <= 50),
    logo_key            text check (length(logo_key) <= 500),
    brand_colour        text not null default '#1f4e79' check (brand_colour ~ '^#[0-9a-f]{6}$'),
    currency            text not null default 'USD' check (currency ~ '^[A-Z]{3}$'),
    language            text not null default 'en' check (length(language) between 2 and 10),
    time_zone           text not null default 'UTC' check (length(time_zone) <= 64),
    default_tax_rate    numeric(7, 4) not null default 0 check (default_tax_rate between 0 and 100),
    default_markup_rate numeric(8, 4) not null default 0 check (default_markup_rate between 0 and 1000),
    tax_rounding        text not null default 'document' check (tax_rounding in ('document', 'line')),
    valid_days          integer not null default 30 check (valid_days between 1 and 3650),
    number_pattern      text not null default 'Q-{year}-{0000}'
        -- The counter starts again each year, so without its year a number would come twice.
        check (number_pattern ~ '^[^{}]*(\{year\}[^{}]*\{0+\}|\{0+\}[^{}]*\{year\})[^{}]*$'
            and number_pattern !~ '[[:cntrl:]]' and length(number_pattern) <= 40),
    quote_terms         text not null default '' check (length(quote_terms) <= 20000),
    version             integer not null default 1,
    updated_at          timestamptz not null default now()
);
comment on table app.company_settings is 'How an account''s quotes look and count. No row means the defaults.';
alter table app.company_settings enable row level security;
alter table app.company_settings force row level security;
create policy company_settings_own on app.company_settings to authenticated
    using (account_id = (select auth.account_id())) with check (account_id = (select auth.account_id()));
create policy company_settings_service on app.company_settings to service_role using (true) with check (true);
grant select, insert, update on app.company_settings to authenticated;
grant select, insert, update, delete on app.company_settings to service_role;
create trigger company_settings_touch before update on app.company_settings
    for each row execute function app.touch_updated_at();

-- migrate:down
drop table app.company_settings;
drop table app.user_roles;
drop table app.members;
drop table app.accounts;
drop function app.found_account();
