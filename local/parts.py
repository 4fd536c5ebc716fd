"""What runs between the emulator and the developer: runtime, front, sources, schedules, pages."""

import asyncio
import socket
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import httpx

from local import building, sources
from local.clients import CREDENTIALS, client
from local.deployment import Deployment
from local.environment import LogSink
from local.front import Front
from local.invocation import REGION
from local.issuer import USER, Issuer, IssuerPages
from local.lambda_api import LambdaApi
from local.mailbox import Mailbox
from local.mails import MailStore
from local.packages import PackageStore
from local.routes import RouteTable
from local.runtime import Runtime
from local.runtime import Settings as RuntimeSettings
from local.schedules import Schedule, fire
from local.serving import serve
from local.settings import MAIL_FROM, TOOLS, Settings
from local.try_it import TryIt
from local.web import Web
from local.wire import Caller

type Work = Coroutine[Any, Any, object]


class Parts:
    """Made once the stack is deployed; `reload` follows a new deployment."""

    def __init__(self, settings: Settings, issuer: Issuer, log: LogSink) -> None:
        self._settings = settings
        packages = PackageStore(settings.data / "code")
        self._deployment = Deployment(settings.aws_url, packages)
        self.runtime = Runtime(self._deployment, _runtime_settings(settings), log)
        self._emulator = httpx.AsyncClient(
            base_url=settings.aws_url, timeout=30, trust_env=False, limits=httpx.Limits()
        )
        self._caller = Caller(settings.aws_url)
        self._front = Front(self.runtime, RouteTable([]), port=settings.ports["API"])
        mailbox = Mailbox(MailStore(settings.data / "mails"), self._emulator)
        self.applications: dict[str, Any] = {
            "API": Web(TryIt(self._front, lambda: issuer.token(*USER))),
            "MAIL": mailbox.application,
            "INVOKE": LambdaApi(self.runtime).application,
            "ISSUER": IssuerPages(issuer).application,
        }
        self._feeders: list[asyncio.Task[object]] = []

    def start(
        self, listeners: Mapping[str, socket.socket], begin: Callable[[str, Work], None]
    ) -> None:
        """Begin everything that runs until the end."""
        for part, application in self.applications.items():
            begin(part.lower(), serve(application, listeners[part]))
        begin("environments", self.runtime.reap())

    async def reload(self) -> list[str]:
        """Read routes, mappings and schedules anew; what is returned describes them."""
        deployed = await asyncio.to_thread(building.deployed, self._settings)
        routes = deployed.routes()
        self._front.routes = RouteTable(routes)
        self._front.cors = deployed.cors()
        await self._deployment.load(deployed.functions())
        mappings = await asyncio.to_thread(self._mappings)
        schedules = await asyncio.to_thread(self._schedules)
        await self._end_feeders()
        self._feeders = [
            *(asyncio.create_task(self._poller(mapping).run()) for mapping in mappings),
            *(asyncio.create_task(fire(schedule, self.runtime)) for schedule in schedules),
        ]
        return [
            f"{len(deployed.functions())} functions",
            f"{len(routes)} routes",
            f"{len(mappings)} queues",
            f"{len(schedules)} schedules",
        ]

    async def watch(self) -> str:
        """Wait until a poller or a schedule fails; what is returned says so."""
        while True:
            for task in self._feeders:
                if task.done() and not task.cancelled() and task.exception():
                    return f"an event source failed: {task.exception()!r}"
            await asyncio.sleep(0.5)

    async def stop(self) -> None:
        await self._end_feeders()
        await self.runtime.stop()
        await self._emulator.aclose()
        self._caller.close()

    async def _end_feeders(self) -> None:
        for task in self._feeders:
            task.cancel()
        await asyncio.gather(*self._feeders, return_exceptions=True)

    def _poller(self, mapping: sources.Mapping) -> sources.Poller:
        queue = sources.Queue(self._caller, mapping.queue_arn)
        return sources.Poller(mapping, queue, self.runtime)

    def _mappings(self) -> list[sources.Mapping]:
        functions = client("lambda", self._settings.aws_url)
        pages = functions.get_paginator("list_event_source_mappings").paginate()
        return [
            sources.Mapping.from_api(item)
            for page in pages
            for item in page["EventSourceMappings"]
            if ":sqs:" in item["EventSourceArn"]
        ]

    def _schedules(self) -> list[Schedule]:
        scheduler = client("scheduler", self._settings.aws_url)
        pages = scheduler.get_paginator("list_schedules").paginate()
        names = [item["Name"] for page in pages for item in page["Schedules"]]
        answers = [scheduler.get_schedule(Name=name) for name in names]
        return [Schedule.from_api(a) for a in answers if ":function:" in a["Target"]["Arn"]]


def verify_sender(settings: Settings) -> None:
    ses = client("ses", settings.aws_url)
    ses.verify_email_identity(EmailAddress=MAIL_FROM)
    ses.verify_domain_identity(Domain=MAIL_FROM.partition("@")[2])


def put_secret(settings: Settings, name: str, value: str) -> None:
    secrets = client("secretsmanager", settings.aws_url)
    try:
        secrets.create_secret(Name=name, SecretString=value)
    except secrets.exceptions.ResourceExistsException:
        secrets.put_secret_value(SecretId=name, SecretString=value)


def _runtime_settings(settings: Settings) -> RuntimeSettings:
    return RuntimeSettings(
        python=TOOLS / "runtime" / "bin" / "python",
        variables={
            **CREDENTIALS,
            "AWS_REGION": REGION,
            "AWS_ENDPOINT_URL": settings.aws_url,
            # mails pass the mailbox, which keeps what the emulator would lose
            "AWS_ENDPOINT_URL_SES": settings.mail_url,
            "AWS_ENDPOINT_URL_SESV2": settings.mail_url,
            "PYTHONDONTWRITEBYTECODE": "1",  # /var/task is read-only
        },
        freeze=settings.freeze,
    )
