-- Revisions: a quote that replaces a sent one. Reminders of what waits for an answer, and an account's own words.

-- migrate:up
set local lock_timeout = '5s';

alter table app.quotes
    add column revises uuid,
    add constraint quotes_revised_once unique (account_id, revises),
    add constraint quotes_revises_quote foreign key (account_id, revises) references app.quotes (account_id, id),
    add constraint quotes_revision_counts check ((revises is null) = (revision = 1)),
    add constraint quotes_revision_is_no_template check (revises is null or not is_template);
comment on column app.quotes.revises is 'The quote that this one replaces once it is sent. Each is revised once: a chain.';
comment on column app.quotes.revision is 'Its place in the chain: 1, then one more than the quote that it revises.';
grant insert (revises) on app.quotes to authenticated;
grant insert (revision) on app.quote_versions to authenticated;

-- A revision takes no quota, so it may be neither the first quote of a chain nor one for somebody else.
create function app.begin_revision() returns trigger
language plpgsql set search_path = ''
as $$
declare
    revised record;
begin
    select status, revision, client_id into revised
    from app.quotes where account_id = new.account_id and id = new.revises for update;
    if not app.quote_may_become(revised.status, 'superseded') then
        raise exception using errcode = 'QK409', message = format('a quote that is %s cannot be revised', revised.status);
    end if;
    if revised.revision >= 50 then
        raise exception using errcode = 'QK409', message = 'a quote has 50 revisions at most';
    end if;
    new.revision := revised.revision + 1;
    new.client_id := revised.client_id;
    return new;
end
$$;
create trigger quotes_begin_revision before insert on app.quotes
    for each row when (new.revises is not null) execute function app.begin_revision();

create function app.keep_client_of_revision() returns trigger
language plpgsql set search_path = ''
as $$
begin
    raise exception using errcode = 'QK409', message = 'a revision is for the client of the quote that it revises';
end
$$;
create trigger quotes_keep_client_of_revision before update of client_id on app.quotes
    for each row when (new.revises is not null and old.client_id is distinct from new.client_id)
    execute function app.keep_client_of_revision();

-- Sending a revision takes neither quota nor a number of the year: it supersedes the quote that it revises and has
-- that one's number with -R and its place. Whoever answers the old one holds its row, so one of the two comes first.
create function app.send_revision() returns trigger
language plpgsql security definer set search_path = ''
as $$
declare
    revised record;
begin
    select status, number, revision into revised
    from app.quotes where account_id = new.account_id and id = new.revises for update;
    if not app.quote_may_become(revised.status, 'superseded') then
        raise exception using errcode = 'QK409', message = format('the quote that it revises is %s', revised.status);
    end if;
    if (select row(client_name, client_email) from app.quote_versions
            where account_id = new.account_id and quote_id = new.id and revision = new.revision)
        is distinct from
        (select row(client_name, client_email) from app.quote_versions
            where account_id = new.account_id and quote_id = new.revises and revision = revised.revision) then
        raise exception using errcode = 'QK409', message = 'a revision is for the client of the quote that it revises';
    end if;
    update app.quotes set status = 'superseded', version = version + 1
    where account_id = new.account_id and id = new.revises;
    new.number := case revised.revision when 1 then revised.number
        else left(revised.number, -length('-R' || revised.revision)) end || '-R' || new.revision;
    new.sent_at := now();
    return new;
end
$$;
grant create on schema app to service_role; -- a new owner has to hold it
alter function app.send_revision() owner to service_role;
revoke create on schema app from service_role;
drop trigger quotes_take_quota_and_number on app.quotes;
create trigger quotes_take_quota_and_number before update of status on app.quotes
    for each row when (old.status = 'draft' and new.status = 'sent' and new.revises is null)
    execute function app.take_quota_and_number();
create trigger quotes_send_revision before update of status on app.quotes
    for each row when (old.status = 'draft' and new.status = 'sent' and new.revises is not null)
    execute function app.send_revision();

-- ---- reminders ---------------------------------------------------------------------------------------------------
alter table app.company_settings add column reminder_days smallint[] not null default '{2,5}'
    check (cardinality(reminder_days) <= 5 and 1 <= all (reminder_days) and 90 >= all (reminder_days));
comment on column app.company_settings.reminder_days is 'Days after sending on which a client who has not answered is reminded; none is off.';

create table app.quote_reminders (
    account_id uuid not null,
    quote_id   uuid not null,
    day        smallint not null check (day between 1 and 90),
    mail_id    uuid not null,
    created_at timestamptz not null default now(),
    primary key (quote_id, day),
    foreign key (account_id, quote_id) references app.quotes (account_id, id) on delete cascade,
    foreign key (account_id, mail_id) references app.mails (account_id, id) on delete cascade
);
comment on table app.quote_reminders is 'Reminders promised; the key lets each be promised once.';
create index quote_reminders_quote on app.quote_reminders (account_id, quote_id);
create index quote_reminders_mail on app.quote_reminders (account_id, mail_id);
create index quotes_waiting on app.quotes (sent_at) where status in ('sent', 'viewed');
alter table app.quote_reminders enable row level security;
alter table app.quote_reminders force row level security;
create policy quote_reminders_own on app.quote_reminders for select to authenticated
    using (account_id = (select auth.account_id()));
create policy quote_reminders_service on app.quote_reminders to service_role using (true) with check (true);
grant select on app.quote_reminders to authenticated;
grant select, insert, update, delete on app.quote_reminders to service_role;

-- ---- an account's own words --------------------------------------------------------------------------------------
create table app.mail_templates (
    id         uuid primary key,
    account_id uuid not null default auth.account_id() references app.accounts on delete cascade,
    kind       text not null check (kind in ('quote', 'reminder')),
    language   text not null check (language ~ '^[a-z]{2}(-[A-Z]{2})?$'),
    subject    text not null check (length(subject) between 1 and 200),
    body       text not null check (length(body) between 1 and 10000),
    version    integer not null default 1 check (version >= 1),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    unique (account_id, kind, language)
);
comment on table app.mail_templates is 'What an account''s mails say instead of our words, by language.';
alter table app.mail_templates enable row level security;
alter table app.mail_templates force row level security;
create policy mail_templates_own on app.mail_templates to authenticated
    using (account_id = (select auth.account_id())) with check (account_id = (select auth.account_id()));
create policy mail_templates_service on app.mail_templates to service_role using (true) with check (true);
grant select, delete, insert (id, kind, language, subject, body), update (subject, body, version)
    on app.mail_templates to authenticated;
grant select, insert, update, delete on app.mail_templates to service_role;
create trigger mail_templates_touch before update on app.mail_templates
    for each row execute function app.touch_updated_at();

-- migrate:down
drop table app.mail_templates;
drop index app.quotes_waiting;
drop table app.quote_reminders;
alter table app.company_settings drop column reminder_days;
drop trigger quotes_send_revision on app.quotes;
drop trigger quotes_take_quota_and_number on app.quotes;
create trigger quotes_take_quota_and_number before update of status on app.quotes
    for each row when (old.status = 'draft' and new.status = 'sent')
    execute function app.take_quota_and_number();
drop trigger quotes_keep_client_of_revision on app.quotes;
drop trigger quotes_begin_revision on app.quotes;
drop function app.send_revision();
drop function app.keep_client_of_revision();
drop function app.begin_revision();
revoke insert (revision) on app.quote_versions from authenticated;
alter table app.quotes drop column revises;
comment on column app.quotes.revision is 'The version of the document that is in force.';
