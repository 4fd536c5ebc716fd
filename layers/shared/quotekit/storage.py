"""Objects in S3: stored private, handed out by links that expire."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

from quotekit import aws
from quotekit.errors import ServiceUnavailableError
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


PIECE: Final = 8_388_608  # bytes sent at a time; S3 takes 5 MiB at least and 10,000 pieces at most


class Writing:
    """An object on its way to S3, a piece at a time; a file to whoever writes."""

    def __init__(self, bucket: str, key: str, content_type: str) -> None:
        self.bytes = 0
        self._object = {"Bucket": bucket, "Key": key}
        self._type = content_type
        self._piece = bytearray()
        self._upload: dict[str, str] = {}
        self._sent: list[dict[str, Any]] = []

    def write(self, content: bytes) -> int:
        self._piece += content
        self.bytes += len(content)
        while len(self._piece) >= PIECE:
            self._send(bytes(self._piece[:PIECE]))
            del self._piece[:PIECE]
        return len(content)

    def flush(self) -> None:
        """Nothing: what is written goes by whole pieces."""

    def close(self) -> None:
        """Let the object be there."""
        if not self._upload:
            content = bytes(self._piece)
            aws.client("s3").put_object(**self._object, Body=content, ContentType=self._type)
            return
        if self._piece:
            self._send(bytes(self._piece))
        parts = {"MultipartUpload": {"Parts": self._sent}}
        aws.client("s3").complete_multipart_upload(**self._upload, **parts)

    def abandon(self) -> None:
        """Give up; of a killed process the bucket's rules do it."""
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

        if self._upload:
            with suppress(BotoCoreError, ClientError):
                aws.client("s3").abort_multipart_upload(**self._upload)

    def _send(self, piece: bytes) -> None:
        s3 = aws.client("s3")
        if not self._upload:
            begun = s3.create_multipart_upload(**self._object, ContentType=self._type)
            self._upload = self._object | {"UploadId": begun["UploadId"]}
        number = len(self._sent) + 1
        answer = s3.upload_part(**self._upload, PartNumber=number, Body=piece)
        self._sent.append({"PartNumber": number, "ETag": answer["ETag"]})


@contextmanager
def writing(bucket: str, key: str, content_type: str) -> Iterator[Writing]:
    """Store an object of any size without holding it: it is there whole at the end, or not."""
    written = Writing(bucket, key, content_type)
    try:
        yield written
        written.close()
    except BaseException:
        written.abandon()
        raise


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


@dataclass(frozen=True, slots=True)
class Kept:
    """A version of an object as a versioned bucket keeps it, or the marker that it was deleted."""

    key: str
    version: str
    is_marker: bool


def versions(bucket: str, prefix: str) -> list[Kept]:
    """The first thousand versions below a prefix, by key; of the last key all, or none if others
    are there."""
    answer = aws.client("s3").list_object_versions(Bucket=bucket, Prefix=prefix)
    found = [
        Kept(item["Key"], item["VersionId"], is_marker=kind == "DeleteMarkers")
        for kind in ("Versions", "DeleteMarkers")
        for item in answer.get(kind, ())
    ]
    found.sort(key=lambda item: item.key)
    whole = [item for item in found if item.key != found[-1].key]
    return whole if answer["IsTruncated"] and whole else found


def erase(bucket: str, kept: Sequence[Kept]) -> None:
    """Delete versions for good."""
    listed = [{"Key": item.key, "VersionId": item.version} for item in kept]
    asked = {"Objects": listed, "Quiet": True}
    answer = aws.client("s3").delete_objects(Bucket=bucket, Delete=asked)
    if refused := answer.get("Errors"):
        raise ServiceUnavailableError(f"S3 did not delete {len(refused)}: {refused[0]['Code']}")


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
