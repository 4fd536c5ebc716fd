"""What an account has done, by its own rows; nobody is asked."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from quotekit.database import Connection
from quotekit.onboarding.model import Checklist, ChecklistStep

STEPS: Final[Mapping[str, str]] = {
    "company_named": "Say who you are",
    "logo_added": "Add your logo",
    "first_client": "Add a client",
    "first_item": "Have an item of your own",
    "first_quote": "Write a quote",
    "first_quote_sent": "Send a quote",
    "first_quote_accepted": "Have a quote accepted",
}
# Not on the checklist, but steps of tours wait for them.
OTHERS: Final = ("first_copy",)
# What was reached before is not looked for again, and stays when the rows are deleted.
FIND: Final = """
with known as (
    select fact, reached_at from app.onboarding_facts where account_id = (select auth.account_id())
), open as (
    select fact from unnest(%(facts)s::text[]) as fact where fact not in (select fact from known)
), found as (
    select fact, case fact
        when 'company_named' then (select updated_at from app.company_settings
            where account_id = (select auth.account_id()) and company_name <> '')
        when 'logo_added' then (select updated_at from app.company_settings
            where account_id = (select auth.account_id()) and logo_key is not null)
        when 'first_client' then (select min(created_at) from app.clients
            where account_id = (select auth.account_id()))
        when 'first_item' then (select min(created_at) from app.items
            where account_id = (select auth.account_id()))
        when 'first_copy' then (select min(created_at) from app.items
            where account_id = (select auth.account_id()) and shared_item_id is not null)
        when 'first_quote' then (select min(created_at) from app.quotes
            where account_id = (select auth.account_id()) and not is_template)
        when 'first_quote_sent' then (select min(sent_at) from app.quotes
            where account_id = (select auth.account_id()) and status <> 'draft')
        when 'first_quote_accepted' then (select min(decided_at) from app.quotes
            where account_id = (select auth.account_id()) and status in ('accepted', 'converted'))
        end as reached_at
    from open
)
select fact, reached_at, false as is_new from known
union all select fact, reached_at, true from found where reached_at is not null
"""


# A viewer's transaction writes nothing; whoever looks next notes it.
NOTE: Final = """
insert into app.onboarding_facts (fact, reached_at)
select * from unnest(%(facts)s::text[], %(times)s::timestamptz[])
on conflict (account_id, fact) do nothing
"""
WRITABLE: Final = "select current_setting('transaction_read_only') = 'off'"


def facts(connection: Connection) -> dict[str, datetime]:
    """What the account has reached, and when first; noted in the caller's transaction."""
    found = connection.execute(FIND, {"facts": [*STEPS, *OTHERS]}).fetchall()
    new = {fact: reached_at for fact, reached_at, is_new in found if is_new}
    if new and connection.execute(WRITABLE).fetchone() == (True,):
        connection.execute(NOTE, {"facts": list(new), "times": list(new.values())})
    return {fact: reached_at for fact, reached_at, _ in found}


def checklist(connection: Connection) -> Checklist:
    reached = facts(connection)
    steps = [
        ChecklistStep(key, title, key in reached, reached.get(key)) for key, title in STEPS.items()
    ]
    times = [step.reached_at for step in steps if step.reached_at is not None]
    return Checklist(
        steps=steps,
        done=len(times),
        total=len(steps),
        percent=100 * len(times) // len(steps),
        completed_at=max(times) if len(times) == len(steps) else None,
    )
