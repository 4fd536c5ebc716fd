"""The same create as quote-processor's, the way FastAPI, Mangum and psycopg document their use."""

import json
import os
import uuid
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from typing import Annotated, Any

import jwt
import psycopg
from fastapi import Depends, FastAPI, Header, HTTPException
from mangum import Mangum
from pydantic import BaseModel, ConfigDict, Field

from quotekit.quotes import pricing

app = FastAPI()
Amount = Annotated[Decimal, Field(ge=0, max_digits=16, decimal_places=4)]


class LineItem(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=200)
    description: str = ""
    unit: str = ""
    quantity: Amount
    unit_cost: Amount
    tax_rate: Amount | None = None
    optional: bool = False
    selected: bool = False


class Client(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    email: str | None = None
    phone: str | None = None
    address: str | None = None


class QuoteCreate(BaseModel):
    model_config = ConfigDict(extra="forbid")

    client: Client
    currency: str = Field("USD", pattern=r"^[A-Z]{3}$")
    line_items: list[LineItem] = Field(min_length=1, max_length=500)
    tax_rate: Decimal = Field(Decimal(0), ge=0, le=100)
    markup_rate: Decimal = Field(Decimal(0), ge=0, le=1000)
    notes: str = ""


@cache
def keys() -> jwt.PyJWKClient:
    return jwt.PyJWKClient(os.environ["AUTH_JWKS_URL"])


def claims(authorization: Annotated[str, Header()]) -> dict[str, Any]:
    token = authorization.removeprefix("Bearer ")
    try:
        key = keys().get_signing_key_from_jwt(token)
        return jwt.decode(
            token,
            key,
            algorithms=["RS256"],
            audience=os.environ["AUTH_AUDIENCE"],
            issuer=os.environ["AUTH_ISSUER"],
        )
    except jwt.PyJWTError as error:
        raise HTTPException(401) from error


@cache
def connection() -> psycopg.Connection[Any]:
    return psycopg.connect(os.environ["DATABASE_URL"], autocommit=True)


def transaction(who: Annotated[dict[str, Any], Depends(claims)]) -> Iterator[psycopg.Cursor[Any]]:
    with connection().transaction(), connection().cursor() as cursor:
        cursor.execute(
            "select set_config('role', 'authenticated', true), "
            "set_config('request.jwt.claims', %s, true)",
            [json.dumps({"sub": who["sub"], "account_id": who["account_id"]})],
        )
        cursor.execute(
            "insert into app.accounts (id) values (auth.account_id()) on conflict do nothing"
        )
        yield cursor


@app.post("/v1/quotes", status_code=201)
def create_quote(
    body: QuoteCreate, cursor: Annotated[psycopg.Cursor[Any], Depends(transaction)]
) -> dict[str, Any]:
    cursor.execute(
        "select currency, language, tax_rounding, quote_terms from app.company_settings "
        "where account_id = auth.account_id()"
    )
    _, language, rounding, terms = cursor.fetchone() or ("USD", "en", "document", "")
    totals = pricing.calculate(
        [
            pricing.Line(line.quantity, line.unit_cost, line.tax_rate, None, line.optional)
            for line in body.line_items
        ],
        pricing.Terms(body.currency, body.markup_rate, body.tax_rate, tax_rounding=rounding),
    )
    quote_id, version_id = uuid.uuid4(), uuid.uuid4()
    cursor.execute(
        "insert into app.quotes (id, title) values (%s, %s) returning created_at",
        [quote_id, body.client.name],
    )
    (created_at,) = cursor.fetchone() or (None,)
    breakdown = [
        {"rate": str(row.rate), "net": str(row.net), "tax": str(row.tax)}
        for row in totals.tax_breakdown
    ]
    cursor.execute(
        "insert into app.quote_versions (id, quote_id, client_name, client_email, client_phone, "
        "client_address, currency, language, tax_rate, tax_inclusive, tax_rounding, markup_rate, "
        "notes, terms, subtotal, markup_amount, discount_amount, tax_amount, tax_breakdown, total, "
        "deposit_amount) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, false, %s, %s, %s, %s, %s, "
        "%s, %s, %s, %s, %s, %s)",
        [
            *(version_id, quote_id, body.client.name, body.client.email, body.client.phone),
            *(body.client.address, body.currency, language, body.tax_rate, rounding),
            *(body.markup_rate, body.notes, terms, totals.subtotal, totals.markup_amount),
            *(totals.discount_amount, totals.tax_amount, json.dumps(breakdown), totals.total),
            totals.deposit_amount,
        ],
    )
    lines = list(zip(body.line_items, totals.lines, strict=True))
    cursor.executemany(
        "insert into app.quote_lines (version_id, position, name, description, unit, quantity, "
        "unit_cost, tax_rate, optional, selected, unit_price, gross, discount_amount, line_total, "
        "net, tax_amount) values "
        "(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        [
            (
                *(version_id, place, line.name, line.description, line.unit, line.quantity),
                *(line.unit_cost, line.tax_rate, line.optional, line.selected),
                *(priced.unit_price, priced.gross, priced.discount_amount, priced.line_total),
                *(priced.net, priced.tax_amount),
            )
            for place, (line, priced) in enumerate(lines, start=1)
        ],
    )
    cursor.execute(
        "insert into app.audit_events (id, action, object_id, details) "
        "values (%s, 'quote.created', %s, %s)",
        [uuid.uuid4(), quote_id, json.dumps({"total": str(totals.total)})],
    )
    return {
        "id": str(quote_id),
        "number": None,
        "version": 1,
        "status": "draft",
        "client": body.client,
        "currency": body.currency,
        "line_items": [
            line.model_dump(mode="json")
            | {
                "unit_price": str(priced.unit_price),
                "line_total": str(priced.line_total),
                "tax_amount": str(priced.tax_amount),
            }
            for line, priced in lines
        ],
        "subtotal": str(totals.subtotal),
        "tax_amount": str(totals.tax_amount),
        "tax_breakdown": breakdown,
        "total": str(totals.total),
        "created_at": created_at,
    }


lambda_handler = Mangum(app, lifespan="off")
