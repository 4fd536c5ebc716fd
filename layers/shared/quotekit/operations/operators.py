"""Who may operate: a role row in force, looked at with every request."""

from dataclasses import replace

from quotekit import auth, database
from quotekit.auth import Principal
from quotekit.database import Actor


def admit(principal: Principal, *, writing: bool) -> Principal:
    """The caller acting for the house, under his own name. Raises ForbiddenError.

    Who only reads becomes ops_admin, which can write nothing.
    """
    look = database.transaction if writing else database.reading
    person = replace(principal.actor, admission=auth.ADMIT_PERSON)  # of whatever account
    with look(person) as connection:
        auth.require_role(connection, "admin")
    actor = Actor("service_role" if writing else "ops_admin", principal.actor.claims)
    return replace(principal, actor=actor)
