"""Every kind of event there is, and whole histories of them in no order."""

import random
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from tests.soak.letters import Letter, Place
from tests.soak.parcels import order, parcel, shipment, tenant_event
from tests.soak.payments import invoice, product, subscription
from tests.soak.repositories import issue, large_push, pull_request, push, star


class Kind(NamedTuple):
    write: Callable[[str, Place], Letter]
    share: int  # of a thousand objects
    longest: int  # things told of one object


KINDS: Final[Mapping[str, Kind]] = {
    "pull_request": Kind(pull_request, 160, 8),
    "issue": Kind(issue, 80, 6),
    "push": Kind(push, 80, 5),
    "large_push": Kind(large_push, 2, 1),
    "star": Kind(star, 60, 1),
    "subscription": Kind(subscription, 140, 9),
    "invoice": Kind(invoice, 60, 3),
    "order": Kind(order, 130, 5),
    "parcel": Kind(parcel, 60, 6),
    "shipment": Kind(shipment, 28, 4),
    "tenant_event": Kind(tenant_event, 200, 1),
}


def write(run: str, place: Place) -> Letter:
    if place.kind == "product":
        return product(run, place)
    return KINDS[place.kind].write(run, place)


def histories(chance: random.Random, count: int) -> list[Place]:
    """`count` different letters: whole histories of objects, in the order of happening."""
    places = [Place("product", 0, 0, 1)]
    names, shares = list(KINDS), [kind.share for kind in KINDS.values()]
    numbers = dict.fromkeys(names, 0)
    while len(places) < count:
        kind = chance.choices(names, shares)[0]
        length = min(chance.randint(1, KINDS[kind].longest), count - len(places))
        number = numbers[kind]
        numbers[kind] += 1
        places += [Place(kind, number, version, length) for version in range(length)]
    return places


def deliveries(chance: random.Random, places: list[Place], count: int) -> list[Place]:
    """Each letter at least once and `count` in all, in no order."""
    sent = places + chance.choices(places, k=count - len(places))
    chance.shuffle(sent)
    return sent
