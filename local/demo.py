"""The demo account: two people with their companies, and quotes made through the API."""

from typing import Any, Final

import httpx
import psycopg

from local.issuer import ADMIN, USER

type Json = dict[str, Any]

TRY_QUOTE: Final = {
    "client": {"name": "Ada Lovelace", "email": "ada@example.com"},
    "currency": "USD",
    "line_items": [{"name": "Design", "unit": "h", "quantity": "2", "unit_cost": "80"}],
}
HAS_DATA: Final = """
select exists (select from app.clients where account_id = %(account)s)
    or exists (select from app.quotes where account_id = %(account)s)
"""
ACCOUNT: Final = """
insert into app.accounts (id, name) values (%(account)s, %(name)s) on conflict (id) do nothing
"""
MEMBER: Final = """
insert into app.members (account_id, user_id, role) values (%(account)s, %(user)s, 'owner')
on conflict do nothing
"""
PLAN: Final = """
insert into app.subscriptions (account_id, plan_key, status)
values (%(account)s, 'premium', 'active') on conflict (account_id) do nothing
"""
ROLE: Final = """
insert into app.user_roles (user_id, role) values (%(user)s, 'admin') on conflict do nothing
"""
COMPANY: Final = """
insert into app.company_settings (account_id, company_name, address, email, phone, default_tax_rate)
values (%(account)s, %(name)s, %(address)s, %(email)s, %(phone)s, 8.25)
on conflict (account_id) do nothing
"""
COMPANIES: Final = (
    {
        "name": "Northwind Renovations",
        "address": "18 Harbour Street\nPortland, ME 04101",
        "email": "office@northwind.example",
        "phone": "+1 207 555 0134",
    },
    {
        "name": "QuoteKit Operations",
        "address": "1 Main Street\nPortland, ME 04101",
        "email": "operations@quotekit.example",
        "phone": "+1 207 555 0100",
    },
)
CLIENTS: Final = (
    {
        "name": "Maria Santos",
        "email": "maria.santos@example.com",
        "phone": "+1 207 555 0161",
        "address": "7 Pine Lane\nFalmouth, ME 04105",
    },
    {
        "name": "Brightside Dental",
        "email": "facilities@brightside.example",
        "phone": "+1 207 555 0177",
        "address": "220 Congress Street\nPortland, ME 04101",
    },
    {
        "name": "Jürgen Weiß",
        "email": "j.weiss@example.com",
        "address": "3 Mill Road\nYarmouth, ME 04096",
    },
)
ITEMS: Final = (
    {"name": "Carpentry", "unit": "h", "unit_cost": "58.00"},
    {"name": "Oak flooring", "unit": "m2", "unit_cost": "74.50"},
    {"name": "Interior paint, two coats", "unit": "m2", "unit_cost": "9.80"},
    {"name": "Waste removal", "unit": "load", "unit_cost": "140.00"},
)
QUOTES: Final = (
    {
        "client": 0,
        "lines": [("Oak flooring", "m2", "32.5", "74.50"), ("Carpentry", "h", "18", "58.00")],
        "notes": "Living room and hall. Furniture is moved by us.",
        "send": True,
    },
    {
        "client": 1,
        "lines": [
            ("Interior paint, two coats", "m2", "410", "9.80"),
            ("Waste removal", "load", "1", "140.00"),
        ],
        "notes": "Work on two Saturdays, so that the practice stays open.",
        "send": True,
    },
    {
        "client": 2,
        "lines": [("Carpentry", "h", "6.5", "58.00")],
        "notes": "Repair of the porch steps.",
        "send": False,
    },
)


async def fill(database_url: str, api_url: str, token: str) -> str:
    """Make the demo data once; what is returned says what was done."""
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        await _people(connection)
        found = await (await connection.execute(HAS_DATA, {"account": USER[1]})).fetchone()
    if found and found[0]:
        return "as you left it"
    headers = {"authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(
        base_url=api_url, headers=headers, timeout=30, trust_env=False
    ) as api:
        clients = [await _post(api, "/v1/clients", client) for client in CLIENTS]
        for item in ITEMS:
            await _post(api, "/v1/items", item)
        for quote in QUOTES:
            await _quote(api, quote, clients)
    return f"{len(CLIENTS)} clients, {len(ITEMS)} items, {len(QUOTES)} quotes"


async def _people(connection: psycopg.AsyncConnection[Any]) -> None:
    for (user, account), company in zip((USER, ADMIN), COMPANIES, strict=True):
        values = {"user": user, "account": account, **company}
        for statement in (ACCOUNT, MEMBER, COMPANY):
            await connection.execute(statement, values)
    await connection.execute(PLAN, {"account": USER[1]})  # batches are premium's
    await connection.execute(ROLE, {"user": ADMIN[0]})


async def _quote(api: httpx.AsyncClient, quote: Json, clients: list[Json]) -> None:
    lines = [
        {"name": name, "unit": unit, "quantity": quantity, "unit_cost": cost}
        for name, unit, quantity, cost in quote["lines"]
    ]
    body = {"client_id": clients[quote["client"]]["id"], "currency": "USD", "line_items": lines}
    made = await _post(
        api,
        "/v1/quotes",
        {**body, "notes": quote["notes"], "tax_rate": "8.25", "markup_rate": "12"},
    )
    if quote["send"]:
        await _post(api, f"/v1/quotes/{made['id']}/send", {"channel": "email"})


async def _post(api: httpx.AsyncClient, path: str, body: Json) -> Json:
    response = await api.post(path, json=body)
    answer: Json = response.json() if response.is_success else {}
    if "id" not in answer and "quote" not in answer:
        raise DemoError(f"POST {path} answered {response.status_code}: {response.text[:300]}")
    return answer


class DemoError(Exception):
    """The API did not take the demo data."""
