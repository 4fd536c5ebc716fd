-- What operators see of all accounts' batches, in time: a batch that is over knows its sums.

-- migrate:up
set local lock_timeout = '5s';

alter table app.batch_jobs
    add column items_succeeded integer check (items_succeeded >= 0),
    add column items_failed integer check (items_failed >= 0),
    add column items_skipped integer check (items_skipped >= 0);
comment on column app.batch_jobs.items_succeeded is 'Its chunks'' sum when it ended; null as long as the chunks may change.';
create index batch_jobs_recent on app.batch_jobs (created_at desc, id desc)
    include (operation, status, started_at, finished_at, items_succeeded, items_failed, items_skipped);

create function app.sum_batch() returns trigger
language plpgsql set search_path = ''
as $$
begin
    if new.finished_at is null then
        new.items_succeeded := null;
        new.items_failed := null;
        new.items_skipped := null;
    else
        select coalesce(sum(succeeded), 0), coalesce(sum(failed), 0), coalesce(sum(skipped), 0)
        into new.items_succeeded, new.items_failed, new.items_skipped
        from app.batch_chunks where account_id = new.account_id and job_id = new.id;
    end if;
    return new;
end
$$;
create trigger batch_jobs_sum before update on app.batch_jobs
    for each row when ((old.finished_at is null) <> (new.finished_at is null))
    execute function app.sum_batch();

set local role service_role;
insert into ops.webhook_thresholds (kind, warning, critical, unit, note) values
    ('batch_failures', 20, 50, 'percent', 'failed items of an operation''s, above'),
    ('batch_wait', 120, 600, 'seconds', 'since a batch that could go on was worked on, above');
reset role;

-- migrate:down
delete from ops.webhook_thresholds where kind in ('batch_failures', 'batch_wait');
drop trigger batch_jobs_sum on app.batch_jobs;
drop function app.sum_batch();
drop index app.batch_jobs_recent;
alter table app.batch_jobs drop column items_succeeded, drop column items_failed, drop column items_skipped;
