"""Objects in S3: stored private, handed out by links that expire."""

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


def exists(bucket: str, key: str) -> bool:
    from botocore.exceptions import ClientError  # noqa: PLC0415

    try:
        aws.client("s3").head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response["Error"]["Code"] in {"NoSuchKey", "404"}:
            return False
        raise
    return True


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
