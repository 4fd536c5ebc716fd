-- What is kept for how long needs a way to be found; and tenants' endpoints can be removed.

-- migrate:up
set local lock_timeout = '5s';

create index outbox_sent on app.outbox (sent_at) where sent_at is not null;
create index webhook_dead_letters_resolved on ops.webhook_dead_letters (resolved_at) where resolved_at is not null;

-- A tenant reads one endpoint's events; what is old is found by the primary key.
create index webhook_inbox_endpoint on app.webhook_inbox (account_id, endpoint_id, id);
drop index app.webhook_inbox_time;
grant delete on app.webhook_endpoints to authenticated;

-- migrate:down
revoke delete on app.webhook_endpoints from authenticated;
create index webhook_inbox_time on app.webhook_inbox (account_id, id);
drop index app.webhook_inbox_endpoint;
drop index ops.webhook_dead_letters_resolved;
drop index app.outbox_sent;
