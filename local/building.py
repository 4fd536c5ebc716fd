"""sam build and sam deploy, skipped when nothing they depend on has changed."""

import asyncio
import fcntl
import hashlib
import os
import shutil
import signal
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import yaml

from local import template
from local.clients import CREDENTIALS, client
from local.invocation import REGION
from local.processes import bound, signal_group
from local.settings import (
    DATABASE_SECRET,
    MAIL_FROM,
    MIGRATION_SECRET,
    ROOT,
    STACK_NAME,
    STAGE,
    TOOLS,
    Settings,
    architecture,
)

BUILD: Final = ROOT / ".local" / "build"  # shared by all stacks of this checkout
TEMPLATE: Final = BUILD / "output" / "template.yaml"
INPUTS: Final = ("template.yaml", "functions", "layers", "migrations", "local/requirements/sam.txt")
DEPLOY_INPUTS: Final = (*INPUTS, "local/template.py", "local/building.py")
ARTIFACTS: Final = "quotekit-local-artifacts"
DEPLOYED: Final = "/quotekit/local/deployed"


class CommandError(Exception):
    """A program the stack needs has failed, with the last it said."""


def fingerprint(inputs: tuple[str, ...], *further: str, root: Path = ROOT) -> str:
    """One hash over all that a build or a deployment is made of."""
    digest = hashlib.sha256("\0".join([architecture(), *further]).encode())
    for name in inputs:
        for file in sorted(_files(root / name)):
            digest.update(str(file.relative_to(root)).encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
    for file in path.rglob("*"):
        if file.is_file() and "__pycache__" not in file.parts:
            yield file


async def build(log: Path) -> bool:
    """Build for this machine; False when the last build was of the same sources."""
    wanted, stamp = fingerprint(INPUTS), BUILD / "inputs"
    BUILD.mkdir(parents=True, exist_ok=True)
    async with _build_folder(fcntl.LOCK_EX):
        if stamp.exists() and stamp.read_text() == wanted and TEMPLATE.exists():
            return False
        stamp.unlink(missing_ok=True)
        await _sam(
            log,
            *("build", "--cached", "--parallel"),
            *("--build-dir", str(TEMPLATE.parent), "--cache-dir", str(BUILD / "cache")),
            *("--parameter-overrides", f"Architecture={architecture()}", f"Stage={STAGE}"),
            QUOTEKIT_ARCHITECTURE=architecture(),
        )
        stamp.write_text(wanted)
    return True


async def build_for_aws(log: Path, target: str) -> None:
    """Build into .aws-sam/build, where `sam deploy` looks."""
    overrides = ("--parameter-overrides", f"Architecture={target}")
    await _sam(log, "build", "--cached", "--parallel", *overrides, QUOTEKIT_ARCHITECTURE=target)


def parameters(settings: Settings) -> dict[str, str]:
    """The template's parameters on this machine, as far as the template has them."""
    values = {
        "Stage": STAGE,
        "Architecture": architecture(),
        "DatabaseSecret": DATABASE_SECRET,
        "MigrationSecret": MIGRATION_SECRET,
        "JwtIssuer": settings.issuer_url,
        "JwtAudience": "quotekit",
        "JwksUrl": f"{settings.issuer_url}/.well-known/jwks.json",
        "PortalUrl": f"{settings.api_url}/q",
        "MailFrom": MAIL_FROM,
    }
    declared = template.load(TEMPLATE).get("Parameters", {})
    return {name: value for name, value in values.items() if name in declared}


async def deploy(settings: Settings, log: Path) -> bool:
    """Deploy to the emulator; False when it has exactly this already.

    What was deployed is noted in the emulator itself, so the note is lost with its state.
    """
    values = parameters(settings)
    settled = [f"{name}={value}" for name, value in sorted(values.items())]
    wanted = fingerprint(DEPLOY_INPUTS, settings.aws_url, *settled)
    ssm = client("ssm", settings.aws_url)
    if await asyncio.to_thread(_noted, ssm) == wanted:
        return False
    await asyncio.to_thread(_ensure_bucket, settings)
    async with _build_folder(fcntl.LOCK_SH):
        await _sam_deploy(settings, values, log)
    await asyncio.to_thread(_complete, settings)
    await asyncio.to_thread(
        lambda: ssm.put_parameter(Name=DEPLOYED, Value=wanted, Type="String", Overwrite=True)
    )
    return True


async def _sam_deploy(settings: Settings, values: Mapping[str, str], log: Path) -> None:
    edited = TEMPLATE.with_name(f"local-{settings.ports['AWS']}.yaml")
    content = template.for_emulator(template.load(TEMPLATE))
    edited.write_text(yaml.safe_dump(content, sort_keys=False, width=1000), encoding="utf-8")
    await _sam(
        log,
        *("deploy", "--template-file", str(edited), "--stack-name", STACK_NAME),
        *("--s3-bucket", ARTIFACTS, "--capabilities", "CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"),
        *("--no-confirm-changeset", "--no-fail-on-empty-changeset", "--no-progressbar"),
        *("--parameter-overrides", *(f"{name}={value}" for name, value in values.items())),
        AWS_ENDPOINT_URL=settings.aws_url,
        **CREDENTIALS,
    )


def deployed(settings: Settings) -> template.Deployed:
    """The stack as it is in the emulator."""
    formation = client("cloudformation", settings.aws_url)
    pages = formation.get_paginator("list_stack_resources").paginate(StackName=STACK_NAME)
    names = {
        item["LogicalResourceId"]: item.get("PhysicalResourceId", "")
        for page in pages
        for item in page["StackResourceSummaries"]
    }
    stack = formation.describe_stacks(StackName=STACK_NAME)["Stacks"][0]
    values = {item["ParameterKey"]: item["ParameterValue"] for item in stack["Parameters"]}
    return template.Deployed(template.load(TEMPLATE), values, names)


def _noted(ssm: Any) -> str | None:  # noqa: ANN401  # a boto3 client
    try:
        value: str = ssm.get_parameter(Name=DEPLOYED)["Parameter"]["Value"]
    except ssm.exceptions.ParameterNotFound:
        return None
    return value


def _ensure_bucket(settings: Settings) -> None:
    client("s3", settings.aws_url).create_bucket(Bucket=ARTIFACTS)


def _complete(settings: Settings) -> None:
    """Set what the emulator's CloudFormation leaves out."""
    functions = client("lambda", settings.aws_url)
    for name, reserve in deployed(settings).reserved_concurrency().items():
        functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=reserve)


async def _sam(log: Path, *arguments: str, **environment: str) -> None:
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("AWS_") and name != "PYTHONDONTWRITEBYTECODE"
    }
    uv = os.environ.get("UV") or str(TOOLS / "bootstrap" / "bin" / "uv")
    await run(
        log,
        str(TOOLS / "sam" / "bin" / "sam"),
        *arguments,
        environment={
            **inherited,
            "PATH": f"{TOOLS / 'python'}:{os.environ['PATH']}",  # sam wants the real python3.13
            "SAM_CLI_TELEMETRY": "0",
            "AWS_DEFAULT_REGION": REGION,
            "UV": uv,
            **environment,
        },
    )


async def run(log: Path, *command: str, environment: Mapping[str, str] | None = None) -> None:
    """Run a program to its end; what it says goes to the log, and into the error if it fails."""
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *bound(*command),
            cwd=ROOT,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            code = await process.wait()
        finally:
            signal_group(process.pid, signal.SIGKILL)
    if code:
        raise CommandError(f"{Path(command[0]).name} {command[1]} failed:\n{_end_of(log)}")


def _end_of(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace").strip()[-2000:]


@asynccontextmanager
async def _build_folder(kind: int) -> AsyncIterator[None]:
    """Stacks of one checkout share it: one builds, or several deploy from it."""
    with (BUILD / "lock").open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, kind | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                await asyncio.sleep(0.1)
        yield


def missing_tools() -> str | None:
    """What setup has to make before anything can run."""
    needed = {
        "python3.13": TOOLS / "python" / "python3.13",
        "sam": TOOLS / "sam" / "bin" / "sam",
        "the emulator": TOOLS / "emulator" / "bin" / "python",
        "awslambdaric": TOOLS / "runtime" / "bin" / "python",
    }
    gone = [name for name, path in needed.items() if shutil.which(str(path)) is None]
    return f"{', '.join(gone)} not found; run: bash local/setup.sh" if gone else None
