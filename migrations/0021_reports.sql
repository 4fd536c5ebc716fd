-- What reports read: an account's quotes by the moment they count at, and what it accepted by the moment of that.
-- Measured over 100,000 quotes (bench/reports.py): these make narrow ranges quick. Covering indexes over amounts and lines
-- did not make wide ranges quicker, and cost every quote that is stored, so there are none.

-- migrate:up
set local lock_timeout = '5s';

create index quotes_reported on app.quotes (account_id, (coalesce(sent_at, created_at))) where not is_template;
create index quotes_accepted on app.quotes (account_id, decided_at) where status in ('accepted', 'converted');

-- migrate:down
drop index app.quotes_accepted;
drop index app.quotes_reported;
