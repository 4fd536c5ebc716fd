-- Quantities that a client may choose on his page, where the owner of the quote allows it.

-- migrate:up
set local lock_timeout = '5s';

alter table app.quote_lines
    add column quantity_min numeric(16, 4),
    add column quantity_max numeric(16, 4),
    add constraint quote_lines_quantity_range check (
        (quantity_min is null and quantity_max is null)
        or (quantity_min is not null and quantity_max is not null and quantity_min > 0
            and quantity_min < quantity_max and quantity between quantity_min and quantity_max));
comment on column app.quote_lines.quantity_min is 'The least the client may take on his page; null where the quantity is as it stands.';
comment on column app.quote_lines.quantity_max is 'The most the client may take on his page; null together with quantity_min.';
grant insert (quantity_min, quantity_max) on app.quote_lines to authenticated;

alter table app.quote_acceptances
    add column quantities jsonb not null default '[]'
        check (jsonb_typeof(quantities) = 'array' and jsonb_array_length(quantities) <= 500);
comment on column app.quote_acceptances.quantities is 'Position and quantity of each line that was taken and let the client choose one.';
grant insert (quantities) on app.quote_acceptances to quote_client;

-- migrate:down
alter table app.quote_acceptances drop column quantities;
alter table app.quote_lines drop column quantity_min, drop column quantity_max;
