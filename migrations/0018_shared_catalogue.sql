-- The shared catalogue that every account may look through and copy from; packages (good, better, best) of an account's
-- own items; and lines of a quote of which exactly one choice of a group counts. docs/decisions/0018-choices.md

-- migrate:up
set local lock_timeout = '5s';

-- ---- what a plan gives -------------------------------------------------------------------------------------------
set local role service_role;
update app.plan_defaults set flags = flags || '{"premium_catalogue": true}' where plan_key = 'premium';
update app.plans set flags = flags || '{"premium_catalogue": true}' where key = 'premium';
reset role;
comment on column app.plans.flags is
    'What a product''s metadata declares for the pages of the product. Enforced here: premium_catalogue.';

create function app.has_premium_catalogue(account uuid) returns boolean
language sql stable set search_path = ''
as $$
    select coalesce(
        (select (flags ->> 'premium_catalogue')::boolean from app.plans where key = app.plan_key(account)), false)
$$;
comment on function app.has_premium_catalogue is 'Whether the account''s plan may copy premium items.';
grant execute on function app.has_premium_catalogue(uuid) to authenticated, service_role, ops_admin;

-- ---- the shared catalogue ----------------------------------------------------------------------------------------
create table app.shared_categories (
    id          uuid primary key,
    name        text not null check (length(name) between 1 and 100),
    colour      text not null default '#3b82f6' check (colour ~ '^#[0-9a-f]{6}$'),
    description text check (length(description) <= 2000),
    tier        text not null default 'free' check (tier in ('free', 'premium')),
    sort_order  integer not null default 0,
    is_active   boolean not null default true,
    version     integer not null default 1,
    created_at  timestamptz not null default now(),
    updated_at  timestamptz not null default now()
);
comment on table app.shared_categories is 'Shelves of the shared catalogue; kept by admins, seen by everybody.';
comment on column app.shared_categories.tier is 'What its new items are unless told otherwise.';
create unique index shared_categories_name on app.shared_categories (lower(name));
alter table app.shared_categories enable row level security;
alter table app.shared_categories force row level security;
create policy shared_categories_read on app.shared_categories for select to authenticated using (is_active);
create policy shared_categories_service on app.shared_categories to service_role using (true) with check (true);
create policy shared_categories_operations on app.shared_categories for select to ops_admin using (true);
grant select on app.shared_categories to authenticated, ops_admin;
grant select, insert, update, delete on app.shared_categories to service_role;
create trigger shared_categories_touch before update on app.shared_categories
    for each row execute function app.touch_updated_at();

create table app.shared_items (
    id             uuid primary key,
    category_id    uuid not null references app.shared_categories,
    name           text not null check (length(name) between 1 and 200),
    description    text check (length(description) <= 5000),
    unit           text not null check (length(unit) between 1 and 30),
    suggested_cost numeric(16, 4) not null check (suggested_cost >= 0),
    currency       text not null default 'USD' check (currency ~ '^[A-Z]{3}$'),
    tier           text not null check (tier in ('free', 'premium')),
    tags           text[] not null default '{}' check (cardinality(tags) <= 50),
    sort_order     integer not null default 0,
    is_active      boolean not null default true,
    copied_by      integer not null default 0 check (copied_by >= 0),
    version        integer not null default 1,
    created_at     timestamptz not null default now(),
    updated_at     timestamptz not null default now(),
    search         tsvector not null generated always as (to_tsvector('simple', translate(
        name || ' ' || coalesce(description, ''), '@._-+/', '      '))) stored
);
comment on table app.shared_items is 'What others quote; an account copies it into its own items at its own price.';
comment on column app.shared_items.suggested_cost is 'A starting point for one unit, in currency, without markup; nobody''s measured price.';
comment on column app.shared_items.copied_by is 'How many accounts copied it; counted by shared_uses_counted.';
create unique index shared_items_name on app.shared_items (category_id, lower(name));
create index shared_items_popular on app.shared_items (copied_by desc, id desc);
alter table app.shared_items enable row level security;
alter table app.shared_items force row level security;
create policy shared_items_read on app.shared_items for select to authenticated using (is_active);
create policy shared_items_service on app.shared_items to service_role using (true) with check (true);
create policy shared_items_operations on app.shared_items for select to ops_admin using (true);
grant select on app.shared_items to authenticated, ops_admin;
grant select, insert, update, delete on app.shared_items to service_role;
create index shared_items_category on app.shared_items (category_id);
-- Being copied changes nothing of what it says.
create trigger shared_items_touch before update on app.shared_items
    for each row when (old.copied_by = new.copied_by) execute function app.touch_updated_at();

alter table app.items add column shared_item_id uuid references app.shared_items;
comment on column app.items.shared_item_id is 'The shared item it was copied from; it does not follow it.';
create index items_shared on app.items (shared_item_id);
grant insert (shared_item_id) on app.items to authenticated;

create table app.shared_uses (
    account_id     uuid not null default auth.account_id() references app.accounts on delete cascade,
    shared_item_id uuid not null references app.shared_items,
    is_favorite    boolean not null default false,
    copies         integer not null default 0 check (copies >= 0),
    item_id        uuid,
    last_copied_at timestamptz,
    primary key (account_id, shared_item_id),
    foreign key (account_id, item_id) references app.items (account_id, id) on delete set null (item_id),
    constraint shared_uses_copied_when check ((copies = 0) = (last_copied_at is null))
);
comment on table app.shared_uses is 'What an account made of a shared item: a favourite, copies.';
comment on column app.shared_uses.copies is 'Written by app.copy_shared_item alone.';
comment on column app.shared_uses.item_id is 'The newest copy; null when there is none any more.';
create index shared_uses_item on app.shared_uses (account_id, item_id);
create index shared_uses_shared on app.shared_uses (shared_item_id);
alter table app.shared_uses enable row level security;
alter table app.shared_uses force row level security;
create policy shared_uses_own on app.shared_uses to authenticated
    using (account_id = (select auth.account_id())) with check (account_id = (select auth.account_id()));
create policy shared_uses_service on app.shared_uses to service_role using (true) with check (true);
create policy shared_uses_operations on app.shared_uses for select to ops_admin using (true);
grant select, insert (shared_item_id, is_favorite), update (is_favorite) on app.shared_uses to authenticated;
grant select, insert, update, delete on app.shared_uses to service_role;
grant select on app.shared_uses to ops_admin;

-- A copy is refused and counted where it is made, so that neither can be left out.
create function app.copy_shared_item() returns trigger
language plpgsql security definer set search_path = ''
as $$
declare
    offered app.shared_items := (select i from app.shared_items i where i.id = new.shared_item_id);
begin
    if not offered.is_active then
        raise exception using errcode = 'QK409', message = 'the item is not offered any more';
    end if;
    if offered.tier = 'premium' and not app.has_premium_catalogue(new.account_id) then
        raise exception using errcode = 'QK402', message = 'the plan has no premium items', detail = 'free items';
    end if;
    insert into app.shared_uses as used (account_id, shared_item_id, copies, item_id, last_copied_at)
    values (new.account_id, new.shared_item_id, 1, new.id, now())
    on conflict (account_id, shared_item_id) do update
    set copies = used.copies + 1, item_id = excluded.item_id, last_copied_at = excluded.last_copied_at;
    return null;
end
$$;
create function app.count_copying_accounts() returns trigger
language plpgsql security definer set search_path = ''
as $$
declare
    before integer := case when tg_op = 'INSERT' then 0 else least(old.copies, 1) end;
    after  integer := case when tg_op = 'DELETE' then 0 else least(new.copies, 1) end;
begin
    if before <> after then
        update app.shared_items set copied_by = copied_by + after - before
        where id = case when tg_op = 'DELETE' then old.shared_item_id else new.shared_item_id end;
    end if;
    return null;
end
$$;
grant create on schema app to service_role; -- a new owner has to hold it
alter function app.copy_shared_item() owner to service_role;
alter function app.count_copying_accounts() owner to service_role;
revoke create on schema app from service_role;
create trigger items_copied after insert on app.items
    for each row when (new.shared_item_id is not null) execute function app.copy_shared_item();
create trigger shared_uses_counted after insert or update of copies or delete on app.shared_uses
    for each row execute function app.count_copying_accounts();

-- ---- packages ----------------------------------------------------------------------------------------------------
create table app.packages (
    id          uuid primary key,
    account_id  uuid not null default auth.account_id() references app.accounts on delete cascade,
    name        text not null check (length(name) between 1 and 200),
    description text check (length(description) <= 2000),
    preselected smallint not null default 1 check (preselected between 1 and 5),
    version     integer not null default 1,
    created_at  timestamptz not null default now(),
    updated_at  timestamptz not null default now(),
    unique (account_id, id)
);
comment on table app.packages is 'Two to five ways to do one job; on a quote they become a group of which one is chosen.';
comment on column app.packages.preselected is 'The tier a quote starts with.';
create unique index packages_name on app.packages (account_id, lower(name));
create index packages_list on app.packages (account_id, created_at desc, id desc);
alter table app.packages enable row level security;
alter table app.packages force row level security;
create policy packages_own on app.packages to authenticated
    using (account_id = (select auth.account_id())) with check (account_id = (select auth.account_id()));
create policy packages_service on app.packages to service_role using (true) with check (true);
grant select, delete, insert (id, name, description, preselected),
    update (name, description, preselected, version) on app.packages to authenticated;
grant select, insert, update, delete on app.packages to service_role;
create trigger packages_touch before update on app.packages
    for each row execute function app.touch_updated_at();

create table app.package_tiers (
    account_id  uuid not null default auth.account_id(),
    package_id  uuid not null,
    position    smallint not null check (position between 1 and 5),
    name        text not null check (length(name) between 1 and 100),
    description text check (length(description) <= 2000),
    primary key (package_id, position),
    unique (account_id, package_id, position),
    foreign key (account_id, package_id) references app.packages (account_id, id) on delete cascade
);
comment on table app.package_tiers is 'The ways of a package in their order, as good, better, best.';
create unique index package_tiers_name on app.package_tiers (package_id, lower(name));
create index package_tiers_package on app.package_tiers (account_id, package_id);
alter table app.package_tiers enable row level security;
alter table app.package_tiers force row level security;
create policy package_tiers_own on app.package_tiers to authenticated
    using (account_id = (select auth.account_id())) with check (account_id = (select auth.account_id()));
create policy package_tiers_service on app.package_tiers to service_role using (true) with check (true);
grant select, delete, insert (package_id, position, name, description) on app.package_tiers to authenticated;
grant select, insert, update, delete on app.package_tiers to service_role;

create table app.package_lines (
    account_id uuid not null default auth.account_id(),
    package_id uuid not null,
    tier       smallint not null,
    position   smallint not null check (position between 1 and 50),
    item_id    uuid not null,
    quantity   numeric(16, 4) not null check (quantity >= 0),
    primary key (package_id, tier, position),
    foreign key (account_id, package_id, tier)
        references app.package_tiers (account_id, package_id, position) on delete cascade,
    foreign key (account_id, item_id) references app.items (account_id, id)
);
comment on table app.package_lines is 'What a way consists of. An item in a package cannot be deleted.';
create index package_lines_tier on app.package_lines (account_id, package_id, tier);
create index package_lines_item on app.package_lines (account_id, item_id);
alter table app.package_lines enable row level security;
alter table app.package_lines force row level security;
create policy package_lines_own on app.package_lines to authenticated
    using (account_id = (select auth.account_id())) with check (account_id = (select auth.account_id()));
create policy package_lines_service on app.package_lines to service_role using (true) with check (true);
grant select, delete, insert (package_id, tier, position, item_id, quantity) on app.package_lines to authenticated;
grant select, insert, update, delete on app.package_lines to service_role;

-- ---- choices on a quote ------------------------------------------------------------------------------------------
alter table app.quote_lines
    add column group_name text check (length(group_name) between 1 and 200),
    add column choice text check (length(choice) between 1 and 200),
    add constraint quote_lines_choice_whole check ((group_name is null) = (choice is null)),
    add constraint quote_lines_choice_is_optional check (group_name is null or optional);
comment on column app.quote_lines.group_name is 'What is chosen about; exactly one choice of a group is selected.';
comment on column app.quote_lines.choice is 'The alternative the line belongs to; its lines are selected together.';
grant insert (group_name, choice) on app.quote_lines to authenticated;

-- At the end of the transaction, for lines may be laid one after the other.
create function app.check_one_choice() returns trigger
language plpgsql set search_path = ''
as $$
declare
    told record;
begin
    select count(*) as choices, count(*) filter (where whole) as chosen, count(*) filter (where part) as touched
    into told
    from (
        select bool_and(selected) as whole, bool_or(selected) as part from app.quote_lines
        where account_id = new.account_id and version_id = new.version_id and group_name = new.group_name
        group by choice) as alternative;
    if told.choices > 0 and (told.choices = 1 or told.chosen <> 1 or told.touched <> 1) then
        raise exception using errcode = '23514', constraint = 'quote_lines_one_choice',
            message = format('of the choices of %s exactly one is selected, whole', new.group_name);
    end if;
    return null;
end
$$;
create constraint trigger quote_lines_one_choice after insert on app.quote_lines
    deferrable initially deferred for each row when (new.group_name is not null)
    execute function app.check_one_choice();

-- ---- the catalogue's first items: what contractors of gardens and grounds quote -----------------------------------
set local role service_role;
insert into app.shared_categories (id, name, colour, tier, sort_order, description)
select md5('quotekit shared category ' || name)::uuid, name, colour, tier, sort_order, description
from (values
    ('Lawn Care', '#22c55e', 'free', 1, 'Mowing, edging and everything that keeps a lawn even and green.'),
    ('Landscaping', '#3b82f6', 'free', 2, 'Beds, hedges, plants and mulch: the green part of a garden.'),
    ('Tree Services', '#059669', 'premium', 3, 'Work on trees, from a light cut to the stump.'),
    ('Irrigation', '#0ea5e9', 'premium', 4, 'Sprinklers, drip lines, valves and the controllers that run them.'),
    ('Hardscaping', '#6366f1', 'premium', 5, 'Patios, walls, paths and the stone they are made from.'),
    ('Seasonal Services', '#f59e0b', 'free', 6, 'What a garden and a house need once or twice a year.'),
    ('Pest Control', '#ef4444', 'premium', 7, 'Treatments against insects, weeds and diseases of lawn and plants.'),
    ('Fertilization', '#84cc16', 'free', 8, 'Feeding the soil, and finding out what it lacks.'),
    ('Snow Services', '#64748b', 'premium', 9, 'Keeping drives and walks open and safe in winter.'),
    ('Specialty Services', '#8b5cf6', 'premium', 10, 'Lighting, water, shade and other work that is planned for one place.')
) as seed (name, colour, tier, sort_order, description)
on conflict (id) do nothing;

insert into app.shared_items (id, category_id, name, unit, suggested_cost, tags, tier, sort_order, description)
select md5('quotekit shared item ' || seed.name)::uuid, category.id, seed.name, seed.unit, seed.cost,
    string_to_array(seed.tags, ','), category.tier,
    row_number() over (partition by category.id order by seed.place), seed.description
from (values
    (1, 'Lawn Care', 'Lawn Mowing', 'visit', 45, 'mowing,maintenance,weekly',
        'One cut at the agreed height; clippings spread or collected.'),
    (2, 'Lawn Care', 'Edging', 'visit', 25, 'edging,maintenance',
        'A clean line where the lawn meets walks, drive and beds.'),
    (3, 'Lawn Care', 'String Trimming', 'visit', 20, 'trimming,maintenance',
        'Grass cut by hand tool where the mower does not reach.'),
    (4, 'Lawn Care', 'Leaf Blowing', 'visit', 30, 'cleanup,leaves',
        'Leaves and clippings blown off lawn, walks and drive.'),
    (5, 'Lawn Care', 'Basic Weeding', 'hour', 35, 'weeding,beds',
        'Weeds pulled by hand, roots included.'),
    (6, 'Lawn Care', 'Premium Topsoil', 'cubic yard', 45, 'soil,material',
        'Screened topsoil, delivered loose, for levelling and new lawns.'),
    (7, 'Lawn Care', 'Grass Seed - Cool Season', '50 lb bag', 180, 'seed,material',
        'A mix for regions with cold winters.'),
    (8, 'Lawn Care', 'Grass Seed - Warm Season', '50 lb bag', 220, 'seed,material',
        'A mix for regions with hot summers and mild winters.'),
    (9, 'Lawn Care', 'Lawn Repair Kit', 'kit', 25, 'repair,seed,material',
        'Seed, starter food and cover for one bare patch.'),
    (10, 'Lawn Care', 'Lawn Mower Rental', 'day', 45, 'rental,equipment',
        'A walk-behind or ride-on mower for the day.'),
    (11, 'Lawn Care', 'Aerator Rental', 'day', 55, 'rental,equipment',
        'A machine that takes cores out of packed soil.'),
    (12, 'Lawn Care', 'Overseeder Rental', 'day', 65, 'rental,equipment,seed',
        'A slit seeder for thin lawns.'),
    (13, 'Landscaping', 'Hedge Trimming', 'hour', 65, 'hedges,pruning',
        'Hedges cut to line and height; cuttings taken away.'),
    (14, 'Landscaping', 'Mulch Installation', 'cubic yard', 85, 'mulch,beds,installation',
        'Mulch delivered and spread three inches deep.'),
    (15, 'Landscaping', 'Flower Bed Maintenance', 'hour', 55, 'beds,flowers,maintenance',
        'Weeding, dead-heading and tidying of planted beds.'),
    (16, 'Landscaping', 'Shrub Pruning', 'shrub', 25, 'pruning,shrubs',
        'One shrub thinned and shaped by hand.'),
    (17, 'Landscaping', 'Basic Planting', 'plant', 15, 'planting,installation',
        'One small plant set, watered in and mulched; plant not included.'),
    (18, 'Landscaping', 'Organic Mulch', 'cubic yard', 65, 'mulch,material',
        'Shredded bark or wood, material only.'),
    (19, 'Landscaping', 'Decorative Rock Mulch', 'cubic yard', 85, 'mulch,rock,material',
        'Washed stone as a cover that lasts, material only.'),
    (20, 'Landscaping', 'Annual Flowers', 'flat of 18', 32, 'flowers,plants,material',
        'Flowers for one season, as the nursery has them.'),
    (21, 'Landscaping', 'Perennial Plants', 'plant', 18, 'flowers,plants,material',
        'A hardy plant that comes back each year.'),
    (22, 'Landscaping', 'Small Shrubs', 'plant', 35, 'shrubs,plants,material',
        'An ornamental shrub in a one to three gallon pot.'),
    (23, 'Landscaping', 'Landscape Fabric', 'sq ft', 0.75, 'fabric,material',
        'Woven cloth that keeps weeds down and lets water through.'),
    (24, 'Tree Services', 'Tree Pruning', 'hour', 85, 'pruning,trees',
        'Dead, crossing and low branches taken out by a climber or from a lift.'),
    (25, 'Tree Services', 'Tree Removal', 'tree', 500, 'removal,trees',
        'One tree taken down in sections and hauled off; the stump stays.'),
    (26, 'Tree Services', 'Stump Grinding', 'stump', 150, 'stump,removal',
        'One stump ground below the surface, the hole filled with chips.'),
    (27, 'Tree Services', 'Tree Health Assessment', 'assessment', 125, 'inspection,trees',
        'Inspection of one tree, with findings in writing.'),
    (28, 'Tree Services', 'Emergency Tree Service', 'hour', 150, 'emergency,storm',
        'A crew at short notice for fallen or hanging wood.'),
    (29, 'Tree Services', 'Tree Stakes & Ties', 'set', 15, 'support,material',
        'Two stakes with ties for a newly planted tree.'),
    (30, 'Tree Services', 'Tree Fertilizer Spikes', 'package', 22, 'fertilizer,material',
        'Slow feed that is driven in around the drip line.'),
    (31, 'Tree Services', 'Wound Dressing', 'container', 18, 'pruning,material',
        'Sealant for cuts where disease makes it advisable.'),
    (32, 'Tree Services', 'Chainsaw Rental', 'day', 65, 'rental,equipment',
        'A professional saw with chain and protective gear.'),
    (33, 'Tree Services', 'Stump Grinder Rental', 'day', 285, 'rental,equipment',
        'A self-driving grinder with a set of teeth.'),
    (34, 'Irrigation', 'Sprinkler Installation', 'zone', 150, 'sprinklers,installation',
        'One zone laid out, trenched, connected and adjusted.'),
    (35, 'Irrigation', 'Drip Irrigation Setup', 'linear ft', 8, 'drip,installation',
        'Drip line laid in a bed, with emitters and connection.'),
    (36, 'Irrigation', 'Irrigation Repair', 'hour', 75, 'repair,maintenance',
        'Leaks, broken heads and dead zones found and mended.'),
    (37, 'Irrigation', 'Sprinkler Winterization', 'system', 85, 'seasonal,maintenance',
        'Water shut off and the lines blown dry before frost.'),
    (38, 'Irrigation', 'Smart Controller Installation', 'controller', 200, 'controller,installation',
        'A controller mounted, wired, connected and set up.'),
    (39, 'Irrigation', 'Rotary Sprinkler Heads', 'each', 12, 'sprinklers,material',
        'Turning heads for wide areas.'),
    (40, 'Irrigation', 'Spray Sprinkler Heads', 'each', 8, 'sprinklers,material',
        'Fixed heads for small or narrow areas.'),
    (41, 'Irrigation', 'PVC Pipe (4 inch)', 'linear ft', 3.50, 'pipe,material',
        'Rigid pipe for main lines.'),
    (42, 'Irrigation', 'PVC Fittings', 'piece', 2.25, 'pipe,fittings,material',
        'Elbows, tees, couplings and reducers.'),
    (43, 'Irrigation', 'Irrigation Wire', 'linear ft', 0.35, 'wire,material',
        'Direct-burial cable from controller to valves.'),
    (44, 'Irrigation', 'Irrigation Valves', 'each', 45, 'valves,material',
        'An electric valve for one zone.'),
    (45, 'Irrigation', 'Drip Tubing', 'linear ft', 0.85, 'drip,material',
        'Half-inch tubing for beds.'),
    (46, 'Irrigation', 'Drip Emitters', 'pack of 25', 18, 'drip,material',
        'Adjustable drippers for single plants.'),
    (47, 'Hardscaping', 'Patio Installation', 'sq ft', 12, 'patio,installation',
        'Base, bedding, pavers and joints for a level patio; pavers not included.'),
    (48, 'Hardscaping', 'Retaining Wall', 'linear ft', 35, 'wall,installation',
        'A wall up to three feet with footing, drain and backfill.'),
    (49, 'Hardscaping', 'Walkway Installation', 'linear ft', 18, 'walkway,installation',
        'A path four feet wide with base and edge.'),
    (50, 'Hardscaping', 'Fire Pit Installation', 'installation', 800, 'fire pit,installation',
        'A round pit of stone with a steel ring and gravel floor.'),
    (51, 'Hardscaping', 'Outdoor Kitchen', 'sq ft', 45, 'kitchen,installation',
        'Cabinets, counter and connections, built in place.'),
    (52, 'Hardscaping', 'Concrete Pavers', 'sq ft', 2.50, 'pavers,material',
        'Moulded pavers in standard colours.'),
    (53, 'Hardscaping', 'Natural Stone Pavers', 'sq ft', 8.50, 'pavers,stone,material',
        'Cut stone of even thickness.'),
    (54, 'Hardscaping', 'Brick Pavers', 'sq ft', 6, 'pavers,brick,material',
        'Fired clay bricks made for paving.'),
    (55, 'Hardscaping', 'Paver Base Material', 'cubic yard', 28, 'base,material',
        'Crushed stone that compacts under paving.'),
    (56, 'Hardscaping', 'Paver Sand', 'cubic yard', 35, 'sand,material',
        'Washed sand for bedding and joints.'),
    (57, 'Hardscaping', 'Retaining Wall Blocks', 'sq ft', 8.50, 'wall,blocks,material',
        'Interlocking blocks, counted by the face of the wall.'),
    (58, 'Hardscaping', 'Flagstone', 'sq ft', 12, 'stone,material',
        'Irregular natural slabs.'),
    (59, 'Hardscaping', 'Decorative Gravel', 'cubic yard', 45, 'gravel,material',
        'Washed gravel for paths, borders and drains.'),
    (60, 'Hardscaping', 'Mini Excavator Rental', 'day', 320, 'rental,equipment',
        'A small excavator with one bucket.'),
    (61, 'Hardscaping', 'Plate Compactor Rental', 'day', 75, 'rental,equipment',
        'A vibrating plate for base and pavers.'),
    (62, 'Hardscaping', 'Wet Saw Rental', 'day', 95, 'rental,equipment',
        'A water-cooled saw for stone and pavers.'),
    (63, 'Seasonal Services', 'Spring Cleanup', 'visit', 120, 'spring,cleanup',
        'Winter''s debris cleared, beds raked, the first edges cut.'),
    (64, 'Seasonal Services', 'Fall Cleanup', 'visit', 150, 'fall,cleanup,leaves',
        'Leaves and spent plants cleared, the garden made ready for winter.'),
    (65, 'Seasonal Services', 'Leaf Removal', 'bag', 8, 'leaves,cleanup',
        'Leaves raked, bagged and taken away.'),
    (66, 'Seasonal Services', 'Gutter Cleaning', 'linear ft', 3.50, 'gutters,maintenance',
        'Gutters emptied by hand and downpipes rinsed.'),
    (67, 'Seasonal Services', 'Holiday Lighting', 'linear ft', 5, 'lighting,holiday',
        'Lights hung before the season and taken down after it.'),
    (68, 'Pest Control', 'Lawn Insect Control', 'application', 85, 'insects,treatment',
        'One treatment against insects that feed on grass.'),
    (69, 'Pest Control', 'Grub Control Treatment', 'application', 95, 'grubs,treatment',
        'One treatment timed to the larvae''s season.'),
    (70, 'Pest Control', 'Weed Control Application', 'application', 125, 'weeds,treatment',
        'One selective treatment against broadleaf weeds.'),
    (71, 'Pest Control', 'Disease Control Treatment', 'application', 110, 'disease,treatment',
        'One fungicide treatment after the disease was named.'),
    (72, 'Pest Control', 'Integrated Pest Management', 'consultation', 150, 'inspection,planning',
        'Inspection and a plan that treats only where it is needed.'),
    (73, 'Pest Control', 'Organic Pest Control', 'application', 135, 'organic,treatment',
        'One treatment with products allowed in organic growing.'),
    (74, 'Fertilization', 'Lawn Fertilization', 'application', 70, 'fertilizer,lawn',
        'One feeding of the lawn by season and soil.'),
    (75, 'Fertilization', 'Organic Fertilization', 'application', 75, 'organic,fertilizer',
        'One feeding with organic material only.'),
    (76, 'Fertilization', 'Soil Testing', 'test', 45, 'soil,testing',
        'Samples taken, sent to a laboratory and explained.'),
    (77, 'Fertilization', 'Lime Application', 'application', 65, 'lime,soil',
        'Lime spread at the rate the soil test asks for.'),
    (78, 'Fertilization', 'Compost Application', 'cubic yard', 45, 'compost,soil',
        'Compost spread thinly and raked in.'),
    (79, 'Fertilization', 'Premium Fertilizer', '50 lb bag', 52, 'fertilizer,material',
        'Slow-release lawn food.'),
    (80, 'Fertilization', 'Organic Fertilizer', '50 lb bag', 68, 'organic,fertilizer,material',
        'Food from plant and animal sources.'),
    (81, 'Fertilization', 'Lime', '50 lb bag', 12, 'lime,material',
        'Pelletized limestone.'),
    (82, 'Fertilization', 'Compost', 'cubic yard', 35, 'compost,material',
        'Screened compost, material only.'),
    (83, 'Fertilization', 'Soil Amendment', 'cubic yard', 42, 'soil,material',
        'A blend that loosens clay or holds water in sand.'),
    (84, 'Snow Services', 'Snow Plowing', 'visit', 75, 'plowing,drive',
        'One pass over drive and parking after snowfall.'),
    (85, 'Snow Services', 'Sidewalk Snow Removal', 'linear ft', 2.50, 'shovelling,walk',
        'Walks cleared by hand or blower to the edge.'),
    (86, 'Snow Services', 'Ice Management', 'application', 45, 'ice,treatment',
        'Salt or melt spread where it is slippery.'),
    (87, 'Snow Services', 'Snow Hauling', 'hour', 120, 'hauling,equipment',
        'Piles loaded and taken off the property.'),
    (88, 'Snow Services', 'Emergency Snow Service', 'hour', 150, 'emergency',
        'A crew outside the agreed times.'),
    (89, 'Snow Services', 'Seasonal Snow Contract', 'season', 1200, 'contract',
        'All clearing from first to last snow at one price.'),
    (90, 'Snow Services', 'Rock Salt', '50 lb bag', 8.50, 'salt,material',
        'Coarse salt for drives and walks.'),
    (91, 'Snow Services', 'Premium Ice Melt', '50 lb bag', 18, 'ice,material',
        'A melt that is gentler to plants and concrete.'),
    (92, 'Snow Services', 'Sand', 'cubic yard', 25, 'sand,material',
        'Grit for grip on ice.'),
    (93, 'Specialty Services', 'Outdoor Kitchen Design', 'consultation', 500, 'design,kitchen',
        'A visit, a plan to scale and a list of parts.'),
    (94, 'Specialty Services', 'Water Feature Installation', 'installation', 2500, 'water,installation',
        'A fountain or small pond with pump, liner and edge.'),
    (95, 'Specialty Services', 'Outdoor Lighting System', 'fixture', 125, 'lighting,installation',
        'One low-voltage light placed, wired and aimed.'),
    (96, 'Specialty Services', 'Pergola Installation', 'sq ft', 35, 'pergola,installation',
        'A timber frame on footings, measured by its plan.'),
    (97, 'Specialty Services', 'Garden Bed Design', 'design', 350, 'design,beds',
        'A planting plan for one bed through the year.'),
    (98, 'Specialty Services', 'Xeriscape Installation', 'sq ft', 8.50, 'dry garden,installation',
        'Planting that lives on little water, with gravel cover.'),
    (99, 'Specialty Services', 'Living Wall Installation', 'sq ft', 85, 'green wall,installation',
        'A planted wall with frame, liner and watering.'),
    (100, 'Specialty Services', 'Outdoor Audio System', 'zone', 650, 'audio,installation',
        'Weatherproof speakers for one area, wired and tuned.'),
    (101, 'Specialty Services', 'Outdoor Lighting Fixtures', 'each', 85, 'lighting,material',
        'A fixture of brass or aluminium, lamp included.'),
    (102, 'Specialty Services', 'Low-Voltage Wire', 'linear ft', 1.25, 'lighting,wire,material',
        'Cable for garden lights.'),
    (103, 'Specialty Services', 'Water Feature Pumps', 'each', 185, 'water,material',
        'A submersible pump for fountains and ponds.'),
    (104, 'Specialty Services', 'Drought-Tolerant Plants', 'plant', 22, 'plants,material',
        'A plant that gets by on little water.')
) as seed (place, category, name, unit, cost, tags, description)
join app.shared_categories as category on category.id = md5('quotekit shared category ' || seed.category)::uuid
on conflict (id) do nothing;
reset role;

-- migrate:down
drop trigger quote_lines_one_choice on app.quote_lines;
drop function app.check_one_choice();
alter table app.quote_lines drop column group_name, drop column choice;
drop table app.package_lines;
drop table app.package_tiers;
drop table app.packages;
drop trigger items_copied on app.items;
drop table app.shared_uses;
alter table app.items drop column shared_item_id;
drop table app.shared_items;
drop table app.shared_categories;
drop function app.count_copying_accounts();
drop function app.copy_shared_item();
drop function app.has_premium_catalogue(uuid);
set local role service_role;
update app.plan_defaults set flags = flags - 'premium_catalogue';
update app.plans set flags = flags - 'premium_catalogue';
reset role;
comment on column app.plans.flags is 'What a product''s metadata declares for the pages of the product; nothing here enforces it.';
