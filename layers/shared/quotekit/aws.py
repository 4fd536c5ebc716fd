"""Clients of AWS services. boto3 takes a quarter of a second to import, so it waits for its first use."""

from functools import cache
from typing import Any


@cache
def client(service: str) -> Any:  # noqa: ANN401 - each caller names the type it gets
    """The one client of a service, with short timeouts and standard retries."""
    import boto3  # noqa: PLC0415
    from botocore.config import Config  # noqa: PLC0415

    retries = {"mode": "standard", "max_attempts": 3}
    return boto3.client(
        service,  # type: ignore[call-overload]
        config=Config(connect_timeout=2, read_timeout=10, retries=retries),  # type: ignore[arg-type]
    )
