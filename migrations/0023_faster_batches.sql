-- What a thousand rows at once pay a thousand times: the look at the step in a function of its own.

-- migrate:up
set local lock_timeout = '5s';

-- The steps stand in the trigger's condition, which costs a comparison; they come from the one function that says
-- them, so whoever changes app.quote_may_become makes this trigger anew, as here. A test compares the two.
create or replace function app.guard_quote_status() returns trigger
language plpgsql set search_path = ''
as $$
begin
    raise exception using errcode = 'QK409',
        message = format('a quote that is %s cannot become %s', old.status, new.status);
end
$$;
drop trigger quotes_guard_status on app.quotes;
do $$
declare
    statuses constant text[] := array['draft', 'sent', 'viewed', 'accepted', 'declined', 'expired', 'converted',
        'superseded'];
    steps text[] := array(
        select earlier || '>' || later from unnest(statuses) as earlier, unnest(statuses) as later
        where app.quote_may_become(earlier, later));
begin
    execute format('create trigger quotes_guard_status before update of status on app.quotes for each row '
        'when (old.status <> new.status and (old.status || ''>'' || new.status) <> all (%L::text[])) '
        'execute function app.guard_quote_status()', steps);
end
$$;

-- Defaults are worked out for each row; a statement for many says once whose they are. The policy holds it to the truth.
grant insert (account_id, actor_id) on app.audit_events to authenticated;

-- migrate:down
revoke insert (account_id, actor_id) on app.audit_events from authenticated;
drop trigger quotes_guard_status on app.quotes;
create or replace function app.guard_quote_status() returns trigger
language plpgsql set search_path = ''
as $$
begin
    if not app.quote_may_become(old.status, new.status) then
        raise exception using errcode = 'QK409',
            message = format('a quote that is %s cannot become %s', old.status, new.status);
    end if;
    return new;
end
$$;
create trigger quotes_guard_status before update of status on app.quotes
    for each row when (old.status is distinct from new.status) execute function app.guard_quote_status();
