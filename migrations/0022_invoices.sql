-- Invoices of accepted quotes, what was paid, and the accounts' own accounts at Stripe.
-- docs/decisions/0022-invoices.md

-- migrate:up
set local lock_timeout = '5s';

-- ---- an account's own account at Stripe ---------------------------------------------------------------------------
-- The last four columns say which statement of Stripe's is kept, as in 0008_billing.sql.
create table app.connected_accounts (
    account_id        uuid primary key references app.accounts on delete cascade,
    id                text not null unique check (length(id) between 1 and 255),
    charges_enabled   boolean,
    payouts_enabled   boolean,
    details_submitted boolean,
    requirements      jsonb check (jsonb_typeof(requirements) = 'object'),
    disconnected_at   timestamptz,
    created_at        timestamptz not null default now(),
    final      boolean not null default false,
    as_of      timestamptz not null default 'epoch',
    as_of_rank smallint not null default 0,
    as_of_tie  text collate "C" not null default ''
);
comment on table app.connected_accounts is 'Where an account''s clients pay: its own account at Stripe (Connect), never ours.';
comment on column app.connected_accounts.charges_enabled is 'As Stripe said at as_of; null before it said anything.';
alter table app.connected_accounts enable row level security;
alter table app.connected_accounts force row level security;
create policy connected_accounts_own on app.connected_accounts for select to authenticated
    using (account_id = (select auth.account_id()));
create policy connected_accounts_service on app.connected_accounts to service_role using (true) with check (true);
grant select on app.connected_accounts to authenticated;
grant select, insert, update, delete on app.connected_accounts to service_role;

-- ---- invoices -----------------------------------------------------------------------------------------------------
create table app.invoices (
    id              uuid primary key,
    account_id      uuid not null default auth.account_id() references app.accounts on delete cascade,
    quote_id        uuid not null,
    version_id      uuid not null,
    number          text not null check (length(number) between 1 and 60),
    status          text not null check (status in ('open', 'paid', 'void', 'uncollectible')),
    client_name     text not null check (length(client_name) <= 200),
    client_email    text check (length(client_email) <= 254),
    client_address  text check (length(client_address) <= 1000),
    currency        text not null check (currency ~ '^[A-Z]{3}$'),
    tax_inclusive   boolean not null,
    lines           jsonb not null check (jsonb_typeof(lines) = 'array'),
    tax_breakdown   jsonb not null check (jsonb_typeof(tax_breakdown) = 'array'),
    subtotal        numeric(24, 4) not null check (subtotal >= 0),
    discount_amount numeric(24, 4) not null check (discount_amount between 0 and subtotal),
    tax_amount      numeric(24, 4) not null check (tax_amount >= 0),
    total           numeric(24, 4) not null check (total >= 0),
    deposit_paid    numeric(24, 4) not null check (deposit_paid >= 0),
    amount_paid     numeric(24, 4) not null check (amount_paid >= deposit_paid),
    amount_due      numeric(24, 4) not null generated always as (greatest(total - amount_paid, 0)) stored,
    issued_on       date not null,
    due_date        date not null check (due_date >= issued_on),
    version         integer not null default 1 check (version >= 1),
    created_by      uuid not null default auth.uid(),
    created_at      timestamptz not null default now(),
    updated_at      timestamptz not null default now(),
    paid_at         timestamptz,
    voided_at       timestamptz,
    unique (account_id, id),
    unique (account_id, number),
    foreign key (account_id, quote_id) references app.quotes (account_id, id) on delete cascade,
    foreign key (account_id, version_id) references app.quote_versions (account_id, id) on delete cascade,
    constraint invoices_total_adds_up check (
        total = subtotal - discount_amount + case when tax_inclusive then 0 else tax_amount end),
    constraint invoices_paid_is_paid check (status <> 'paid' or amount_paid >= total),
    constraint invoices_paid_at check ((status = 'paid') = (paid_at is not null)),
    constraint invoices_voided_at check ((status = 'void') = (voided_at is not null))
);
comment on table app.invoices is 'What an accepted quote came to. Only status, payments and version ever change.';
comment on column app.invoices.status is 'overdue is no status: it is open after due_date has ended at the account''s place.';
comment on column app.invoices.deposit_paid is 'What was paid before there was an invoice; part of amount_paid.';
comment on column app.invoices.due_date is 'Kept as it was first said, never computed anew.';
create unique index invoices_one_for_a_quote on app.invoices (account_id, quote_id) where status <> 'void';
create index invoices_quote on app.invoices (account_id, quote_id);
create index invoices_version on app.invoices (account_id, version_id);
create index invoices_list on app.invoices (account_id, created_at desc, id desc);
alter table app.invoices enable row level security;
alter table app.invoices force row level security;
create policy invoices_own on app.invoices to authenticated
    using (account_id = (select auth.account_id())) with check (account_id = (select auth.account_id()));
create policy invoices_service on app.invoices to service_role using (true) with check (true);
grant select,
    insert (id, quote_id, version_id, client_name, client_email, client_address, currency, tax_inclusive, lines,
        tax_breakdown, subtotal, discount_amount, tax_amount, total, due_date),
    update (status, version, voided_at) on app.invoices to authenticated;
grant select, insert, update, delete on app.invoices to service_role;
create trigger invoices_touch before update on app.invoices
    for each row execute function app.touch_updated_at();

create table app.invoice_counters (
    account_id uuid not null references app.accounts on delete cascade,
    year       integer not null check (year between 2000 and 9999),
    last       integer not null check (last >= 1),
    primary key (account_id, year)
);
comment on table app.invoice_counters is 'The last number given out; its row lock makes numbers gapless.';
alter table app.invoice_counters enable row level security;
alter table app.invoice_counters force row level security;
create policy invoice_counters_read on app.invoice_counters for select to authenticated
    using (account_id = (select auth.account_id()));
create policy invoice_counters_service on app.invoice_counters to service_role using (true) with check (true);
grant select on app.invoice_counters to authenticated;
grant select, insert, update, delete on app.invoice_counters to service_role;

-- ---- payments -----------------------------------------------------------------------------------------------------
create table app.payments (
    id                uuid primary key,
    account_id        uuid not null default auth.account_id() references app.accounts on delete cascade,
    quote_id          uuid not null,
    invoice_id        uuid,
    kind              text not null default 'payment' check (kind in ('deposit', 'payment')),
    method            text not null check (method in ('cash', 'check', 'bank_transfer', 'card', 'other', 'stripe')),
    amount            numeric(24, 4) not null check (amount > 0),
    refunded          numeric(24, 4) not null default 0 check (refunded between 0 and amount),
    currency          text not null check (currency ~ '^[A-Z]{3}$'),
    received_on       date not null,
    note              text not null default '' check (length(note) <= 2000),
    stripe_account_id text check (length(stripe_account_id) <= 255),
    stripe_object_id  text check (length(stripe_object_id) <= 255),
    payment_intent    text check (length(payment_intent) <= 255),
    created_by        uuid default auth.uid(),
    created_at        timestamptz not null default now(),
    unique (stripe_account_id, stripe_object_id),
    foreign key (account_id, quote_id) references app.quotes (account_id, id) on delete cascade,
    foreign key (account_id, invoice_id) references app.invoices (account_id, id) on delete cascade,
    constraint payments_stripe_is_named check (
        (method = 'stripe') = (stripe_account_id is not null and stripe_object_id is not null))
);
comment on table app.payments is 'Money that came in for a quote: recorded by hand, or as Stripe''s events said.';
comment on column app.payments.invoice_id is 'Null for a deposit as long as the quote has no invoice.';
comment on column app.payments.stripe_object_id is 'The invoice or checkout it was paid by: told twice, it counts once.';
create index payments_quote on app.payments (account_id, quote_id);
create index payments_invoice on app.payments (account_id, invoice_id);
create index payments_intent on app.payments (stripe_account_id, payment_intent);
alter table app.payments enable row level security;
alter table app.payments force row level security;
create policy payments_read on app.payments for select to authenticated
    using (account_id = (select auth.account_id()));
create policy payments_by_hand on app.payments for insert to authenticated
    with check (account_id = (select auth.account_id()) and method <> 'stripe' and kind = 'payment');
create policy payments_service on app.payments to service_role using (true) with check (true);
grant select, insert (id, quote_id, invoice_id, method, amount, currency, received_on, note)
    on app.payments to authenticated;
grant select, insert, update, delete on app.payments to service_role;

-- The number, the deposit and the first status, in the transaction that makes the invoice. As in 0005_quotes.sql the
-- quote is locked first, then the invoice, then the counter: two at once wait for each other, and none deadlocks.
create function app.begin_invoice() returns trigger
language plpgsql security definer set search_path = ''
as $$
declare
    quote_status text;
    today        date;
    counter      integer;
begin
    select status into quote_status from app.quotes
    where account_id = new.account_id and id = new.quote_id for no key update;
    if quote_status is null or quote_status not in ('accepted', 'converted') then
        raise exception using errcode = 'QK409', message = 'only an accepted quote becomes an invoice';
    end if;
    if exists (select from app.invoices
               where account_id = new.account_id and quote_id = new.quote_id and status <> 'void') then
        raise exception using errcode = 'QK409', message = 'the quote has an invoice already';
    end if;
    select (now() at time zone coalesce(max(time_zone), 'UTC'))::date into today
    from app.company_settings where account_id = new.account_id;
    insert into app.invoice_counters as c (account_id, year, last)
    values (new.account_id, extract(year from today), 1)
    on conflict (account_id, year) do update set last = c.last + 1
    returning last into counter;
    new.number := app.format_quote_number('I-{year}-{0000}', extract(year from today)::integer, counter);
    new.issued_on := today;
    select coalesce(sum(amount - refunded), 0) into new.deposit_paid
    from app.payments where account_id = new.account_id and quote_id = new.quote_id and currency = new.currency;
    new.amount_paid := new.deposit_paid;
    new.status := case when new.amount_paid >= new.total then 'paid' else 'open' end;
    new.paid_at := case when new.status = 'paid' then now() end;
    return new;
end
$$;

create function app.carry_deposit() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
    update app.payments set invoice_id = new.id
    where account_id = new.account_id and quote_id = new.quote_id and currency = new.currency;
    return null;
end
$$;

-- What is paid counts for the quote's invoice, whoever says so; nobody writes amount_paid himself.
create function app.take_payment() returns trigger
language plpgsql security definer set search_path = ''
as $$
declare
    invoice app.invoices;
begin
    perform from app.quotes where account_id = new.account_id and id = new.quote_id for no key update;
    select * into invoice from app.invoices
    where account_id = new.account_id and quote_id = new.quote_id and status <> 'void' for update;
    if new.method <> 'stripe' then
        if invoice.id is null or invoice.id is distinct from new.invoice_id then
            raise exception using errcode = 'QK409', message = 'a void invoice takes no payment';
        end if;
        if new.amount > invoice.amount_due then
            raise exception using errcode = 'QK409',
                message = format('no more than %s %s is due', trim_scale(invoice.amount_due), invoice.currency);
        end if;
    end if;
    if invoice.id is not null and invoice.currency <> new.currency then
        raise exception using errcode = 'QK409', message = 'the invoice is in another currency';
    end if;
    new.invoice_id := invoice.id;
    update app.invoices
    set amount_paid = amount_paid + new.amount, version = version + 1,
        status = case when amount_paid + new.amount >= total then 'paid' else status end,
        paid_at = case when amount_paid + new.amount >= total then coalesce(paid_at, now()) end
    where id = invoice.id;
    return new;
end
$$;

create function app.guard_invoice() returns trigger
language plpgsql set search_path = ''
as $$
declare
    moving constant text[] := array['status', 'version', 'amount_paid', 'amount_due', 'paid_at', 'voided_at',
        'updated_at'];
begin
    if to_jsonb(new) - moving <> to_jsonb(old) - moving then
        raise exception using errcode = 'QK409', message = 'what an invoice says cannot be changed';
    end if;
    if new.status <> old.status and (old.status, new.status) not in (
        ('open', 'paid'), ('open', 'void'), ('open', 'uncollectible'), ('uncollectible', 'paid'),
        ('uncollectible', 'void'))
    then
        raise exception using errcode = 'QK409',
            message = format('an invoice that is %s cannot become %s', old.status, new.status);
    end if;
    if new.status = 'void' and new.amount_paid > new.deposit_paid then
        raise exception using errcode = 'QK409', message = 'an invoice with payments cannot be voided';
    end if;
    return new;
end
$$;

grant create on schema app to service_role; -- a new owner has to hold it
alter function app.begin_invoice() owner to service_role;
alter function app.carry_deposit() owner to service_role;
alter function app.take_payment() owner to service_role;
revoke create on schema app from service_role;
create trigger invoices_begin before insert on app.invoices
    for each row execute function app.begin_invoice();
create trigger invoices_carry_deposit after insert on app.invoices
    for each row execute function app.carry_deposit();
create trigger invoices_guard before update on app.invoices
    for each row execute function app.guard_invoice();
create trigger payments_take before insert on app.payments
    for each row execute function app.take_payment();

-- ---- Stripe's side ------------------------------------------------------------------------------------------------
create table app.stripe_invoices (
    invoice_id        uuid primary key,
    account_id        uuid not null default auth.account_id(),
    stripe_account_id text not null check (length(stripe_account_id) between 1 and 255),
    recipient         text not null check (length(recipient) between 3 and 254),
    id                text check (length(id) between 1 and 255),
    customer_id       text check (length(customer_id) between 1 and 255),
    status            text not null default 'pending' check (status in ('pending', 'draft', 'open', 'paid', 'void',
        'uncollectible', 'failed')),
    reason            text check (length(reason) <= 2000),
    url               text check (length(url) <= 2000),
    sent_at           timestamptz,
    payment_failed_at timestamptz,
    generation        integer not null default 0 check (generation >= 0),
    attempts          integer not null default 0 check (attempts >= 0),
    due_at            timestamptz default now(),
    created_at        timestamptz not null default now(),
    updated_at        timestamptz not null default now(),
    final      boolean not null default false,
    as_of      timestamptz not null default 'epoch',
    as_of_rank smallint not null default 0,
    as_of_tie  text collate "C" not null default '',
    unique (stripe_account_id, id),
    foreign key (account_id, invoice_id) references app.invoices (account_id, id) on delete cascade,
    constraint stripe_invoices_failed_has_reason check (status <> 'failed' or reason is not null),
    constraint stripe_invoices_known check (status in ('pending', 'failed', 'void') or id is not null)
);
comment on table app.stripe_invoices is 'The invoice as it stands in the account''s own account at Stripe.';
comment on column app.stripe_invoices.generation is 'Part of the Idempotency-Keys; a failure that Stripe keeps is asked again under another.';
comment on column app.stripe_invoices.due_at is 'When a worker looks at it next: whoever takes it puts this off. Null when nothing is to be done.';
create index stripe_invoices_invoice on app.stripe_invoices (account_id, invoice_id);
create index stripe_invoices_due on app.stripe_invoices (due_at) where due_at is not null;
create index stripe_invoices_recipient on app.stripe_invoices (stripe_account_id, lower(recipient)) where customer_id is not null;
alter table app.stripe_invoices enable row level security;
alter table app.stripe_invoices force row level security;
create policy stripe_invoices_read on app.stripe_invoices for select to authenticated
    using (account_id = (select auth.account_id()));
create policy stripe_invoices_ask on app.stripe_invoices for insert to authenticated
    with check (account_id = (select auth.account_id()) and stripe_account_id = (
        select id from app.connected_accounts where account_id = (select auth.account_id())));
create policy stripe_invoices_hurry on app.stripe_invoices for update to authenticated
    using (account_id = (select auth.account_id())) with check (account_id = (select auth.account_id()));
create policy stripe_invoices_service on app.stripe_invoices to service_role using (true) with check (true);
grant select, insert (invoice_id, stripe_account_id, recipient), update (due_at)
    on app.stripe_invoices to authenticated;
grant select, insert, update, delete on app.stripe_invoices to service_role;
create trigger stripe_invoices_touch before update on app.stripe_invoices
    for each row execute function app.touch_updated_at();

create table app.deposits (
    id                uuid primary key,
    account_id        uuid not null references app.accounts on delete cascade,
    quote_id          uuid not null,
    stripe_account_id text not null check (length(stripe_account_id) between 1 and 255),
    amount            numeric(24, 4) not null check (amount > 0),
    currency          text not null check (currency ~ '^[A-Z]{3}$'),
    return_url        text not null check (length(return_url) between 1 and 2000),
    status            text not null default 'asked' check (status in ('asked', 'open', 'processing', 'paid', 'expired',
        'failed')),
    session_id        text check (length(session_id) between 1 and 255),
    url               text check (length(url) <= 5000),
    expires_at        timestamptz,
    created_at        timestamptz not null default now(),
    updated_at        timestamptz not null default now(),
    unique (stripe_account_id, session_id),
    foreign key (account_id, quote_id) references app.quotes (account_id, id) on delete cascade
);
comment on table app.deposits is 'Checkouts for a quote''s deposit. What was paid, app.payments says.';
comment on column app.deposits.status is 'asked: Stripe may have a checkout for it already; processing: paid by a way that takes days.';
create index deposits_quote on app.deposits (account_id, quote_id);
create unique index deposits_one_at_a_time on app.deposits (account_id, quote_id)
    where status in ('asked', 'open', 'processing');
alter table app.deposits enable row level security;
alter table app.deposits force row level security;
create policy deposits_read on app.deposits for select to authenticated
    using (account_id = (select auth.account_id()));
create policy deposits_service on app.deposits to service_role using (true) with check (true);
grant select on app.deposits to authenticated;
grant select, insert, update, delete on app.deposits to service_role;
create trigger deposits_touch before update on app.deposits
    for each row execute function app.touch_updated_at();

-- migrate:down
drop table app.deposits;
drop table app.stripe_invoices;
drop table app.payments;
drop table app.invoice_counters;
drop table app.invoices;
drop table app.connected_accounts;
drop function app.guard_invoice();
drop function app.take_payment();
drop function app.carry_deposit();
drop function app.begin_invoice();
