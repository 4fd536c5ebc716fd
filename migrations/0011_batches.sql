-- Batches: jobs, their items in chunks with what became of each, and the leases by which workers share them.

-- migrate:up
set local lock_timeout = '5s';

alter table app.outbox drop constraint outbox_topic_check;
alter table app.outbox add constraint outbox_topic_check
    check (topic in ('pdf', 'mail', 'webhooks_critical', 'webhooks', 'webhooks_bulk',
        'batch_high', 'batch', 'batch_low', 'notifications'));
alter policy outbox_write on app.outbox
    with check (account_id = (select auth.account_id()) and topic in ('pdf', 'mail', 'batch_high', 'batch', 'batch_low'));

create table app.batch_uploads (
    id         uuid primary key,
    account_id uuid not null default auth.account_id() references app.accounts on delete cascade,
    created_by uuid not null default auth.uid(),
    format     text not null check (format in ('ndjson', 'csv')),
    bytes      bigint not null check (bytes > 0),
    key        text not null check (length(key) <= 500),
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    unique (account_id, id)
);
comment on table app.batch_uploads is 'Files announced by accounts; one is used by at most one job.';
comment on column app.batch_uploads.bytes is 'As declared; the presigned form accepts no more.';
create index batch_uploads_expiring on app.batch_uploads (expires_at);

create table app.batch_jobs (
    id                    uuid primary key,
    account_id            uuid not null default auth.account_id() references app.accounts on delete cascade,
    created_by            uuid not null default auth.uid(),
    operation             text not null check (operation ~ '^[a-z][a-z_]{0,49}$'),
    parameters            jsonb not null default '{}' check (jsonb_typeof(parameters) = 'object'),
    priority              text not null default 'normal' check (priority in ('high', 'normal', 'low')),
    dry_run               boolean not null default false,
    stop_on_error_percent numeric(7, 4) check (stop_on_error_percent between 0 and 100),
    rate_limit_per_second numeric(10, 3) check (rate_limit_per_second > 0),
    dedupe_key            text check (length(dedupe_key) between 1 and 255),
    request_digest        bytea check (octet_length(request_digest) = 32),
    notify_url            text check (length(notify_url) <= 2000),
    upload_id             uuid unique,
    upload_etag           text check (length(upload_etag) <= 200),
    status                text not null default 'pending' check (status in ('preparing', 'pending', 'running',
        'paused', 'cancelling', 'stopping', 'finishing', 'completed', 'completed_with_errors', 'failed', 'cancelled')),
    error                 text check (length(error) <= 2000),
    total                 integer check (total between 0 and 1000000),
    prepared_bytes        bigint not null default 0 check (prepared_bytes >= 0),
    prepared_lines        integer not null default 0 check (prepared_lines >= 0),
    lease                 bigint,
    leased_until          timestamptz,
    failures              integer not null default 0 check (failures >= 0),
    rate_allowance        numeric(14, 4) not null default 0 check (rate_allowance >= 0),
    rate_at               timestamptz,
    awaited_until         timestamptz,
    result_key            text check (length(result_key) <= 500),
    result_bytes          bigint check (result_bytes >= 0),
    result_type           text check (length(result_type) <= 100),
    retries               integer not null default 0 check (retries >= 0),
    created_at            timestamptz not null default now(),
    updated_at            timestamptz not null default now(),
    started_at            timestamptz,
    finished_at           timestamptz,
    announced_at          timestamptz,
    unique (account_id, id),
    unique (account_id, dedupe_key),
    foreign key (account_id, upload_id) references app.batch_uploads (account_id, id),
    constraint batch_jobs_finished check (
        (status in ('completed', 'completed_with_errors', 'failed', 'cancelled')) = (finished_at is not null)),
    constraint batch_jobs_total_known check (
        status in ('preparing', 'cancelling') or finished_at is not null or total is not null),
    constraint batch_jobs_result_whole check (
        (result_key is null) = (result_bytes is null) and (result_key is null) = (result_type is null)),
    constraint batch_jobs_failed_has_reason check (status not in ('failed', 'stopping') or error is not null),
    constraint batch_jobs_lease_whole check ((lease is null) = (leased_until is null)),
    constraint batch_jobs_upload_pinned check ((upload_id is null) = (upload_etag is null))
);
comment on table app.batch_jobs is 'What shall be done with many items. How far it is, its chunks say.';
comment on column app.batch_jobs.status is 'preparing: its upload is read; stopping: too many items failed; finishing: its result is put together.';
comment on column app.batch_jobs.total is 'Items; null until the upload is read.';
comment on column app.batch_jobs.request_digest is 'Tells whether a dedupe_key comes with the same request again.';
comment on column app.batch_jobs.upload_etag is 'Of the object as it was when the job was made; no other content is read.';
comment on column app.batch_jobs.lease is 'Who prepares or finishes it. A higher lease refuses what a lower one still wants to commit.';
comment on column app.batch_jobs.retries is 'How often its failed items were given another try.';
comment on column app.batch_jobs.awaited_until is 'Until then a delayed ticket is on its way: its chunks rest, or its rate limit is used up.';
comment on column app.batch_jobs.announced_at is 'When progress was last promised to notify_url.';
create index batch_jobs_list on app.batch_jobs (account_id, created_at desc, id desc);
create index batch_jobs_runnable on app.batch_jobs (priority, created_at) where status in ('pending', 'running');
create index batch_jobs_unfinished on app.batch_jobs (created_at)
    where finished_at is null;
create index batch_jobs_finished on app.batch_jobs (finished_at) where finished_at is not null;
create index batch_jobs_upload on app.batch_jobs (account_id, upload_id);
create trigger batch_jobs_touch before update on app.batch_jobs
    for each row execute function app.touch_updated_at();

create table app.batch_chunks (
    job_id         uuid not null,
    number         integer not null check (number >= 0),
    account_id     uuid not null default auth.account_id(),
    state          text not null default 'pending' check (state in ('pending', 'running', 'done')),
    first_position integer not null check (first_position >= 1),
    size           smallint not null check (size between 1 and 1000),
    items          jsonb not null check (jsonb_typeof(items) = 'array' and jsonb_array_length(items) = size),
    lines          integer[] check (cardinality(lines) = size),
    results        jsonb not null default '[]' check (jsonb_typeof(results) = 'array'),
    succeeded      smallint not null default 0 check (succeeded >= 0),
    failed         smallint not null default 0 check (failed >= 0),
    skipped        smallint not null default 0 check (skipped >= 0),
    tallies        jsonb not null default '{}' check (jsonb_typeof(tallies) = 'object'),
    parts          text[] not null default '{}',
    lease          bigint,
    leased_until   timestamptz,
    leases         integer not null default 0 check (leases >= 0),
    failures       integer not null default 0 check (failures >= 0),
    error          text check (length(error) <= 2000),
    due_at         timestamptz not null default now(),
    started_at     timestamptz,
    finished_at    timestamptz,
    milliseconds   numeric(14, 3) not null default 0 check (milliseconds >= 0),
    primary key (job_id, number),
    foreign key (account_id, job_id) references app.batch_jobs (account_id, id) on delete cascade,
    constraint batch_chunks_results_fit check (jsonb_array_length(results) in (0, size)),
    constraint batch_chunks_counts_fit check (succeeded + failed + skipped <= size),
    constraint batch_chunks_done_is_whole check ((state = 'done') = (succeeded + failed + skipped = size)),
    constraint batch_chunks_running_is_leased check ((state = 'running') = (lease is not null and leased_until is not null))
);
comment on table app.batch_chunks is 'Up to 1,000 neighbouring items and, in the transaction of their effect, what became of each.';
comment on column app.batch_chunks.items is 'Objects that fit the operation; a text is a line of an upload that was refused, and never tried.';
comment on column app.batch_chunks.lines is 'Where in the upload each item begins; null when they came with the request.';
comment on column app.batch_chunks.results is 'Empty, or as long as items: null for what is pending, else {"code", "message"?, "data"?}.';
comment on column app.batch_chunks.tallies is 'How many items came to each code.';
comment on column app.batch_chunks.parts is 'Objects in S3 of which the job''s result is put together, in order.';
comment on column app.batch_chunks.lease is 'The worker that has it; taken over, it gets a higher one, and the old worker''s commit is refused.';
comment on column app.batch_chunks.milliseconds is 'Work that was committed.';
create index batch_chunks_job on app.batch_chunks (account_id, job_id);
create index batch_chunks_open on app.batch_chunks (job_id, number) where state <> 'done';
create index batch_chunks_busy on app.batch_chunks (account_id) where state = 'running';
create sequence app.batch_leases;
grant usage on sequence app.batch_leases to service_role;

-- By what an import knows a client: a column, as only a plain comparison uses an index under row level security.
create function app.client_import_key(name text, email text, phone text, address text, notes text) returns text
language sql immutable parallel safe set search_path = ''
as $$
    select coalesce(lower(email), md5(name || E'\x1f' || coalesce(phone, '') || E'\x1f' || coalesce(address, '')
        || E'\x1f' || coalesce(notes, '')))
$$;
comment on function app.client_import_key is 'The e-mail address, or without one everything that is known of him.';
grant execute on function app.client_import_key(text, text, text, text, text) to authenticated, service_role;
alter table app.clients add column import_key text not null
    generated always as (app.client_import_key(name, email, phone, address, notes)) stored;
create index clients_import on app.clients (account_id, import_key);

-- A client may pause, resume and cancel; everything else is the workers'.
create function app.guard_batch_status() returns trigger
language plpgsql set search_path = ''
as $$
begin
    if old.finished_at is not null and not (new.status = 'running' and new.retries > old.retries) then
        raise exception using errcode = 'QK409', message = format('a batch that is %s stays so', old.status);
    end if;
    if auth.role() = 'authenticated' and (old.status, new.status) not in (
        ('preparing', 'cancelling'), ('pending', 'cancelling'), ('running', 'cancelling'), ('paused', 'cancelling'),
        ('finishing', 'cancelling'), ('pending', 'paused'), ('running', 'paused'), ('paused', 'running'),
        ('paused', 'pending'))
    then
        raise exception using errcode = 'QK409',
            message = format('a batch that is %s cannot become %s', old.status, new.status);
    end if;
    return new;
end
$$;
create trigger batch_jobs_guard_status before update of status on app.batch_jobs
    for each row when (old.status is distinct from new.status) execute function app.guard_batch_status();

create function app.batch_allowance_v1(job app.batch_jobs) returns numeric
language sql volatile set search_path = ''
as $$
    select case
        when job.rate_limit_per_second is null then 1
        when job.rate_at is null then 1
        else least(greatest(job.rate_limit_per_second, 1), job.rate_allowance
            + job.rate_limit_per_second * greatest(extract(epoch from clock_timestamp() - job.rate_at), 0))
    end
$$;
comment on function app.batch_allowance_v1 is 'Items a job may do now; a second''s worth at most is saved up.';

-- What a worker of a priority does next: the lease of a chunk, or of a job to prepare or to finish. Whose account
-- has the fewest leases comes first, by lot where they are equal; of an account, the oldest job.
create function app.claim_batch_v1(wanted text, seconds numeric, finishing_seconds numeric)
returns table (kind text, id uuid, account_id uuid, created_by uuid, operation text, parameters jsonb, priority text,
    status text, dry_run boolean, is_limited boolean, stops boolean, notifies boolean, lease bigint, took_over boolean,
    failures integer, number integer, items jsonb, results jsonb)
language plpgsql set search_path = ''
as $$
#variable_conflict use_column
declare
    job app.batch_jobs;
    chunk app.batch_chunks;
    new_lease bigint := nextval('app.batch_leases');
begin
    for job in
        with due as (
            select candidate from app.batch_jobs as candidate
            where candidate.priority = wanted
              and candidate.status in ('preparing', 'pending', 'running', 'finishing')
              and (candidate.leased_until is null or candidate.leased_until < clock_timestamp())
              and app.batch_allowance_v1(candidate) >= 1
        ), accounts as (
            select distinct (candidate).account_id from due
        ), turns as (
            select accounts.account_id, random() as lot,
                (select count(*) from app.batch_chunks as busy
                 where busy.account_id = accounts.account_id and busy.state = 'running'
                   and busy.leased_until > clock_timestamp())
                + (select count(*) from app.batch_jobs as busy
                   where busy.account_id = accounts.account_id and busy.finished_at is null
                     and busy.leased_until > clock_timestamp()) as leases
            from accounts
        )
        select (candidate).* from due join turns on turns.account_id = (candidate).account_id
        order by turns.leases, turns.lot, (candidate).created_at, (candidate).id
    loop
        if job.status in ('preparing', 'finishing') then
            return query
            update app.batch_jobs as mine
            set lease = new_lease, failures = mine.failures + (mine.lease is not null)::integer,
                leased_until = clock_timestamp() + make_interval(secs =>
                    (case when mine.status = 'finishing' then finishing_seconds else seconds end)::float8)
            where mine.id in (
                select free.id from app.batch_jobs as free
                where free.id = job.id and free.status = job.status
                  and (free.leased_until is null or free.leased_until < clock_timestamp())
                for no key update skip locked)
            returning case mine.status when 'finishing' then 'finish' else 'prepare' end, mine.id, mine.account_id,
                mine.created_by, mine.operation, mine.parameters, mine.priority, mine.status, mine.dry_run,
                mine.rate_limit_per_second is not null, mine.stop_on_error_percent is not null,
                mine.notify_url is not null, mine.lease, job.lease is not null, mine.failures, 0,
                '[]'::jsonb, '[]'::jsonb;
            exit when found;
        else
            select free.* into chunk from app.batch_chunks as free
            where free.job_id = job.id and free.state <> 'done' and free.due_at <= clock_timestamp()
              and (free.lease is null or free.leased_until < clock_timestamp())
            order by free.number limit 1 for no key update skip locked;
            continue when not found;
            return query
            update app.batch_chunks as mine
            set state = 'running', lease = new_lease, leases = mine.leases + 1,
                leased_until = clock_timestamp() + make_interval(secs => seconds::float8),
                failures = mine.failures + (mine.lease is not null)::integer,
                started_at = coalesce(mine.started_at, clock_timestamp())
            where mine.job_id = chunk.job_id and mine.number = chunk.number
            returning 'chunk', job.id, job.account_id, job.created_by, job.operation, job.parameters, job.priority,
                job.status, job.dry_run, job.rate_limit_per_second is not null, job.stop_on_error_percent is not null,
                job.notify_url is not null, mine.lease, chunk.lease is not null, mine.failures, mine.number,
                mine.items, mine.results;
            exit;
        end if;
    end loop;
end
$$;
comment on function app.claim_batch_v1 is 'Takes no lock on a job that is run, so that no settling waits for a claim, nor the other way round.';

-- What is still to do in a job that shall end is skipped, so many chunks at a time.
create function app.skip_batch_v1(job uuid, most integer) returns bigint
language sql volatile set search_path = ''
as $$
    with free as (
        select number from app.batch_chunks
        where job_id = job and state <> 'done' and (lease is null or leased_until < clock_timestamp())
          and exists (select from app.batch_jobs where id = job and status in ('cancelling', 'stopping'))
        order by number limit most for no key update skip locked
    ), skipped as (
        update app.batch_chunks as chunk
        set results = (
                select jsonb_agg(coalesce(nullif(chunk.results -> (place - 1), 'null'), '{"code": "skipped"}')
                    order by place)
                from generate_series(1, chunk.size) as place),
            tallies = chunk.tallies || jsonb_build_object('skipped', chunk.size - chunk.succeeded - chunk.failed),
            skipped = chunk.size - chunk.succeeded - chunk.failed, state = 'done', lease = null, leased_until = null,
            finished_at = clock_timestamp()
        from free
        where chunk.job_id = job and chunk.number = free.number
        returning chunk.number
    )
    select count(*) from skipped
$$;

-- How many items failed, judged by what the job allows. At the start, when few are done, by a hundred.
create function app.batch_fails_v1(job app.batch_jobs) returns boolean
language sql volatile set search_path = ''
as $$
    select coalesce(sum(failed) > job.stop_on_error_percent / 100.0
        * greatest(sum(succeeded + failed + skipped), least(job.total, 100)), false)
    from app.batch_chunks where job_id = job.id
$$;
grant execute on function app.batch_allowance_v1(app.batch_jobs), app.claim_batch_v1(text, numeric, numeric),
    app.skip_batch_v1(uuid, integer), app.batch_fails_v1(app.batch_jobs) to service_role;

do $$
declare
    name text;
begin
    foreach name in array array['batch_uploads', 'batch_jobs', 'batch_chunks'] loop
        execute format('alter table app.%I enable row level security', name);
        execute format('alter table app.%I force row level security', name);
        execute format('create policy %I on app.%I to authenticated using (account_id = (select auth.account_id())) '
            'with check (account_id = (select auth.account_id()))', name || '_own', name);
        execute format('create policy %I on app.%I to service_role using (true) with check (true)',
            name || '_service', name);
        execute format('create policy %I on app.%I for select to ops_admin using (true)', name || '_operations', name);
        execute format('grant select, insert, update, delete on app.%I to service_role', name);
    end loop;
end
$$;
grant select, insert (id, format, bytes, key, expires_at) on app.batch_uploads to authenticated;
grant select, insert (id, operation, parameters, priority, dry_run, stop_on_error_percent, rate_limit_per_second,
    dedupe_key, request_digest, notify_url, upload_id, upload_etag, status, total), update (status) on app.batch_jobs to authenticated;
grant select, insert (job_id, number, first_position, size, items) on app.batch_chunks to authenticated;
grant select on app.batch_uploads, app.batch_jobs to ops_admin;
-- Items hold what a tenant sent: operators see how far a chunk is, not what is in it.
grant select (job_id, number, account_id, state, first_position, size, succeeded, failed, skipped, tallies, lease,
    leased_until, leases, failures, error, due_at, started_at, finished_at, milliseconds) on app.batch_chunks to ops_admin;

-- migrate:down
alter table app.clients drop column import_key;
drop function app.client_import_key(text, text, text, text, text);
drop function app.batch_fails_v1(app.batch_jobs);
drop function app.skip_batch_v1(uuid, integer);
drop function app.claim_batch_v1(text, numeric, numeric);
drop function app.batch_allowance_v1(app.batch_jobs);
drop table app.batch_chunks;
drop table app.batch_jobs;
drop table app.batch_uploads;
drop function app.guard_batch_status();
drop sequence app.batch_leases;
alter policy outbox_write on app.outbox
    with check (account_id = (select auth.account_id()) and topic in ('pdf', 'mail'));
delete from app.outbox where topic in ('batch_high', 'batch', 'batch_low', 'notifications');
alter table app.outbox drop constraint outbox_topic_check;
alter table app.outbox add constraint outbox_topic_check
    check (topic in ('pdf', 'mail', 'webhooks_critical', 'webhooks', 'webhooks_bulk'));
