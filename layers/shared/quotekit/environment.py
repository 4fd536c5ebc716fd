"""Settings without pydantic, for what has to run before anything heavy is imported.

`quotekit.settings` documents these with its own.
"""

import math
import os
from typing import Any, ClassVar


class SettingsError(Exception):
    """A setting is missing or malformed; the message names the variable, never its value."""


def need(*names: str) -> str:
    """The first of these variables that says something."""
    for name in names:
        if value := os.environ.get(name):
            return value
    raise SettingsError(f"{names[0]}: Field required")


class Number:
    """A number, read at each use; empty counts as missing, as a template cannot omit one."""

    def __init__(
        self, default: float, description: str, *, least: float = 0, most: float = math.inf
    ) -> None:
        self.default = default
        self.description = description
        self.least, self.most = least, most

    def __set_name__(self, owner: type["PlainSettings"], name: str) -> None:
        self.variable = f"{owner.prefix}{name}".upper()

    def __get__(self, owner: Any, kind: type[Any] | None = None) -> float:  # noqa: ANN401
        text = os.environ.get(self.variable)
        if not text:
            return self.default
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not self.least <= value <= self.most:
            raise SettingsError(f"{self.variable}: must be a number from {self.least} on")
        return value


class Text:
    """A text, read at each use; without a default it is required."""

    def __init__(self, description: str, default: str | None = None) -> None:
        self.description = description
        self.default = default

    def __set_name__(self, owner: type["PlainSettings"], name: str) -> None:
        self.variable = f"{owner.prefix}{name}".upper()

    def __get__(self, owner: Any, kind: type[Any] | None = None) -> str:  # noqa: ANN401
        return (
            need(self.variable)
            if self.default is None
            else os.environ.get(self.variable, self.default)
        )


class PlainSettings:
    """One concern's variables: the prefix and an attribute's name, in capitals."""

    prefix: ClassVar[str] = ""


class SecretsSettings(PlainSettings):
    prefix = "SECRETS_"

    ttl = Number(300, "seconds a secret is kept in memory")
    timeout = Number(2, "seconds Secrets Manager has to answer", least=0.001)


class WebhookSettings(PlainSettings):
    prefix = "WEBHOOK_"

    secrets = Text("what the names of the senders' secrets begin with")
    body_limit = Number(10_485_760, "bytes a webhook's body may have")
    light_line = Number(65_536, "bytes up to which a webhook's body counts as light")
    renewal = Number(30, "seconds between two looks for new secrets after a signature failed")
    routing_ttl = Number(60, "seconds the published routing rules are kept in memory")
    timeout = Number(1, "seconds one call of SQS or S3 may take before it is repeated", least=0.001)
    deadline = Number(2.5, "seconds SQS has to take a webhook, repeats included", least=0.001)
    refusals_sampled = Number(0.01, "share of refused webhooks of which a record is kept", most=1)


class RoutingSettings(PlainSettings):
    prefix = "ROUTING_"

    bucket = Text("bucket of the published routing rules; without it the defaults hold", "")
    key = Text("where in it they are", "")


class NotifySettings(PlainSettings):
    prefix = "NOTIFY_"

    secret = Text("name or ARN of the secret of which accounts' signing secrets are made")
    locally = Text("1: plain http to this machine is allowed as well; for the local stack", "")
    timeout = Number(10, "seconds a receiver has to take one notification", least=0.001)


class RetentionSettings(PlainSettings):
    """Days, each counted from when something was over."""

    prefix = "RETENTION_"

    # A sender may repeat an event for days, and a queue keep it for fourteen: what is forgotten
    # sooner would be applied twice.
    webhook_events = Number(90, "days a webhook is kept once it is done, with attempts", least=30)
    webhook_refusals = Number(30, "days the sample of refusals is kept", least=1)
    webhook_inbox = Number(90, "days a tenant can read what came to his endpoints", least=1)
    handled = Number(90, "days events of repositories, shops and carriers are kept", least=1)
    outbox = Number(14, "days a message that was sent is kept", least=1)
    counts = Number(400, "days the counts of webhooks are kept", least=92)


class AccountSettings(PlainSettings):
    prefix = "ACCOUNT_"

    invitation_url = Text("address of the page on which an invitation is accepted")
    invitation_days = Number(7, "days an invitation can be accepted", least=1)


class ErasureSettings(PlainSettings):
    prefix = "ERASURE_"

    grace_days = Number(7, "days an account's erasure waits and can be taken back")
