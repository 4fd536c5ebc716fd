-- What reports add up, in narrow rows: one for a quote, and one for each item of an accepted one. Triggers keep them in
-- the transaction that changes a quote, once a statement over all rows it touched. Moments are kept whole: days are
-- those of the account's time zone when a report is asked for, so the zone may change. See bench/README.md.

-- migrate:up
set local lock_timeout = '5s';

create table app.quote_facts (
    account_id  uuid not null,
    quote_id    uuid not null,
    version_id  uuid not null,
    client_id   uuid,
    counted_at  timestamptz not null,
    decided_at  timestamptz,
    is_template boolean not null,
    status      text not null,
    currency    text not null,
    total       numeric(24, 4) not null,
    tax_amount  numeric(24, 4) not null,
    primary key (quote_id, account_id),
    foreign key (account_id, quote_id) references app.quotes (account_id, id) on delete cascade
) with (fillfactor = 85);
comment on table app.quote_facts is 'A quote as reports count it: what stands in app.quotes and its version in force. Triggers write it.';
comment on column app.quote_facts.counted_at is 'When it was sent; when a draft was made.';
comment on column app.quote_facts.total is 'With the optional lines that its client took on his page, if he did.';
create index quote_facts_counted on app.quote_facts (account_id, counted_at) where not is_template;
create index quote_facts_decided on app.quote_facts (account_id, decided_at) where decided_at is not null;
alter table app.quote_facts enable row level security;
alter table app.quote_facts force row level security;
create policy quote_facts_own on app.quote_facts for select to authenticated
    using (account_id = (select auth.account_id()));
create policy quote_facts_service on app.quote_facts to service_role using (true) with check (true);
grant select on app.quote_facts to authenticated;
grant select, insert, update, delete on app.quote_facts to service_role;

create table app.item_facts (
    account_id uuid not null,
    quote_id   uuid not null,
    item_id    uuid,
    decided_at timestamptz not null,
    currency   text not null,
    lines      integer not null,
    total      numeric(28, 4) not null,
    tax_amount numeric(28, 4) not null,
    unique nulls not distinct (quote_id, account_id, item_id)
);
comment on table app.item_facts is 'What a client accepted of an item in a quote, tax included. Written when it is accepted, never changed.';
comment on column app.item_facts.item_id is 'No foreign key: an item that was deleted counts as none when a report is made.';
comment on column app.item_facts.quote_id is 'Goes with its quote by a trigger: a foreign key would be looked up for every line that is accepted.';
create index item_facts_decided on app.item_facts (account_id, decided_at);
alter table app.item_facts enable row level security;
alter table app.item_facts force row level security;
create policy item_facts_own on app.item_facts for select to authenticated
    using (account_id = (select auth.account_id()));
create policy item_facts_service on app.item_facts to service_role using (true) with check (true);
grant select on app.item_facts to authenticated;
grant select, insert, update, delete on app.item_facts to service_role;

-- A client's choice changes what the lines cost; the version stays as it was sent, so his lines' amounts stand here.
alter table app.quote_acceptances add column amounts jsonb
    check (jsonb_typeof(amounts) = 'array' and jsonb_array_length(amounts) <= 500);
comment on column app.quote_acceptances.amounts is 'Position, net and tax of each line that counts; null where they are those of the version.';
grant insert (amounts) on app.quote_acceptances to quote_client;

create function app.count_accepted(quote_ids uuid[]) returns void
language sql security definer set search_path = ''
as $$
    update app.quote_facts as fact set total = taken.total, tax_amount = taken.tax_amount
    from app.quote_acceptances as taken
    where fact.quote_id = any(quote_ids)
      and taken.account_id = fact.account_id and taken.quote_id = fact.quote_id
      and (fact.total, fact.tax_amount) <> (taken.total, taken.tax_amount);

    with accepted as (
        select fact.account_id, fact.quote_id, fact.version_id, fact.decided_at, fact.currency, said.tax_inclusive,
            taken.amounts
        from app.quote_facts as fact
        join app.quote_versions as said on said.account_id = fact.account_id and said.id = fact.version_id
        left join app.quote_acceptances as taken
            on taken.account_id = fact.account_id and taken.quote_id = fact.quote_id
        where fact.quote_id = any(quote_ids) and fact.status in ('accepted', 'converted')
          and fact.decided_at is not null
          and not exists (
            select from app.item_facts as known
            where known.quote_id = fact.quote_id and known.account_id = fact.account_id)
    )
    insert into app.item_facts (account_id, quote_id, item_id, decided_at, currency, lines, total, tax_amount)
    select account_id, quote_id, item_id, decided_at, currency, count(*),
        sum(case when tax_inclusive then net else net + tax_amount end), sum(tax_amount)
    from (
        select accepted.*, line.item_id, line.net, line.tax_amount
        from accepted join app.quote_lines as line on line.version_id = accepted.version_id
        where accepted.amounts is null and (line.selected or not line.optional)
        union all
        select accepted.*, line.item_id, amount.net, amount.tax_amount
        from accepted
        cross join lateral jsonb_to_recordset(accepted.amounts)
            as amount (position smallint, net numeric, tax_amount numeric)
        join app.quote_lines as line on line.version_id = accepted.version_id and line.position = amount.position
    ) as counted
    group by account_id, quote_id, item_id, decided_at, currency;
$$;

create function app.count_quotes(quote_ids uuid[]) returns void
language sql security definer set search_path = ''
as $$
    insert into app.quote_facts as fact (account_id, quote_id, version_id, client_id, counted_at, decided_at,
        is_template, status, currency, total, tax_amount)
    select quote.account_id, quote.id, said.id, quote.client_id, coalesce(quote.sent_at, quote.created_at),
        quote.decided_at, quote.is_template, quote.status, said.currency, said.total, said.tax_amount
    from app.quotes as quote
    join app.quote_versions as said
        on said.account_id = quote.account_id and said.quote_id = quote.id and said.revision = quote.revision
    where quote.id = any(quote_ids)
    order by coalesce(quote.sent_at, quote.created_at) -- as they would have come: a range lies together
    on conflict (account_id, quote_id) do update
    set version_id = excluded.version_id, client_id = excluded.client_id, counted_at = excluded.counted_at,
        decided_at = excluded.decided_at, is_template = excluded.is_template, status = excluded.status,
        currency = excluded.currency, total = excluded.total, tax_amount = excluded.tax_amount;

    select app.count_accepted(array(
        select id from app.quotes where id = any(quote_ids) and status in ('accepted', 'converted')));
$$;
comment on function app.count_quotes is 'Count quotes anew from what is stored of them. Triggers do; whoever wrote past them calls it.';

create function app.count_new_versions() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
    perform app.count_quotes(array(select quote_id from touched));
    return null;
end
$$;

create function app.count_changed_versions() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
    update app.quote_facts as fact
    set currency = said.currency, total = said.total, tax_amount = said.tax_amount
    from touched as said
    where fact.account_id = said.account_id and fact.quote_id = said.quote_id and fact.version_id = said.id
      and (fact.currency, fact.total, fact.tax_amount) <> (said.currency, said.total, said.tax_amount);
    return null;
end
$$;

create function app.count_changed_quotes() returns trigger
language plpgsql security definer set search_path = ''
as $$
declare
    accepted uuid[];
begin
    with changed as (
        update app.quote_facts as fact
        set client_id = quote.client_id, counted_at = coalesce(quote.sent_at, quote.created_at),
            decided_at = quote.decided_at, is_template = quote.is_template, status = quote.status
        from touched as quote
        where fact.account_id = quote.account_id and fact.quote_id = quote.id
          and (fact.status <> quote.status or fact.client_id is distinct from quote.client_id
            or fact.decided_at is distinct from quote.decided_at or fact.is_template <> quote.is_template
            or fact.counted_at <> coalesce(quote.sent_at, quote.created_at))
        returning quote.id, quote.status
    )
    select array_agg(id) filter (where status = 'accepted') into accepted from changed;
    if accepted is not null then
        perform app.count_accepted(accepted);
    end if;
    return null;
end
$$;
create function app.forget_items() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
    delete from app.item_facts as item using touched as fact
    where item.quote_id = fact.quote_id and item.account_id = fact.account_id;
    return null;
end
$$;
grant create on schema app to service_role; -- a new owner has to hold it
alter function app.count_accepted(uuid[]) owner to service_role;
alter function app.count_quotes(uuid[]) owner to service_role;
alter function app.count_new_versions() owner to service_role;
alter function app.count_changed_versions() owner to service_role;
alter function app.count_changed_quotes() owner to service_role;
alter function app.forget_items() owner to service_role;
revoke create on schema app from service_role;
create trigger quote_versions_count_new after insert on app.quote_versions
    referencing new table as touched for each statement execute function app.count_new_versions();
create trigger quote_versions_count_changed after update on app.quote_versions
    referencing new table as touched for each statement execute function app.count_changed_versions();
create trigger quotes_count_changed after update on app.quotes
    referencing new table as touched for each statement execute function app.count_changed_quotes();
create trigger quote_facts_forget_items after delete on app.quote_facts
    referencing old table as touched for each statement execute function app.forget_items();

-- The triggers' locks keep writers out until this is whole.
select app.count_quotes(array_agg(id)) from app.quotes group by account_id;

-- Nothing else read by these, and every change of status wrote them.
drop index app.quotes_accepted;
drop index app.quotes_reported;

-- migrate:down
create index quotes_reported on app.quotes (account_id, (coalesce(sent_at, created_at))) where not is_template;
create index quotes_accepted on app.quotes (account_id, decided_at) where status in ('accepted', 'converted');
drop trigger quotes_count_changed on app.quotes;
drop trigger quote_versions_count_changed on app.quote_versions;
drop trigger quote_versions_count_new on app.quote_versions;
drop function app.count_changed_quotes();
drop function app.count_changed_versions();
drop function app.count_new_versions();
drop function app.count_quotes(uuid[]);
drop function app.count_accepted(uuid[]);
alter table app.quote_acceptances drop column amounts;
drop table app.item_facts;
drop table app.quote_facts;
drop function app.forget_items();
