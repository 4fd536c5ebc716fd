-- What accounts' own servers are told of their batches, and what came of it.

-- migrate:up
set local lock_timeout = '5s';

create table app.batch_notices (
    id              uuid primary key,
    account_id      uuid not null,
    job_id          uuid not null,
    run             integer not null check (run >= 0),
    event           text not null check (event in ('started', 'progress', 'finished', 'failed')),
    data            jsonb not null check (jsonb_typeof(data) = 'object'),
    status          text not null default 'pending' check (status in ('pending', 'delivered', 'failed', 'dropped')),
    attempts        integer not null default 0 check (attempts >= 0),
    response_status smallint check (response_status between 100 and 999),
    reason          text check (length(reason) <= 2000),
    milliseconds    numeric(12, 3) check (milliseconds >= 0),
    created_at      timestamptz not null default now(),
    attempted_at    timestamptz,
    foreign key (account_id, job_id) references app.batch_jobs (account_id, id) on delete cascade,
    constraint batch_notices_failed_has_reason check (status not in ('failed', 'dropped') or reason is not null),
    constraint batch_notices_attempted_is_known check ((attempts = 0) = (attempted_at is null))
);
comment on table app.batch_notices is 'Notifications to notify_url. The id is their webhook-id, the same at every attempt.';
comment on column app.batch_notices.run is 'The job''s retries when it was promised: each run starts and ends once.';
comment on column app.batch_notices.status is 'dropped: progress that a newer one had overtaken.';
comment on column app.batch_notices.milliseconds is 'How long the last attempt took.';
create unique index batch_notices_once on app.batch_notices (job_id, run, event) where event <> 'progress';
create index batch_notices_job on app.batch_notices (account_id, job_id, created_at desc);
alter table app.batch_notices enable row level security;
alter table app.batch_notices force row level security;
create policy batch_notices_own on app.batch_notices for select to authenticated
    using (account_id = (select auth.account_id()));
create policy batch_notices_service on app.batch_notices to service_role using (true) with check (true);
create policy batch_notices_operations on app.batch_notices for select to ops_admin using (true);
grant select on app.batch_notices to authenticated, ops_admin;
grant select, insert, update, delete on app.batch_notices to service_role;

-- migrate:down
drop table app.batch_notices;
