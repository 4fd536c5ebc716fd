"""Senders as vendors run them: many at once, each sending again until it sees a 200."""

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from random import Random
from typing import Final
from urllib.parse import urlsplit

from tests.soak import events
from tests.soak.ledger import Ledger
from tests.soak.letters import Letter, Place
from tests.soak.signing import Signer

PATIENCE: Final = 10.0  # seconds a vendor waits for an answer
FIRST_PAUSE: Final = 0.1  # seconds; vendors wait minutes, so these are more of a strain
LONGEST_PAUSE: Final = 2.0
FORGED_SHARE: Final = 0.01
ACCEPTED: Final = "200"


@dataclass
class Tally:
    """What the senders saw: answers by their status and code, or the error there was instead."""

    accepted: int = 0
    sent_again: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    forged: Counter[str] = field(default_factory=Counter)


class Senders:
    """Send every place of `sent` until it is accepted, at most `rate` a second."""

    def __init__(
        self,
        api_url: str,
        run: str,
        sent: list[Place],
        ledger: Ledger,
        *,
        count: int = 16,
        rate: float | None = None,
        seed: int = 0,
    ) -> None:
        self.tally = Tally()
        self.total = len(sent)
        self._address = urlsplit(api_url).netloc
        self._run = run
        self._signer = Signer(run)
        self._queue: Iterator[Place] = iter(sent)
        self._ledger = ledger
        self._lock = threading.Lock()
        self._gap = 1 / rate if rate else 0.0
        self._next = 0.0
        self._ending = threading.Event()
        self._threads = [
            threading.Thread(target=self._work, args=(Random(f"{seed}/{number}"),), daemon=True)
            for number in range(count)
        ]

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Send as long as the block lasts; what is not accepted then is given up."""
        self._next = time.monotonic()
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._ending.set()
            for thread in self._threads:
                thread.join()

    @property
    def busy(self) -> bool:
        return any(thread.is_alive() for thread in self._threads)

    def _work(self, chance: Random) -> None:
        connection = http.client.HTTPConnection(self._address, timeout=PATIENCE)
        while not self._ending.is_set():
            with self._lock:
                place = next(self._queue, None)
                self._next += self._gap
                due = self._next
            if place is None:
                break
            self._ending.wait(max(0.0, due - time.monotonic()) if self._gap else 0)
            letter = events.write(self._run, place)
            if chance.random() < FORGED_SHARE:
                self._forge(connection, letter, chance)
            self._deliver(connection, letter, chance)
        connection.close()

    def _deliver(
        self, connection: http.client.HTTPConnection, letter: Letter, chance: Random
    ) -> None:
        pause = FIRST_PAUSE
        while not self._ending.is_set():
            answer = self._exchange(connection, letter, self._signer.headers(letter))
            with self._lock:
                self.tally.answers[answer] += 1
            if answer == ACCEPTED:
                with self._lock:
                    self.tally.accepted += 1
                    self._ledger.accept(letter)
                return
            with self._lock:
                self.tally.sent_again += 1
            self._ending.wait(pause * chance.uniform(0.5, 1.5))
            pause = min(pause * 2, LONGEST_PAUSE)

    def _forge(
        self, connection: http.client.HTTPConnection, letter: Letter, chance: Random
    ) -> None:
        """The same with an id of its own, by somebody who does not know the secret."""
        forged = Letter(
            source=letter.source,
            event_id=f"forged-{chance.getrandbits(64):x}",
            body=letter.body.replace(b'"', b' "', 1),
            kind=letter.kind,
            endpoint_id=letter.endpoint_id,
        )
        answer = self._exchange(connection, forged, self._signer.headers(forged, forged=True))
        with self._lock:
            self.tally.forged[answer] += 1

    def _exchange(
        self, connection: http.client.HTTPConnection, letter: Letter, headers: dict[str, str]
    ) -> str:
        try:
            connection.request("POST", self._signer.path(letter), letter.body, headers)
            response = connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            return type(error).__name__
        if response.status == HTTPStatus.OK:
            return ACCEPTED
        return f"{response.status} {said(body)}"


def said(body: bytes) -> str:
    """The code of the function's own error, or what the gateway says when no function did."""
    try:
        answer = json.loads(body)
        return str(answer.get("code") or f"gateway: {answer['message']}")
    except (ValueError, AttributeError, KeyError):
        return "unreadable"
