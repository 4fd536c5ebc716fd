-- How often a mail's picture was asked for: only where its account wants to know.

-- migrate:up
set local lock_timeout = '5s';

alter table app.company_settings add column track_opens boolean not null default false;
comment on column app.company_settings.track_opens is 'Whether mails to clients carry a picture, and asking for it is counted.';

create table app.mail_opens (
    account_id      uuid not null default auth.account_id(),
    mail_id         uuid not null,
    token_hash      bytea not null unique check (length(token_hash) = 32),
    opens           bigint not null default 0 check (opens >= 0),
    first_opened_at timestamptz,
    last_opened_at  timestamptz,
    created_at      timestamptz not null default now(),
    primary key (account_id, mail_id),
    foreign key (account_id, mail_id) references app.mails (account_id, id) on delete cascade,
    constraint mail_opens_first_and_last check (
        (opens = 0 and first_opened_at is null and last_opened_at is null)
        or (opens > 0 and first_opened_at is not null and last_opened_at is not null
            and first_opened_at <= last_opened_at))
);
comment on table app.mail_opens is 'Mails that carry a picture, and how often it was asked for: by whom is not kept. A mail without a row is not tracked.';
comment on column app.mail_opens.token_hash is 'SHA-256 of the token in the picture''s address.';
comment on column app.mail_opens.opens is 'Requests, not readers: programs ask ahead for people, or never.';
alter table app.mail_opens enable row level security;
alter table app.mail_opens force row level security;
create policy mail_opens_read on app.mail_opens for select to authenticated
    using (account_id = (select auth.account_id()));
create policy mail_opens_write on app.mail_opens for insert to authenticated
    with check (account_id = (select auth.account_id()));
create policy mail_opens_service on app.mail_opens to service_role using (true) with check (true);
grant select (account_id, mail_id, opens, first_opened_at, last_opened_at, created_at),
    insert (mail_id, token_hash) on app.mail_opens to authenticated;
grant select, insert, update, delete on app.mail_opens to service_role;

-- migrate:down
drop table app.mail_opens;
alter table app.company_settings drop column track_opens;
