"""A worker's turn: as long as there is time, the next chunk of whichever job is due."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from quotekit import database, outbox
from quotekit.batches import claims, effects, preparing, settling, slices
from quotekit.batches.claims import Claim, LeaseLostError, NotRunnableError
from quotekit.batches.model import Operation, Outcome, Priority
from quotekit.batches.operations import OPERATIONS
from quotekit.batches.slices import Chunk, Counts
from quotekit.bodies import Body
from quotekit.database import SERVICE
from quotekit.errors import DatabaseUnavailableError
from quotekit.performance import logger
from quotekit.settings import batch_settings

LEAST_TIME: Final = 8.0  # seconds a slice may need at worst, its commit and the next ticket
GIVEN_UP: Final = "It was tried {} times in vain."
DEADLY: Final = Outcome("error", "Every worker that tried it died.")

type Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Turn:
    """What is to follow a worker's turn: another ticket, after so many seconds."""

    counts: Counts
    ticket_after: int | None


def serve(priority: Priority, job_id: UUID, remaining: Clock) -> Turn:
    """Work at whatever jobs of this priority are due; `remaining` tells this worker's seconds."""
    counts = Counts()
    if settling.is_ending(job_id):  # its own ticket: nobody else's chunks come before its end
        settling.settle(job_id)
    while remaining() > LEAST_TIME:
        claim = claims.claim(priority, seconds=remaining())
        if claim is None:
            settling.settle(job_id)
            return Turn(counts, claims.awaited(job_id))
        work(claim, counts, remaining)
    return Turn(counts, 0)


def work(claim: Claim, counts: Counts, remaining: Clock) -> None:
    counts.leases_lost += claim.took_over
    try:
        if claim.kind == "chunk":
            do_chunk(claim, counts, remaining)
        elif claim.failures >= batch_settings().attempts:
            settling.fail(claim, GIVEN_UP.format(claim.failures))
        elif claim.kind == "prepare":
            prepare(claim, remaining)
        else:
            finish(claim)
    except LeaseLostError:
        counts.refused += 1
        logger.warning("lease lost", job_id=str(claim.id), chunk=claim.number)
    except Exception as error:
        failed(claim, error)
        if isinstance(error, DatabaseUnavailableError):
            raise


def do_chunk(claim: Claim, counts: Counts, remaining: Clock) -> None:
    if claim.status == "pending":
        start(claim)
    chunk = Chunk.of(claim, OPERATIONS[claim.operation], counts)
    try:
        while (places := chunk.next()) and remaining() > LEAST_TIME:
            places = allowed(chunk, places)
            if not places:
                break
            slice_of(chunk, places)
            settling.after_slice(claim)
    except NotRunnableError:
        claims.hand_back(claim)
        settling.settle(claim.id)
        return
    if chunk.pending:
        claims.hand_back(claim)
    else:
        counts.milliseconds.append(chunk.milliseconds)
        settling.end(claim.id)


def start(claim: Claim) -> None:
    with database.transaction(SERVICE) as connection:
        promises = settling.start(connection, claim)
    outbox.deliver(promises)


def allowed(chunk: Chunk, places: list[int]) -> list[int]:
    """As many of them as the job's rate limit lets begin now."""
    if not chunk.claim.is_limited:
        return places
    missing = len(places) - chunk.granted
    if missing > 0:
        chunk.granted += claims.allowance(chunk.claim, missing)
    return places[: chunk.granted]


def slice_of(chunk: Chunk, places: list[int]) -> None:
    """Do some items; together if that goes, else one by one, so that only the culprits fail."""
    if chunk.failures >= batch_settings().attempts:
        slices.write(chunk, places[:1], [DEADLY])
        chunk.failures -= 1  # the next one may be as deadly: by itself
        return
    try:
        slices.advance(chunk, places)
    except (LeaseLostError, NotRunnableError):
        raise
    except Exception as error:
        if effects.is_transient(error) or chunk.singly or chunk.operation.apply is None:
            raise
        chunk.singly = len(places)


def prepare(claim: Claim, remaining: Clock) -> None:
    preparing.prepare(claim, claim.lease, until=lambda: remaining() < LEAST_TIME)
    claims.release(claim)
    settling.announce_refused(claim)
    settling.settle(claim.id)


def finish(claim: Claim) -> None:
    """Put a job's result together under a key of this worker's own."""
    operation = OPERATIONS[claim.operation]
    if operation.finish is None:
        raise TypeError(f"{operation.name} has nothing to finish")
    with database.reading(SERVICE) as connection:
        parts = settling.parts(connection, claim.id)
    parameters = operation.parameters.model_validate(dict(claim.parameters))
    key = f"batches/{claim.id}/result-{claim.lease}"
    result = operation.finish(claim.work(parameters), parts, key)
    if settling.finish(claim, result) is None:  # taken over, or cancelled meanwhile
        claims.release(claim)
        settling.settle(claim.id)
        raise LeaseLostError


def failed(claim: Claim, error: Exception) -> None:
    """Let what failed rest; after too many failures in a row, give its items up."""
    logger.warning("batch work failed", job_id=str(claim.id), chunk=claim.number, exc_info=error)
    if claim.kind != "chunk":
        claims.postpone(claim)
    elif claim.failures + 1 < batch_settings().attempts:
        claims.hand_back(claim, type(error).__name__)
    else:
        give_up(claim)


def give_up(claim: Claim) -> None:
    """Let all that is pending fail, also of an operation that is not there any more."""
    operation = OPERATIONS.get(claim.operation) or Operation(name=claim.operation, item=Body)
    chunk = Chunk.of(claim, operation, Counts())
    try:
        slices.give_up(chunk, Outcome("error", GIVEN_UP.format(claim.failures + 1)))
    except (NotRunnableError, LeaseLostError):
        claims.hand_back(claim)
    settling.settle(claim.id)
