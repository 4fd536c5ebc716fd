"""Invoked by the deploy: brings the schema to the newest migration, from inside the VPC.

Event: `{"command": "up" | "status" | "rollback"}`; "up" when left out.
"""

import os
import subprocess
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import quote

from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, ConfigDict

from quotekit import performance, secrets
from quotekit.performance import logger, metrics
from quotekit.settings import database_settings

DBMATE: Final = Path(__file__).with_name("bin") / "dbmate"
# Where layers lie: /opt on Lambda; the local runner says where it put them.
MIGRATIONS: Final = f"{os.environ.get('LAMBDA_LAYERS_ROOT', '/opt')}/migrations"
SECONDS: Final = 570


class Migration(BaseModel):
    model_config = ConfigDict(extra="forbid")

    command: Literal["up", "status", "rollback"] = "up"


class MigrationFailedError(Exception):
    """dbmate stopped; its words are in the message."""


def address() -> str:
    """The owner's address of the database, from the secret."""
    settings = database_settings()
    if settings.url:
        return settings.url.get_secret_value()
    secret = secrets.secret(settings.need("secret"))
    if "url" in secret:
        return str(secret["url"])
    login = f"{quote(secret['username'], safe='')}:{quote(secret['password'], safe='')}"
    place = f"{secret['host']}:{secret.get('port', 5432)}"
    return f"postgresql://{login}@{place}/{secret.get('dbname', 'postgres')}?sslmode=require"


def migrate(command: str, *, dbmate: Path = DBMATE, migrations: str = MIGRATIONS) -> str:
    """What dbmate said. The address travels in the environment: a command line can be listed."""
    done = subprocess.run(  # noqa: S603
        [dbmate, "--migrations-dir", migrations, "--no-dump-schema", command],
        env={"DATABASE_URL": address(), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    if done.returncode:
        raise MigrationFailedError(done.stderr.strip()[-2000:])
    return done.stdout.strip()


@logger.inject_lambda_context
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    with performance.measured("deploy"):
        wanted = Migration.model_validate(event)
        output = migrate(wanted.command)
    logger.info("migrated", command=wanted.command)
    return {"command": wanted.command, "output": output.splitlines()}
