"""boto3 clients of the emulator, alike whatever AWS settings the developer has."""

from typing import Any, Final

import boto3
from botocore.config import Config

from local.invocation import REGION

# The emulator takes any; a real account is never touched.
CREDENTIALS: Final = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}


def client(service: str, endpoint_url: str, *, connections: int = 10) -> Any:  # noqa: ANN401
    """A client; typed as Any because one function makes them all."""
    return boto3.session.Session(
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        region_name=REGION,
    ).client(
        service,  # type: ignore[call-overload]  # the stubs want a literal
        endpoint_url=endpoint_url,
        config=Config(
            max_pool_connections=connections,
            connect_timeout=5,
            read_timeout=60,
            retries={"max_attempts": 2, "mode": "standard"},
        ),
    )
