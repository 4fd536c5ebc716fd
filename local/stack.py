"""The whole stack in one process: started in order, watched, ended in the opposite order."""

import asyncio
import fcntl
import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from local import building, database, demo, parts
from local.console import FunctionLog, Progress, open_log
from local.emulator import Emulator
from local.invocation import REGION
from local.issuer import ADMIN, AUDIENCE, USER, Issuer
from local.parts import Parts, Work
from local.serving import bind
from local.settings import (
    DATABASE_SECRET,
    MIGRATION_SECRET,
    PORTS,
    STAGE,
    WEBHOOK_SECRETS,
    Settings,
    variable,
)

OURS: Final = ("API", "MAIL", "INVOKE", "ISSUER")  # served by this process


class StackError(Exception):
    """Said in one line; the stack ends with exit code 1."""


class Stack:
    def __init__(self, settings: Settings, console: Console) -> None:
        self._settings = settings
        self._console = console
        self._progress = Progress(console)
        self._data = settings.data
        self._watched: dict[str, asyncio.Task[object]] = {}
        self._database_url = ""
        self._issuer = Issuer(self._data / "issuer.pem", settings.issuer_url, AUDIENCE)

    async def run(self) -> None:
        """Start everything, say so, and stay until something ends; then end the rest."""
        async with AsyncExitStack() as exits:
            listeners = self._reserve_ports(exits)
            await self._start(exits, listeners)
            self._begin("log", self._reload_on_hangup())
            tokens = self._issuer.token(*USER), self._issuer.token(*ADMIN)
            self._say_ready(*tokens)
            self._write_contract(exits, *tokens)
            self._log.quiet = False
            raise StackError(await self._first_end())

    def _reserve_ports(self, exits: AsyncExitStack) -> dict[str, socket.socket]:
        """Find every taken port before anything is started."""
        listeners = {}
        for part, (_, purpose) in PORTS.items():
            if part == "DATABASE" and self._settings.database_url:
                continue
            listener = bind(self._settings.ports[part], purpose, variable(part))
            if part in OURS:
                listeners[part] = listener
                exits.callback(listener.close)
            else:
                listener.close()
        return listeners

    async def _start(self, exits: AsyncExitStack, listeners: Mapping[str, socket.socket]) -> None:
        exits.push_async_callback(self._end_tasks)
        emulator = Emulator(self._settings)
        exits.push_async_callback(emulator.stop)
        async with asyncio.TaskGroup() as group:  # one failure cancels the others
            group.create_task(self._build())
            group.create_task(self._start_emulator(emulator))
            self._begin_database(exits)
            group.create_task(self._migrate())
        self._begin("emulator", emulator.wait())
        with self._progress.stage("deploy to the emulator") as notes:
            await asyncio.to_thread(self._prepare_account)
            changed = await building.deploy(self._settings, self._data / "sam.log")
            notes.append("sam deploy" if changed else "nothing changed")
        self._log = FunctionLog(
            exits.enter_context(open_log(self._data / "functions.log")), self._console
        )
        self._parts = Parts(self._settings, self._issuer, self._log)
        exits.push_async_callback(self._parts.stop)
        with self._progress.stage("functions, API, queues, schedules") as notes:
            notes.extend(await self._parts.reload())
            self._parts.start(listeners, self._begin)
            self._begin("sources", self._parts.watch())
        with self._progress.stage("demo account") as notes:
            try:
                notes.append(await self._fill_demo())
            except demo.DemoError as error:  # whoever breaks a door wants the stack to look at it
                notes.append(f"not made: {error}")

    async def _build(self) -> None:
        with self._progress.stage("build the functions") as notes:
            changed = await building.build(self._data / "sam.log")
            notes.append("sam build" if changed else "nothing changed")

    async def _start_emulator(self, emulator: Emulator) -> None:
        with self._progress.stage("AWS emulator"):
            await emulator.start()

    def _begin_database(self, exits: AsyncExitStack) -> None:
        """Start the server from this thread: it ends with the thread that started it."""
        with self._progress.stage("PostgreSQL") as notes:
            server = database.server(self._settings)
            if server is None:
                self._database_url = self._settings.database_url or ""
                notes.append("yours, from DATABASE_URL")
                return
            exits.callback(server.stop)
            server.start()
            self._database_url = database.ensure_database(server.url)
            self._begin("database", _outlive(server))

    async def _migrate(self) -> None:
        with self._progress.stage("migrations"):
            await database.migrate(self._database_url, self._data / "migrate.log")

    def _prepare_account(self) -> None:
        """What an AWS account has before a deploy: secrets and a verified sender."""
        login = database.login_url(self._database_url, self._data / "functions.password")
        owner = database.without_tls(self._database_url)
        for name, url in ((DATABASE_SECRET, login), (MIGRATION_SECRET, owner)):
            parts.put_secret(self._settings, name, json.dumps({"url": url}))
        for source, secret in WEBHOOK_SECRETS.items():
            name = f"quotekit/{STAGE}/webhooks/{source}"
            parts.put_secret(self._settings, name, json.dumps(secret))
        parts.verify_sender(self._settings)

    async def _fill_demo(self) -> str:
        return await demo.fill(
            self._database_url, self._settings.api_url, self._issuer.token(*USER)
        )

    def _begin(self, name: str, work: Work) -> None:
        self._watched[name] = asyncio.create_task(work)

    async def _first_end(self) -> str:
        done, _ = await asyncio.wait(self._watched.values(), return_when=asyncio.FIRST_COMPLETED)
        name, task = next((n, t) for n, t in self._watched.items() if t in done)
        error = task.exception()
        return f"{name} failed: {error!r}" if error else str(task.result() or f"{name} ended")

    async def _end_tasks(self) -> None:
        for task in self._watched.values():
            task.cancel()
        await asyncio.gather(*self._watched.values(), return_exceptions=True)

    async def _reload_on_hangup(self) -> None:
        """`make deploy` while the stack runs: SIGHUP says the emulator has something new."""
        hangup = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, hangup.set)
        while True:
            await hangup.wait()
            hangup.clear()
            with self._progress.stage("reload") as notes:
                notes.extend(await self._parts.reload())

    def _write_contract(self, exits: AsyncExitStack, user: str, admin: str) -> None:
        """stack.json: what other tools need to use the stack; there while it runs."""
        settings = self._settings
        contract = {
            "api_url": settings.api_url,
            "token": user,
            "admin_token": admin,
            "database_url": self._database_url,
            "aws_endpoint_url": settings.aws_url,
            "mail_url": settings.mail_url,
            "region": REGION,
            "invoke_url": settings.invoke_url,
            "issuer_url": settings.issuer_url,
        }
        headers = f"authorization: Bearer {user}\ncontent-type: application/json\n"
        for name, text in (
            ("user.headers", headers),
            ("stack.json", json.dumps(contract, indent=2) + "\n"),
        ):
            file = settings.local / name
            draft = file.with_suffix(".draft")
            draft.touch(mode=0o600)
            draft.write_text(text, encoding="utf-8")
            draft.rename(file)
            exits.callback(file.unlink, missing_ok=True)

    def _say_ready(self, user: str, admin: str) -> None:
        settings = self._settings
        file = os.path.relpath(settings.local / "user.headers")
        curl, quotes = f"curl -sS -H @{file}", f"{settings.api_url}/v1/quotes"
        body = json.dumps(demo.TRY_QUOTE, separators=(",", ":"))
        newest = (
            f"$({curl} '{quotes}?status=draft&limit=1' |"
            ' python3 -c \'import json,sys; print(json.load(sys.stdin)["data"][0]["id"])\')'
        )
        rows = {
            "API": settings.api_url,
            "Try it": f"{settings.api_url}/docs",
            "Mail": settings.mail_url,
            "AWS": f"{settings.aws_url}   (aws --endpoint-url …)",
            "Invoke": settings.invoke_url,
            "Issuer": settings.issuer_url,
            "Database": self._database_url,
            "User token": user,
            "Admin token": admin,
        }
        self._console.print("\n[bold green]QuoteKit is ready.[/]\n")
        for name, value in rows.items():
            self._plain(f"  {name:<12} {value}")
        self._console.print("\nTry:\n")
        self._plain(f"  {curl} -d '{body}' {quotes}")
        self._plain(f"  {curl} {quotes}")
        self._plain(f'  {curl} -d \'{{"channel":"email"}}\' {quotes}/{newest}/send')
        self._console.print("\n[dim]Ctrl-C ends it. The functions' log follows.[/]\n")

    def _plain(self, text: str) -> None:
        self._console.print(text, soft_wrap=True, highlight=False, markup=False)


async def _outlive(server: Any) -> str:  # noqa: ANN401  # a postgres.Server
    while server.process.poll() is None:  # noqa: ASYNC110  # no event tells of a process's end
        await asyncio.sleep(0.3)
    return f"PostgreSQL ended; see {server.data_directory / 'server.log'}"


@contextmanager
def only_one(settings: Settings) -> Iterator[None]:
    """Hold the lock that says a stack runs here; the file names the process."""
    settings.data.mkdir(parents=True, exist_ok=True)
    with lock_file(settings).open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            process = running(settings) or "unknown"
            raise StackError(
                f"a stack is running already (process {process}); end it with: make stop"
            ) from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        (settings.local / "stack.json").unlink(missing_ok=True)  # of a run that was killed
        yield


def lock_file(settings: Settings) -> Path:
    return settings.local / "stack.lock"


def running(settings: Settings) -> int | None:
    """The process of the stack that runs here, if one does."""
    try:
        with lock_file(settings).open("r+") as lock:
            pid = int(lock.read() or 0)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return pid
    except FileNotFoundError:
        pass
    return None


def await_end(settings: Settings, seconds: float) -> bool:
    return _await(lambda: running(settings) is None, seconds)


def _await(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
