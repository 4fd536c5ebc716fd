"""Routes that are alike for every kind of thing an account keeps."""

from uuid import UUID

from quotekit import api
from quotekit.catalog.rows import Kind


def serve[T](app: api.Api, path: str, kind: Kind[T]) -> None:
    """One thing is read and deleted alike, whatever it is."""

    @app.get(f"{path}/<thing_id>")
    def get(thing_id: UUID) -> api.Answer[T]:
        return api.fetch(app, lambda c: kind.get(c, thing_id))

    get.__annotations__["return"] = api.answer_of(kind.get)

    @app.delete(f"{path}/<thing_id>")
    def delete(thing_id: UUID) -> api.Answer[None]:
        return api.command(app, lambda c: kind.delete(c, thing_id))
