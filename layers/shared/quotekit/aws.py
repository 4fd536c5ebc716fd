"""Clients of AWS services. boto3 takes a quarter of a second to import, so it waits for its first
use."""

from threading import Lock
from typing import Any, Final

_clients: Final[dict[str, Any]] = {}
_making: Final = Lock()  # boto3's default session must not make two clients at once


def client(service: str, *, attempts: int = 3) -> Any:  # noqa: ANN401 - callers know
    """The one client of a service, with short timeouts; one attempt where a queue repeats."""
    if service not in _clients:
        with _making:
            if service not in _clients:
                _clients[service] = _make(service, attempts)
    return _clients[service]


def _make(service: str, attempts: int) -> Any:  # noqa: ANN401
    import boto3  # noqa: PLC0415
    from botocore.config import Config  # noqa: PLC0415

    config = Config(
        connect_timeout=2,
        read_timeout=10,
        retries={"mode": "standard", "total_max_attempts": attempts},
        # Links and forms too: boto3 takes version 2 for them, which S3 refuses with a KMS key.
        signature_version="s3v4" if service == "s3" else None,
    )
    make: Any = boto3.client  # its overloads want a literal
    return make(service, config=config)


def forget() -> None:
    """Make the clients anew, from the environment as it is then."""
    _clients.clear()
