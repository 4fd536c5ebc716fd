"""HTTP /v1/packages through its door, and what a package becomes on a quote."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.errors import CheckViolation

from functions.catalog_manager.app import lambda_handler as catalog_handler
from functions.package_manager.app import lambda_handler
from functions.quote_processor.app import lambda_handler as quote_handler
from tests.conftest import Database
from tests.functions.conftest import (
    ACCOUNT,
    OTHER_USER,
    USER,
    Aws,
    Client,
    Issuer,
    LambdaContext,
    load_event,
)

ITEM_OF_EVENT: Final = UUID("01900000-0000-7000-8000-000000000201")
QUOTE: Final = {
    "client": {"name": "Grace Hopper", "email": "grace@example.com"},
    "tax_rate": "10",
    "line_items": [{"name": "Visit", "quantity": 1, "unit_cost": 50}],
}
COSTS: Final = {"Cut": 40, "Feed": 60, "Seed": 100}


@pytest.fixture
def packages(database: Database, aws_services: Aws, issuer: Issuer) -> Client:
    return Client(lambda_handler, issuer.token(USER, ACCOUNT), "ANY /v1/packages")


@pytest.fixture
def stranger(packages: Client, issuer: Issuer) -> Client:
    return Client(lambda_handler, issuer.token(OTHER_USER), packages.route)


@pytest.fixture
def own(packages: Client) -> Client:
    return Client(catalog_handler, packages.token, "ANY /v1/items")


@pytest.fixture
def quotes(packages: Client) -> Client:
    return Client(quote_handler, packages.token, "ANY /v1/quotes")


@pytest.fixture
def items(own: Client) -> dict[str, str]:
    """Ids of own items by name."""
    return {
        name: own("POST", "/v1/items", {"name": name, "unit": "visit", "unit_cost": cost}).json[
            "id"
        ]
        for name, cost in COSTS.items()
    }


@pytest.fixture
def lawn(items: dict[str, str]) -> dict[str, Any]:
    """Three ways to keep a lawn: 40, 100 and 260."""
    cut, feed, seed = ({"item_id": item, "quantity": 1} for item in items.values())
    tiers = [
        {"name": "Good", "lines": [cut]},
        {"name": "Better", "description": "Fed as well", "lines": [cut, feed]},
        {"name": "Best", "lines": [cut, feed | {"quantity": 2}, seed]},
    ]
    return {"name": "Lawn", "description": "A year", "preselected": 2, "tiers": tiers}


def made(packages: Client, body: Any) -> dict[str, Any]:
    answer = packages("POST", "/v1/packages", body)
    assert answer.status == 201, answer.text
    package: dict[str, Any] = answer.json
    return package


def put(packages: Client, quote: dict[str, Any], package: dict[str, Any], **said: Any) -> Any:
    body = {"package_id": package["id"], **said}
    return packages("POST", f"/v1/quotes/{quote['id']}/packages", body)


def test_the_committed_event_makes_a_package(packages: Client, own: Client, database: Database):
    with psycopg.connect(database.owner_url) as owner:
        owner.execute("insert into app.accounts (id) values (%s)", [ACCOUNT])
        member = "insert into app.members (account_id, user_id) values (%s, %s)"
        owner.execute(member, [ACCOUNT, USER])
        owner.execute(
            """insert into app.items (id, account_id, name, unit, unit_cost)
            values (%s, %s, 'x', 'x', 1)""",
            [ITEM_OF_EVENT, ACCOUNT],
        )
    event = load_event("package_manager")
    event["headers"]["authorization"] = f"Bearer {packages.token}"

    assert lambda_handler(event, LambdaContext())["statusCode"] == 201


def test_a_package_is_read_back_with_what_its_items_are_called_and_cost(
    packages: Client, lawn: dict[str, Any]
) -> None:
    package = made(packages, lawn)

    assert packages("GET", f"/v1/packages/{package['id']}").json == package
    assert packages("GET", "/v1/packages").json["data"] == [package]
    assert [tier["name"] for tier in package["tiers"]] == ["Good", "Better", "Best"]
    assert [line["name"] for line in package["tiers"][2]["lines"]] == ["Cut", "Feed", "Seed"]
    assert package["tiers"][2]["lines"][1]["quantity"] == "2"
    assert package["tiers"][0]["lines"][0]["unit_cost"] == "40"


def test_a_package_is_changed_by_version_and_deleted(
    packages: Client, lawn: dict[str, Any]
) -> None:
    path = f"/v1/packages/{made(packages, lawn)['id']}"

    changed = packages("PATCH", path, {"tiers": lawn["tiers"][:2], "name": "Turf", "version": 1})

    assert changed.status == 200, changed.text
    assert [tier["name"] for tier in changed.json["tiers"]] == ["Good", "Better"]
    assert (changed.json["name"], changed.json["version"]) == ("Turf", 2)
    assert packages("PATCH", path, {"name": "Grass", "version": 1}).status == 409
    assert packages("PATCH", path, {"preselected": 3, "version": 2}).status == 422
    renamed = packages("PATCH", path, {"name": "Grass", "version": 2}).json
    assert renamed["tiers"] == changed.json["tiers"]
    assert packages("DELETE", path).status == 204
    assert packages("GET", path).status == 404


@pytest.mark.parametrize(
    "wrong",
    [
        {"tiers": []},
        {"tiers": [{"name": "Only", "lines": [{"item_id": str(uuid4()), "quantity": 1}]}]},
        {"preselected": 4},
        {"preselected": 0},
        {"name": ""},
        {"colour": "red"},
    ],
)
def test_what_is_no_package_is_refused(
    packages: Client, lawn: dict[str, Any], wrong: dict[str, Any]
) -> None:
    assert packages("POST", "/v1/packages", lawn | wrong).status == 422


def test_two_tiers_or_two_packages_of_one_name_are_refused(
    packages: Client, lawn: dict[str, Any]
) -> None:
    made(packages, lawn)
    tiers = [lawn["tiers"][0], lawn["tiers"][1] | {"name": "good"}]

    assert packages("POST", "/v1/packages", lawn | {"name": "lawn"}).status == 409
    assert packages("POST", "/v1/packages", lawn | {"name": "x", "tiers": tiers}).status == 422


def test_another_accounts_items_packages_and_quotes_do_not_exist(
    packages: Client, stranger: Client, lawn: dict[str, Any], quotes: Client, issuer: Issuer
) -> None:
    package = made(packages, lawn)
    mine = quotes("POST", "/v1/quotes", QUOTE).json
    theirs = Client(quote_handler, stranger.token, "ANY /v1/quotes")("POST", "/v1/quotes", QUOTE)

    assert stranger("POST", "/v1/packages", lawn).status == 422
    assert stranger("GET", f"/v1/packages/{package['id']}").status == 404
    assert stranger("DELETE", f"/v1/packages/{package['id']}").status == 404
    assert stranger("GET", "/v1/packages").json["data"] == []
    assert put(stranger, mine, package).status == 404
    assert put(stranger, theirs.json, package).status == 422


def test_an_item_in_a_package_cannot_be_deleted(
    packages: Client, own: Client, lawn: dict[str, Any], items: dict[str, str]
) -> None:
    package = made(packages, lawn)

    assert own("DELETE", f"/v1/items/{items['Cut']}").status == 409
    packages("DELETE", f"/v1/packages/{package['id']}")
    assert own("DELETE", f"/v1/items/{items['Cut']}").status == 204


def test_a_package_on_a_draft_becomes_a_group_of_which_one_choice_counts(
    packages: Client, quotes: Client, lawn: dict[str, Any]
) -> None:
    package = made(packages, lawn)
    draft = quotes("POST", "/v1/quotes", QUOTE | {"markup_rate": 0}).json

    answer = put(packages, draft, package)

    assert answer.status == 200, answer.text
    lines = answer.json["line_items"][1:]
    assert [(line["choice"], line["name"], line["selected"]) for line in lines] == [
        ("Good", "Cut", False),
        *(("Better", name, True) for name in ("Cut", "Feed")),
        *(("Best", name, False) for name in ("Cut", "Feed", "Seed")),
    ]
    assert {line["group"] for line in lines} == {"Lawn"}
    assert all(line["optional"] for line in lines)
    assert Decimal(answer.json["subtotal"]) == 50 + 100
    assert Decimal(answer.json["total"]) == Decimal(165)
    assert answer.json["version"] == draft["version"] + 1
    assert quotes("GET", f"/v1/quotes/{draft['id']}").json == answer.json
    history = quotes("GET", f"/v1/quotes/{draft['id']}/history").json["data"]
    assert history[-1]["action"] == "quote.package_added"


def test_a_package_comes_twice_only_under_another_name(
    packages: Client, quotes: Client, lawn: dict[str, Any]
) -> None:
    package = made(packages, lawn)
    draft = quotes("POST", "/v1/quotes", QUOTE).json

    answers = [put(packages, draft, package, **said).status for said in ({}, {}, {"group": "Back"})]

    assert answers == [200, 409, 200]


def test_a_sent_quote_takes_no_package(
    packages: Client, quotes: Client, lawn: dict[str, Any]
) -> None:
    package = made(packages, lawn)
    draft = quotes("POST", "/v1/quotes", QUOTE).json
    put(packages, draft, package)
    sent = quotes("POST", f"/v1/quotes/{draft['id']}/send", {"channel": "link"})

    assert sent.status == 200, sent.text
    assert put(packages, draft, package, group="More").status == 409
    assert quotes("GET", f"/v1/quotes/{draft['id']}").json["line_items"] == sent.json["line_items"]


def test_a_copy_of_a_quote_keeps_its_groups(
    packages: Client, quotes: Client, lawn: dict[str, Any]
) -> None:
    draft = quotes("POST", "/v1/quotes", QUOTE).json
    whole = put(packages, draft, made(packages, lawn)).json

    copied = quotes("POST", f"/v1/quotes/{draft['id']}/duplicate", {})

    assert copied.json["line_items"] == whole["line_items"]


def line(group: str | None, choice: str | None, *, selected: bool, **said: Any) -> dict[str, Any]:
    chosen = {"group": group, "choice": choice, "selected": selected}
    return {"name": "Work", "quantity": 1, "unit_cost": 10} | chosen | said


WRONG_GROUPS: Final = {
    "none is chosen": [line("A", "1", selected=False), line("A", "2", selected=False)],
    "two are chosen": [line("A", "1", selected=True), line("A", "2", selected=True)],
    "there is one choice": [line("A", "1", selected=True)],
    "half a choice": [
        line("A", "1", selected=True),
        line("A", "2", selected=True),
        line("A", "2", selected=False),
    ],
    "a choice of nothing": [line(None, "1", selected=True)],
    "a group without choice": [line("A", None, selected=True)],
}


@pytest.mark.parametrize("lines", WRONG_GROUPS.values(), ids=WRONG_GROUPS)
def test_of_a_group_exactly_one_whole_choice_is_selected(quotes: Client, lines: Any) -> None:
    body = QUOTE | {"line_items": lines}

    assert quotes("POST", "/v1/quotes", body).status == 422
    assert quotes("POST", "/v1/quotes/calculate", body).status == 422


def test_a_change_chooses_another_alternative(
    packages: Client, quotes: Client, lawn: dict[str, Any]
) -> None:
    draft = quotes("POST", "/v1/quotes", QUOTE | {"markup_rate": 0}).json
    whole = put(packages, draft, made(packages, lawn)).json
    told = ("name", "quantity", "unit_cost", "group", "choice")
    lines = [
        {key: value for key, value in one.items() if key in told}
        | {"selected": one["choice"] == "Best"}
        for one in whole["line_items"]
    ]

    changed = quotes("PATCH", f"/v1/quotes/{draft['id']}", {"line_items": lines, "version": 2})

    assert changed.status == 200, changed.text
    assert Decimal(changed.json["subtotal"]) == 50 + 260


@pytest.fixture
def owner(database: Database) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database.owner_url) as connection:
        yield connection


SELECTIONS: Final = {
    "none": "false",
    "all": "true",
    "two": "choice in ('Good', 'Best')",
    "a part of one": "choice = 'Best' and name <> 'Cut'",
}
AGAIN: Final = """
create temporary table again as select * from app.quote_lines where group_name is not null;
update again set selected = {selected}, net = 0, tax_amount = 0, position = position + 100;
delete from app.quote_lines where group_name is not null;
insert into app.quote_lines select * from again
"""


@pytest.mark.parametrize("selected", SELECTIONS.values(), ids=SELECTIONS)
def test_the_database_keeps_the_rule_without_the_service(
    packages: Client, quotes: Client, lawn: dict[str, Any], owner: Any, selected: str
) -> None:
    draft = quotes("POST", "/v1/quotes", QUOTE).json
    put(packages, draft, made(packages, lawn))

    owner.execute(AGAIN.format(selected=selected).encode())
    with pytest.raises(CheckViolation, match="exactly one is selected"):
        owner.commit()


def test_the_database_takes_another_whole_choice(
    packages: Client, quotes: Client, lawn: dict[str, Any], owner: Any
) -> None:
    draft = quotes("POST", "/v1/quotes", QUOTE).json
    put(packages, draft, made(packages, lawn))

    owner.execute(AGAIN.format(selected="choice = 'Best'").encode())
    owner.commit()
