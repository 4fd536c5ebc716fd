"""Settings from the environment: a class per concern, so a function needs only what it uses."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    ValidationError,
    model_validator,
)

from quotekit.environment import Number, PlainSettings, SettingsError, Text

__all__ = ["SettingsError"]


def _split(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


CommaSeparated = Annotated[tuple[str, ...], BeforeValidator(_split)]


class Settings(BaseModel):
    """One concern's variables: the prefix and a field's name, in capitals.

    On pydantic alone: pydantic-settings would add some 40 ms to every cold start. `defer_build`
    leaves the classes a function does not use unbuilt.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, defer_build=True
    )
    prefix: ClassVar[str] = ""

    @classmethod
    def variable(cls, field: str) -> str:
        return f"{cls.prefix}{field}".upper()

    @classmethod
    def load(cls) -> Self:
        """Read the environment; empty counts as missing, as a template cannot omit one."""
        given = {field: os.environ.get(cls.variable(field), "") for field in cls.model_fields}
        try:
            return cls.model_validate({field: text for field, text in given.items() if text})
        except ValidationError as error:
            raise SettingsError(cls._explain(error)) from None  # the cause would carry values

    def need(self, field: str) -> str:
        """Return an optional setting that the caller cannot do without."""
        value: str | None = getattr(self, field)
        if value is None:
            raise SettingsError(f"{self.variable(field)}: Field required")
        return value

    @classmethod
    def _explain(cls, error: ValidationError) -> str:
        found = error.errors(include_input=False, include_context=False, include_url=False)
        return "; ".join(
            f"{cls.variable(str(item['loc'][0])) if item['loc'] else cls.__name__}: {item['msg']}"
            for item in found
        )


class DatabaseSettings(Settings):
    prefix = "DATABASE_"

    url: SecretStr | None = Field(None, description="address of PostgreSQL, for tests and benches")
    secret: str | None = Field(None, description="name or ARN of the secret with the address")
    pool_min: NonNegativeInt = Field(0, description="connections kept open (2 in a server)")
    pool_max: PositiveInt = Field(1, description="connections at most (20 in a server)")
    connect_timeout: int = Field(5, ge=2, description="seconds to open a connection")
    statement_timeout: PositiveFloat = Field(30, description="seconds one statement may take")
    transaction_idle_timeout: PositiveFloat = Field(
        60, description="seconds a transaction may wait for its next statement"
    )
    network_timeout: PositiveFloat = Field(
        5, description="seconds of silence, beyond a statement's own time, that mean a dead path"
    )
    idle_check_after: NonNegativeFloat = Field(
        30, description="seconds of idling after which a connection is asked before it is lent"
    )
    check_timeout: PositiveFloat = Field(1, description="seconds a connection has to answer that")
    health_check_interval: PositiveFloat = Field(
        60, description="seconds between checks of the connections that nobody borrows"
    )
    max_age: PositiveFloat = Field(1800, description="seconds after which a connection is replaced")
    slow_trip: PositiveFloat = Field(
        0.05, description="seconds a round trip may take before it lowers the health score"
    )
    min_health: int = Field(30, ge=0, le=100, description="score below which it is replaced")
    borrow_timeout: PositiveFloat = Field(10, description="seconds to wait for a free connection")
    connect_attempts: PositiveInt = Field(3, description="attempts to connect within one borrow")
    backoff_first: PositiveFloat = Field(0.1, description="seconds, at most, of the first pause")
    backoff_longest: PositiveFloat = Field(5, description="seconds, at most, of any pause")
    prepare_threshold: NonNegativeInt | None = Field(
        None, description="uses before a statement is prepared; empty behind a transaction pooler"
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.url is None and self.secret is None:
            raise ValueError("DATABASE_SECRET or DATABASE_URL is required")
        if self.pool_min > self.pool_max:
            raise ValueError("DATABASE_POOL_MIN exceeds DATABASE_POOL_MAX")
        return self


class AuthSettings(Settings):
    prefix = "AUTH_"

    issuer: str = Field(description="who signs the tokens, exactly as in their `iss`")
    audience: str = Field(description="whom the tokens are for, as in their `aud`")
    jwks_url: str = Field(description="address of the issuer's public keys")
    jwks_ttl: PositiveFloat = Field(600, description="seconds the public keys are kept")
    jwks_timeout: PositiveFloat = Field(2, description="seconds the issuer has to answer")
    leeway: NonNegativeInt = Field(30, description="seconds two clocks may differ")


class ApiSettings(Settings):
    prefix = "API_"

    cors_origins: CommaSeparated = Field((), description="browser origins allowed, by comma")
    body_limit: PositiveInt = Field(1_048_576, description="bytes a request body may have")


class QueueSettings(Settings):
    mail_queue_url: str | None = Field(None, description="where mails to send are put")
    mail_dead_letter_queue_url: str | None = Field(None, description="mails that kept failing")
    pdf_queue_url: str | None = Field(None, description="where documents to print are put")
    pdf_dead_letter_queue_url: str | None = Field(None, description="documents that kept failing")
    mail_receives: PositiveInt = Field(6, description="deliveries before a mail is dead")
    pdf_receives: PositiveInt = Field(5, description="deliveries before a document is dead")
    webhooks_critical_queue_url: str | None = Field(None, description="webhooks about money")
    webhooks_critical_dead_letter_queue_url: str | None = Field(None, description="their dead")
    webhooks_queue_url: str | None = Field(None, description="all other webhooks")
    webhooks_dead_letter_queue_url: str | None = Field(None, description="their dead")
    webhooks_bulk_queue_url: str | None = Field(None, description="webhooks that can wait")
    webhooks_bulk_dead_letter_queue_url: str | None = Field(None, description="their dead")
    notification_receives: PositiveInt = Field(8, description="deliveries before one is dead")
    webhook_attempts: PositiveInt = Field(6, description="failures before a webhook is dead")
    batch_high_queue_url: str | None = Field(None, description="tickets of urgent batches")
    batch_high_dead_letter_queue_url: str | None = Field(None, description="their dead")
    batch_queue_url: str | None = Field(None, description="tickets of normal batches")
    batch_dead_letter_queue_url: str | None = Field(None, description="their dead")
    batch_low_queue_url: str | None = Field(None, description="tickets of batches that can wait")
    batch_low_dead_letter_queue_url: str | None = Field(None, description="their dead")
    notifications_queue_url: str | None = Field(None, description="news for accounts' servers")
    notifications_dead_letter_queue_url: str | None = Field(None, description="their dead")


class StorageSettings(Settings):
    documents_bucket: str | None = Field(None, description="bucket of the printed quotes")
    assets_bucket: str | None = Field(None, description="bucket of the logos")
    document_link_seconds: PositiveInt = Field(900, description="seconds a download link works")


class MailSettings(Settings):
    mail_from: str = Field(description="sender address, verified with SES")


class PortalSettings(Settings):
    prefix = "PORTAL_"

    url: str = Field(description="address of the page on which a client reads a quote")
    edge_secret: str | None = Field(None, description="secret whose key the distribution shows")


class StripeSettings(Settings):
    prefix = "STRIPE_"

    secret: str | None = Field(None, description="name of the secret with Stripe's api_key")
    api_base: str = Field("https://api.stripe.com", description="address of Stripe's API")
    timeout: PositiveFloat = Field(8, description="seconds Stripe has for one answer")
    return_origins: CommaSeparated = Field(
        (), description="origins a payer may be sent back to, by comma"
    )


class BatchSettings(Settings):
    prefix = "BATCH_"

    lease_seconds: PositiveFloat = Field(
        30, description="seconds without a sign after which a worker's chunk is another's"
    )
    attempts: PositiveInt = Field(5, description="failures in a row before items are given up")
    retention_days: PositiveInt = Field(90, description="days a finished batch is kept")
    upload_limit: PositiveInt = Field(500_000_000, description="bytes an upload may have")


class DeploymentSettings(Settings):
    stage: Literal["local", "staging", "production"] = Field(
        "local", description="which deployment this is"
    )


@cache
def database_settings() -> DatabaseSettings:
    return DatabaseSettings.load()


@cache
def auth_settings() -> AuthSettings:
    return AuthSettings.load()


@cache
def api_settings() -> ApiSettings:
    return ApiSettings.load()


@cache
def queue_settings() -> QueueSettings:
    return QueueSettings.load()


@cache
def storage_settings() -> StorageSettings:
    return StorageSettings.load()


@cache
def mail_settings() -> MailSettings:
    return MailSettings.load()


@cache
def portal_settings() -> PortalSettings:
    return PortalSettings.load()


@cache
def stripe_settings() -> StripeSettings:
    return StripeSettings.load()


@cache
def batch_settings() -> BatchSettings:
    return BatchSettings.load()


@cache
def deployment_settings() -> DeploymentSettings:
    return DeploymentSettings.load()


LOADERS: Final = (
    *(database_settings, auth_settings, api_settings, queue_settings),
    *(storage_settings, mail_settings, portal_settings, stripe_settings),
    *(batch_settings, deployment_settings),
)


def forget() -> None:
    """Read the environment again at the next use."""
    for load in LOADERS:
        load.cache_clear()


@dataclass(frozen=True)
class Documented:
    """One setting as the README lists it."""

    variable: str
    default: str
    description: str


def documented() -> Iterator[Documented]:
    """Every setting there is."""
    for settings in Settings.__subclasses__():
        for name, field in settings.model_fields.items():
            default = "required" if field.is_required() else _written(field.default)
            yield Documented(settings.variable(name), default, field.description or "")
    for plain in PlainSettings.__subclasses__():
        for found in vars(plain).values():
            if isinstance(found, Number):
                yield Documented(found.variable, f"{found.default:.15g}", found.description)
            elif isinstance(found, Text):
                default = "required" if found.default is None else found.default
                yield Documented(found.variable, default, found.description)


def _written(default: Any) -> str:  # noqa: ANN401 a default may be anything
    if default is None or default == ():
        return ""
    return str(default)
