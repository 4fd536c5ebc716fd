-- The deposit on the client's page: what its role reads of it, and where a payer comes back to who did not pay.
-- docs/decisions/0026-deposit-on-the-page.md

-- migrate:up
set local lock_timeout = '5s';

alter table app.deposits add column cancel_url text check (length(cancel_url) between 1 and 2000);
comment on column app.deposits.cancel_url is 'Where whoever did not pay comes back to; null is return_url.';

-- Just what the page says: is it paid, is it on its way, can it be paid. No names, addresses or ids of Stripe's.
create policy payments_client on app.payments for select to quote_client
    using (account_id = (select auth.account_id()) and quote_id = (select auth.quote_id()));
grant select (account_id, quote_id, kind, amount, refunded, received_on) on app.payments to quote_client;
create policy deposits_client on app.deposits for select to quote_client
    using (account_id = (select auth.account_id()) and quote_id = (select auth.quote_id()));
grant select (account_id, quote_id, status) on app.deposits to quote_client;
create policy connected_accounts_client on app.connected_accounts for select to quote_client
    using (account_id = (select auth.account_id()));
grant select (account_id, charges_enabled, disconnected_at) on app.connected_accounts to quote_client;

-- migrate:down
revoke select (account_id, charges_enabled, disconnected_at) on app.connected_accounts from quote_client;
drop policy connected_accounts_client on app.connected_accounts;
revoke select (account_id, quote_id, status) on app.deposits from quote_client;
drop policy deposits_client on app.deposits;
revoke select (account_id, quote_id, kind, amount, refunded, received_on) on app.payments from quote_client;
drop policy payments_client on app.payments;
alter table app.deposits drop column cancel_url;
