"""Where the stack puts its things: folders, ports, addresses."""

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
TOOLS: Final = ROOT / ".local" / "tools"
STACK_NAME: Final = "quotekit-local"
STAGE: Final = "local"
DATABASE_SECRET: Final = "quotekit/local/database"  # noqa: S105  # its name
MIGRATION_SECRET: Final = "quotekit/local/migration"  # noqa: S105  # its name
# What senders of webhooks sign with here: the vendors' own examples where they publish some.
WEBHOOK_SECRETS: Final[Mapping[str, Mapping[str, object]]] = {
    "stripe": {"secrets": ["whsec_local"]},
    "github": {"secrets": ["It's a Secret to Everybody"]},
    "tiktok-shop": {"secrets": ["e59af819cc"], "app_key": "29a39d"},
    "easypost": {"secrets": ["sécret"]},
    "shippo": {"secrets": ["shippo-secret"]},
}
MAIL_FROM: Final = "quotes@quotekit.local"
PORTS: Final = {
    "API": (8080, "the API"),
    "AWS": (4566, "the AWS emulator"),
    "MAIL": (8025, "the mail page"),
    "DATABASE": (5433, "PostgreSQL"),
    "INVOKE": (9001, "Lambda's Invoke API"),
    "ISSUER": (8081, "the token issuer"),
}


class SettingsError(Exception):
    """A setting can't be used."""


@dataclass(frozen=True)
class Settings:
    local: Path  # stack.json, lock and data
    ports: Mapping[str, int]
    database_url: str | None = None
    freeze: bool = True

    @property
    def data(self) -> Path:
        return self.local / "data"

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['API']}"

    @property
    def aws_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['AWS']}"

    @property
    def mail_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['MAIL']}"

    @property
    def invoke_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['INVOKE']}"

    @property
    def issuer_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['ISSUER']}"


def variable(part: str) -> str:
    return f"QUOTEKIT_{part}_PORT"


def read(environment: Mapping[str, str] = os.environ) -> Settings:
    """Settings from QUOTEKIT_DATA, QUOTEKIT_*_PORT, QUOTEKIT_FREEZE and DATABASE_URL."""
    ports = {}
    for part, (default, _) in PORTS.items():
        given = environment.get(variable(part), str(default))
        if not given.isdigit() or not 0 < int(given) < 65536:  # noqa: PLR2004
            raise SettingsError(f"{variable(part)} is {given!r}, not a port number")
        ports[part] = int(given)
    return Settings(
        local=Path(environment.get("QUOTEKIT_DATA") or ROOT / ".local").resolve(),
        ports=ports,
        database_url=environment.get("DATABASE_URL") or None,
        freeze=environment.get("QUOTEKIT_FREEZE", "1") != "0",
    )


def architecture() -> str:
    return "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64"
