"""Objects in S3: stored private, handed out by links that expire."""

from dataclasses import dataclass
from typing import Final

from quotekit import aws
from quotekit.settings import storage_settings

INLINE: Final = 'inline; filename="{}"'


def documents() -> str:
    """The bucket of printed quotes."""
    return storage_settings().need("documents_bucket")


def assets() -> str:
    """The bucket of logos."""
    return storage_settings().need("assets_bucket")


def put(bucket: str, key: str, content: bytes, content_type: str) -> None:
    """Store an object; encryption is the bucket's own default."""
    aws.client("s3").put_object(Bucket=bucket, Key=key, Body=content, ContentType=content_type)


def get(bucket: str, key: str) -> bytes:
    """The content of an object; raises FileNotFoundError when there is none."""
    from botocore.exceptions import ClientError  # noqa: PLC0415

    try:
        content: bytes = aws.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    except ClientError as error:
        if error.response["Error"]["Code"] in {"NoSuchKey", "404"}:
            raise FileNotFoundError(key) from error
        raise
    return content


class ChangedError(Exception):
    """The object is not the one it was."""


def part(bucket: str, key: str, start: int, size: int, *, etag: str) -> bytes:
    """So many bytes of an object from an offset on; none behind its end.

    Raises FileNotFoundError, or ChangedError when the object has another ETag now."""
    from botocore.exceptions import ClientError  # noqa: PLC0415

    asked = {"Bucket": bucket, "Key": key, "IfMatch": etag}
    try:
        answer = aws.client("s3").get_object(**asked, Range=f"bytes={start}-{start + size - 1}")
        content: bytes = answer["Body"].read()
    except ClientError as error:
        match error.response["Error"]["Code"]:
            case "InvalidRange" | "416":
                return b""
            case "NoSuchKey" | "404":
                raise FileNotFoundError(key) from error
            case "PreconditionFailed" | "412":
                raise ChangedError(key) from error
        raise
    return content


@dataclass(frozen=True, slots=True)
class Stored:
    """What is known of an object without reading it."""

    bytes: int
    etag: str


def look(bucket: str, key: str) -> Stored | None:
    """What S3 knows of an object, when there is one."""
    from botocore.exceptions import ClientError  # noqa: PLC0415

    try:
        answer = aws.client("s3").head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response["Error"]["Code"] in {"NoSuchKey", "404"}:
            return None
        raise
    return Stored(answer["ContentLength"], answer["ETag"])


def exists(bucket: str, key: str) -> bool:
    return look(bucket, key) is not None


def link(bucket: str, key: str, *, seconds: int, filename: str) -> str:
    """An address that gives the object out for so many seconds, shown under a file name."""
    parameters = {
        "Bucket": bucket,
        "Key": key,
        "ResponseContentDisposition": INLINE.format(filename),
    }
    url: str = aws.client("s3").generate_presigned_url(
        "get_object", Params=parameters, ExpiresIn=seconds
    )
    return url


def upload_form(
    bucket: str, key: str, *, content_type: str, most_bytes: int, seconds: int
) -> dict[str, object]:
    """A presigned POST: `url` and the form `fields` with which a browser may store one object."""
    form: dict[str, object] = aws.client("s3").generate_presigned_post(
        bucket,
        key,
        Fields={"Content-Type": content_type},
        Conditions=[
            {"Content-Type": content_type},
            ["content-length-range", 1, most_bytes],
        ],
        ExpiresIn=seconds,
    )
    return form
