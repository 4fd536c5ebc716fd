"""One quote created by quote-processor and by FastAPI with Mangum: `python bench/create.py`.

Both run in awslambdaric behind the local Runtime API, on the same database with row level
security, from byte-compiled libraries, and price by the same calculator. Cold is from the start of
the process to its first correct answer; warm is one request after the other. Rounds alternate.
"""

import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "layers/shared")]

import jwt  # noqa: E402
import psycopg  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: E402

from local.environment import Environment  # noqa: E402
from local.invocation import Call, Version  # noqa: E402
from local.postgres import Server  # noqa: E402

COLD: Final = 12
WARM: Final = 300
USER: Final = "01900000-0000-7000-8000-000000000001"
ACCOUNT: Final = "01900000-0000-7000-8000-0000000000a1"
RUNTIME: Final = ROOT / ".local/tools/runtime/bin/python"
PEERS: Final = ROOT / ".local/tools/bench"
TICKS: Final = os.sysconf("SC_CLK_TCK")


def opt(folder: Path) -> tuple[Path, Path]:
    """Two /opt folders: our layers as the build makes them, the peer's libraries compiled alike."""
    ours, theirs = layers(folder / "ours"), folder / "theirs"
    packages = next((PEERS / "lib").glob("python3.*")) / "site-packages"
    shutil.copytree(packages, theirs / "python", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "layers/shared/quotekit", theirs / "python/quotekit")
    compile_all(theirs)
    return ours, theirs


def layers(place: Path) -> Path:
    """The /opt of our functions, as the build makes it."""
    for name, target in (("dependencies", "DependenciesLayer"), ("shared", "SharedLayer")):
        subprocess.run(
            [
                "make",
                "-s",
                "-C",
                ROOT / "layers" / name,
                f"build-{target}",
                f"ARTIFACTS_DIR={place}",
            ],
            check=True,
            env=os.environ | {"QUOTEKIT_ARCHITECTURE": os.uname().machine},
            stdout=subprocess.DEVNULL,
        )
    compile_all(place)
    return place


def compile_all(place: Path) -> None:
    subprocess.run(
        [RUNTIME, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", place],
        check=False,
        stdout=subprocess.DEVNULL,
        env={k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"},
    )


@contextmanager
def issuer(folder: Path) -> Iterator[tuple[str, str]]:
    """A JWKS over HTTP, and a token."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    jwks = {"keys": [public | {"kid": "bench", "alg": "RS256", "use": "sig"}]}
    (folder / "jwks.json").write_text(json.dumps(jwks))

    class Quiet(SimpleHTTPRequestHandler):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments, directory=str(folder))

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    now = int(time.time())
    claims = {"iss": "bench", "aud": "quotekit", "sub": USER, "account_id": ACCOUNT}
    claims |= {"iat": now, "exp": now + 3600, "jti": "bench"}
    try:
        token = jwt.encode(claims, key, "RS256", headers={"kid": "bench"})
        yield f"http://127.0.0.1:{server.server_port}/jwks.json", token
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def database(folder: Path) -> Iterator[str]:
    with Server(folder / "data") as server:
        url = server.url.removesuffix("postgres") + "quotekit"
        with psycopg.connect(server.url, autocommit=True) as owner:
            owner.execute("create database quotekit")
        arguments = ["--migrations-dir", ROOT / "migrations", "--no-dump-schema", "up"]
        dbmate = ROOT / ".venv/bin/dbmate"
        subprocess.run(
            [dbmate, "--url", f"{url}?sslmode=disable", *arguments],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        with psycopg.connect(url, autocommit=True) as owner:
            owner.execute("alter role quotekit_functions password 'bench'")
        host = url.rpartition("@")[2]
        yield f"postgresql://quotekit_functions:bench@{host}"


def event(token: str) -> bytes:
    """The committed event with a token; ten lines."""
    request = json.loads((ROOT / "events/quote_processor.json").read_text())
    request["headers"]["authorization"] = f"Bearer {token}"
    body = json.loads(request["body"])
    body["line_items"] = [body["line_items"][0]] * 10
    request["body"] = json.dumps(body)
    return json.dumps(request).encode()


class Contender:
    """One function in its own environments."""

    def __init__(self, name: str, version: Version, payload: bytes) -> None:
        self.name, self.version, self.payload = name, version, payload
        self.cold: list[float] = []
        self.warm: list[float] = []
        self.cpu: list[float] = []
        self.environment = self.make()

    def make(self) -> Environment:
        return Environment(self.version, RUNTIME, {}, lambda *_: None, freeze=False)

    async def call(self) -> None:
        outcome = await self.environment.invoke(Call(self.payload, self.version.arn("live")))
        answer = json.loads(outcome.payload)
        if not self.check(answer):
            raise SystemExit(f"{self.name}: {outcome.payload[:500]!r}\n{outcome.log}")

    def check(self, answer: dict[str, Any]) -> bool:
        return answer.get("statusCode") == 201 and "total" in answer["body"]

    async def start_cold(self) -> None:
        await self.environment.stop()
        self.environment = self.make()
        started = time.perf_counter()
        failure = await self.environment.start()
        if failure:
            raise SystemExit(f"{self.name}: {failure.payload!r}\n{failure.log}")
        await self.call()
        self.cold.append((time.perf_counter() - started) * 1000)

    async def run_warm(self, count: int) -> None:
        before = self.processor()
        for _ in range(count):
            started = time.perf_counter()
            await self.call()
            self.warm.append((time.perf_counter() - started) * 1000)
        self.cpu.append((self.processor() - before) / count)

    def processor(self) -> float:
        """Milliseconds of CPU the process used so far."""
        process = self.environment._process  # noqa: SLF001
        stat = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(stat[11]) + int(stat[12])) * 1000 / TICKS


async def measure(contenders: list[Contender]) -> None:
    for contender in contenders:
        await contender.environment.start()
    for _ in range(COLD):
        for contender in contenders:
            await contender.start_cold()
    for contender in contenders:
        await contender.run_warm(20)
        contender.warm.clear()
        contender.cpu.clear()
    for _ in range(6):
        for contender in contenders:
            await contender.run_warm(WARM // 6)
    for contender in contenders:
        await contender.environment.stop()


def table(ours: Contender, theirs: Contender) -> str:
    def row(name: str, pick: Any) -> str:
        mine, other = pick(ours), pick(theirs)
        return f"| {name} | {mine:.1f} | {other:.1f} | {other / mine:.2f} × |"

    rows = [
        row(
            "cold, process start to first answer, ms (median)", lambda c: statistics.median(c.cold)
        ),
        row("warm request, ms (median)", lambda c: statistics.median(c.warm)),
        row("warm request, ms (p95)", lambda c: statistics.quantiles(c.warm, n=20)[-1]),
        row("warm request, CPU ms of the function", lambda c: statistics.mean(c.cpu)),
    ]
    head = f"| one quote of ten lines | {ours.name} | {theirs.name} | ratio |\n|---|---|---|---|"
    return "\n".join([head, *rows])


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        folder.chmod(0o755)
        ours, theirs = opt(folder)
        with database(folder) as url, issuer(folder) as (jwks_url, token):
            variables = {
                "DATABASE_URL": url,
                "AUTH_ISSUER": "bench",
                "AUTH_AUDIENCE": "quotekit",
                "AUTH_JWKS_URL": jwks_url,
                "POWERTOOLS_SERVICE_NAME": "bench",
                "POWERTOOLS_METRICS_NAMESPACE": "QuoteKit",
                "PORTAL_URL": "http://127.0.0.1",
                "DATABASE_PREPARE_THRESHOLD": "5",  # psycopg's own default, which the peer has too
            }
            payload = event(token)
            mine, peer = (
                Contender(
                    name,
                    Version(
                        name, "1", "app.lambda_handler", root, opt_folder, 30.0, 1024, variables
                    ),
                    payload,
                )
                for name, root, opt_folder in (
                    ("quote-processor", ROOT / "functions/quote_processor", ours),
                    ("FastAPI + Mangum", ROOT / "bench/peer", theirs),
                )
            )
            asyncio.run(measure([mine, peer]))
        print(table(mine, peer))


if __name__ == "__main__":
    main()
