"""The two runs: workers and database crash while events come; the database is away for a while."""

import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from tests.soak import events, findings
from tests.soak.faults import Killer, Mode
from tests.soak.ground import Ground
from tests.soak.ledger import Difference, Ledger, differences
from tests.soak.senders import ACCEPTED, Senders, Tally

MODES: Final[tuple[Mode, ...]] = ("fast", "immediate", "kill")
SHORT_OUTAGE: Final = 3.0  # seconds
MANY: Final = 16  # senders at once: more than the handler's reserve on the local stack, so that
FEW: Final = 8  # some are turned away by the gateway; and fewer, so that none is
LEAD: Final = 3.0  # seconds before an outage and after it
SLACK: Final = 60.0  # seconds the queues get beyond their visibility timeout
POLL: Final = 0.25

type Say = Callable[[str], None]


def new_seed() -> int:
    return secrets.randbits(32)


@dataclass
class Result:
    """What a run came to. `facts` are measured; without `complaints` it passed."""

    title: str
    facts: dict[str, Any] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)

    def expect(self, holds: object, complaint: str) -> None:
        if not holds:
            self.complaints.append(complaint)

    def add(self, found: Iterable[Difference]) -> None:
        for what, about in found:
            self.facts[what] = self.facts.get(what, 0) + 1
            self.complaints.append(f"{what}: {about}")

    def add_tally(self, tally: Tally) -> None:
        self.facts |= {
            "accepted deliveries": tally.accepted,
            "sent again": tally.sent_again,
            "answers": _listed(tally.answers),
            "answers to the forged": _listed(tally.forged),
        }
        passed = tally.forged[ACCEPTED]
        self.expect(not passed, f"{passed} forged letters were accepted")


@dataclass
class Soak:
    """Runs over one stack, in one ledger: what a later run disturbs of an earlier one shows."""

    ground: Ground
    say: Say
    ledger: Ledger = field(default_factory=Ledger)

    def crash(
        self, deliveries: int, seed: int, *, outage_every: float, kill_every: float = 2.0
    ) -> Result:
        """Send with workers and now and then a handler killed, the database stopped and started."""
        result = Result(f"crashes, {deliveries} deliveries, seed {seed}")
        chance = Random(seed)
        senders = self._senders(f"c{seed:x}", deliveries, chance)
        aws = self.ground.stack.facts["aws_endpoint_url"]
        workers = Killer(aws, "webhook-worker", kill_every, Random(f"{seed}/workers"))
        handlers = Killer(aws, "webhook-handler", kill_every * 5, Random(f"{seed}/handlers"))
        started = time.monotonic()
        outages = 0
        with workers.killing():
            with handlers.killing(), senders.sending():
                outages = self._disturb(senders, outage_every)
            result.facts["sending took"] = _seconds(time.monotonic() - started)
            self._tell_until(lambda: not self.ground.waiting(hidden=False), senders)
        result.facts |= {
            "workers killed": workers.killed,
            "of them at work": workers.at_work,
            "handlers killed": handlers.killed,
            "database stopped": outages,
        }
        result.add_tally(senders.tally)
        self._settle(result, senders)
        result.facts["took"] = _seconds(time.monotonic() - started)
        return result

    def _senders(
        self, run: str, deliveries: int, chance: Random, rate: float | None = None
    ) -> Senders:
        places = events.histories(chance, deliveries // 2)
        self.ground.prepare(run, places)
        sent = events.deliveries(chance, places, deliveries)
        url = self.ground.stack.facts["api_url"]
        return Senders(url, run, sent, self.ledger, rate=rate, count=FEW if rate else MANY)

    def _disturb(self, senders: Senders, outage_every: float) -> int:
        """Stop the database in each way in turn, until all is sent."""
        outages = 0
        self._tell_for(outage_every, senders)
        while senders.busy:
            mode = MODES[outages % len(MODES)]
            with self.ground.without_database(mode):
                self._tell(senders, f"database stopped ({mode})")
                time.sleep(SHORT_OUTAGE)
            outages += 1
            self._tell_for(outage_every, senders)
        return outages

    def _settle(self, result: Result, senders: Senders) -> None:
        """Wait for what is hidden, then compare."""
        left = senders.total - senders.tally.accepted
        result.expect(not left, f"{left} deliveries were never accepted")
        hidden = self.ground.visibility()
        self.say(f"waiting for the queues; messages of dead workers are hidden for {hidden} s")
        patience = max(hidden, self.ground.visibility(dead=True)) + SLACK
        drained = self.ground.drained_after(patience)
        result.facts["queues empty after"] = "never" if drained is None else _seconds(drained)
        result.facts["hidden after a crash"] = f"{hidden} s"
        waiting, dead = self.ground.waiting(), self.ground.waiting(dead=True)
        result.expect(not waiting, f"stuck: {waiting} messages are still in the queues")
        result.expect(not dead, f"stuck: {dead} messages are in the dead-letter queues")
        self._compare(result)

    def _compare(self, result: Result) -> None:
        expected = self.ledger.expected()
        with self.ground.owner() as owner:
            result.facts |= {
                "different events": len(expected.statuses),
                "effects": len(expected.effects),
                "objects": len(expected.states),
                "attempts": _one(owner, "select count(*) from ops.webhook_attempts"),
            }
            result.facts |= dict.fromkeys(("lost", "doubled", "invented", "wrong", "stuck"), 0)
            result.add(differences(expected, findings.books(owner)))
            result.add(findings.disagreements(owner))

    def long_outage(self, seconds: float, seed: int, *, rate: float) -> Result:
        """The same where SQS gives messages up before the database is back."""
        with self.ground.dead_after(receives=2):
            result = self.outage(seconds, seed, rate=rate, within=300, run="l")
        result.title = f"too long for SQS: {result.title}"
        with self.ground.owner() as owner:
            letters = _one(owner, "select count(*) from ops.webhook_dead_letters")
        result.facts["dead letters, sent again by themselves"] = letters
        result.expect(letters, "no message was given up")
        return result

    def outage(
        self, seconds: float, seed: int, *, rate: float, within: float = 30.0, run: str = "o"
    ) -> Result:
        """Take the database away under load; all that was accepted till it is back has to be
        applied within so many seconds of that."""
        result = Result(f"database away for {seconds:.0f} s, {rate:.0f} deliveries/s, seed {seed}")
        chance = Random(seed)
        count = int(rate * (seconds + 2 * LEAD))
        senders = self._senders(f"{run}{seed:x}", count, chance, rate)
        known = self.ledger.names
        with senders.sending():
            self._tell_for(LEAD, senders)
            with self.ground.without_database("immediate"):
                self._tell_for(seconds, senders)
                refused = senders.tally.sent_again
                accepted = {event_id for _, _, event_id in self.ledger.names - known}
            back = time.monotonic()
            waited = self._applied_after(accepted, back, within * 3)
            self._tell_until(lambda: not senders.busy, senders)
        result.facts |= {
            "accepted by its return": len(accepted),
            "requests refused meanwhile": refused,
            "all of them applied after": "never" if waited is None else _seconds(waited),
        }
        result.expect(not refused, f"{refused} requests were refused")
        in_time = waited is not None and waited <= within
        result.expect(in_time, f"not all was applied within {within:.0f} s")
        result.add_tally(senders.tally)
        self._settle(result, senders)
        self._count_receives(result, accepted)
        return result

    def _applied_after(self, event_ids: set[str], since: float, patience: float) -> float | None:
        missing = set(event_ids)
        with self.ground.owner() as owner:
            while time.monotonic() - since < patience:
                missing -= findings.done(owner, missing)
                if not missing:
                    return time.monotonic() - since
                time.sleep(POLL)
        return None

    def _count_receives(self, result: Result, event_ids: set[str]) -> None:
        with self.ground.owner() as owner:
            most = _one(owner, MOST_RECEIVES, list(event_ids))
            failed = _one(owner, FAILED, list(event_ids))
        result.facts |= {"most receives of one": most, "failures counted": failed}
        result.expect(not failed, f"{failed} attempts were counted as failures")

    def _tell_for(self, seconds: float, senders: Senders) -> None:
        until = time.monotonic() + seconds
        self._tell_until(lambda: not senders.busy or time.monotonic() >= until, senders)

    def _tell_until(self, over: Callable[[], bool], senders: Senders) -> None:
        told = time.monotonic()
        while not over():
            if time.monotonic() - told >= 5:
                told = time.monotonic()
                self._tell(senders, f"{self.ground.waiting()} in the queues")
            time.sleep(POLL)

    def _tell(self, senders: Senders, text: str) -> None:
        tally = senders.tally
        self.say(f"{tally.accepted} of {senders.total} accepted, {tally.sent_again} again; {text}")


MOST_RECEIVES: Final = """
select coalesce(max(receives), 0) from ops.webhook_attempts
where webhook_id in (select id from ops.webhook_events where event_id = any(%s))
"""
FAILED: Final = """
select coalesce(sum(failures), 0)::bigint from ops.webhook_events where event_id = any(%s)
"""


def _one(owner: Any, statement: str, *values: Any) -> int:
    row = owner.execute(statement, values).fetchone()
    return int(row[0])


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{count} of {answer}" for answer, count in counts.most_common())


def _seconds(value: float) -> str:
    return f"{value:.1f} s"
