"""An account's own words for the mails to its clients, by kind and language."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any, Final, LiteralString
from uuid import UUID

from psycopg.errors import UniqueViolation
from psycopg.rows import class_row
from pydantic import AfterValidator, Field, StringConstraints

from quotekit import audit, auth
from quotekit.bodies import Body, Language, given
from quotekit.database import Connection
from quotekit.errors import ConflictError, NotFoundError, StaleVersionError
from quotekit.identifiers import new_id
from quotekit.paging import Page
from quotekit.quotes import letters
from quotekit.quotes.letters import Kind, Letter, Wording
from quotekit.quotes.placeholders import checked

Subject = Annotated[
    str,
    StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$"),
    AfterValidator(checked),
]
Words = Annotated[str, StringConstraints(min_length=1, max_length=10_000), AfterValidator(checked)]


class TemplateCreate(Body):
    """Placeholders: client_name, quote_number, total, link, valid_until, company_name, each in
    braces."""

    kind: Kind
    language: Language
    subject: Subject
    body: Words


class TemplateChange(Body):
    """A change of the words; `version` (or If-Match) is the one it was made from."""

    subject: Subject = given()
    body: Words = given()
    version: int | None = Field(default=None, ge=1)


@dataclass(frozen=True, slots=True)
class Template:
    id: UUID
    kind: Kind
    language: str
    subject: str
    body: str
    version: int
    created_at: datetime
    updated_at: datetime


COLUMNS: Final[LiteralString] = """id, kind, language, subject, body, version, created_at,
    updated_at"""
INSERT: Final[LiteralString] = (
    """insert into app.mail_templates (id, kind, language, subject, body)
values (%(id)s, %(kind)s, %(language)s, %(subject)s, %(body)s) returning """
    + COLUMNS
)


def create(connection: Connection, body: TemplateCreate) -> Template:
    """Raises ForbiddenError, or ConflictError when there is one of that kind in that language."""
    auth.require_manager(connection)
    try:
        (made,) = _all(connection, INSERT, {"id": new_id(), **body.model_dump()})
    except UniqueViolation as error:
        raise ConflictError("There is a template of that kind in that language.") from error
    about = {"kind": made.kind, "language": made.language}
    audit.record(connection, "mail_template.created", made.id, about)
    return made


def _all(
    connection: Connection, statement: LiteralString, values: dict[str, Any]
) -> Sequence[Template]:
    with connection.cursor(row_factory=class_row(Template)) as cursor:
        return cursor.execute(statement, values).fetchall()


LIST: Final[LiteralString] = (
    "select "
    + COLUMNS
    + """ from app.mail_templates where account_id = (select auth.account_id())
order by kind, language limit 1000"""
)


def page(connection: Connection) -> Page[Template]:
    """All of them: kinds and languages are few."""
    return Page(_all(connection, LIST, {}), None)


GET: Final[LiteralString] = (
    "select "
    + COLUMNS
    + """ from app.mail_templates
where account_id = (select auth.account_id()) and id = %(id)s"""
)
GET_FOR_UPDATE: Final[LiteralString] = GET + " for update"


def get(connection: Connection, template_id: UUID) -> Template:
    """Raises NotFoundError, also for another account's."""
    return _one(connection, GET, template_id)


def _one(connection: Connection, statement: LiteralString, template_id: UUID) -> Template:
    found = _all(connection, statement, {"id": template_id})
    if not found:
        raise NotFoundError("There is no such template.")
    return found[0]


UPDATE: Final[LiteralString] = (
    """update app.mail_templates
set subject = %(subject)s, body = %(body)s, version = version + 1
where account_id = (select auth.account_id()) and id = %(id)s returning """
    + COLUMNS
)


def change(
    connection: Connection, template_id: UUID, body: TemplateChange, *, version: int
) -> Template:
    """Raises ForbiddenError, or StaleVersionError when it is not the version the change was made
    from."""
    auth.require_manager(connection)
    found = _one(connection, GET_FOR_UPDATE, template_id)
    if found.version != version:
        raise StaleVersionError
    said = body.model_dump(exclude_unset=True, exclude={"version"})
    words = {"subject": found.subject, "body": found.body} | said
    (changed,) = _all(connection, UPDATE, {"id": template_id, **words})
    audit.record(connection, "mail_template.changed", template_id, {"fields": sorted(said)})
    return changed


DELETE: Final = """
delete from app.mail_templates where account_id = (select auth.account_id()) and id = %(id)s
"""


def delete(connection: Connection, template_id: UUID) -> None:
    """From now on, these mails say our words. Raises ForbiddenError or NotFoundError."""
    auth.require_manager(connection)
    if not connection.execute(DELETE, {"id": template_id}).rowcount:
        raise NotFoundError("There is no such template.")
    audit.record(connection, "mail_template.deleted", template_id)


WORDING: Final = """
select subject, body from app.mail_templates
where account_id = (select auth.account_id()) and kind = %(kind)s
  and language in (%(language)s, left(%(language)s, 2))
order by length(language) desc limit 1
"""


def wording(connection: Connection, kind: Kind, language: str) -> Wording | None:
    """The words for a language: de-AT has its own, or those of de, or none."""
    with connection.cursor(row_factory=class_row(Wording)) as cursor:
        return cursor.execute(WORDING, {"kind": kind, "language": language}).fetchone()


def preview(body: TemplateCreate, company_name: str) -> Letter:
    """A mail in these words, of a quote that does not exist."""
    return letters.write(
        letters.Sending(
            company=company_name,
            client="Amelia Whitfield",
            number="Q-2026-0042",
            total=Decimal("2292.39"),
            currency="USD",
            language=body.language,
            link="https://quotes.example/preview",
            valid_until=date(datetime.now(UTC).year + 1, 1, 31),
            kind=body.kind,
            wording=Wording(body.subject, body.body),
        )
    )
