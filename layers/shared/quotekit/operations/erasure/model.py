"""An erasure as its worker knows it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Leads:
    """What leads to an account from outside of its rows."""

    names: Sequence[str]
    endpoints: Sequence[str]
    jobs: Sequence[str]


@dataclass(frozen=True, slots=True)
class Open:
    """One that is due; the moments say how far it is: begun, its rows gone, all gone."""

    id: UUID
    account_id: UUID
    account_sha256: str
    recipient: str | None
    status: str
    requested_at: datetime
    due_at: datetime
    begun_at: datetime | None
    leads: Mapping[str, Sequence[str]] | None
    emptied_at: datetime | None
    noted: Mapping[str, str]
    finished_at: datetime | None
    receipt: Mapping[str, Any] | None
    receipt_sha256: str | None

    @property
    def known(self) -> Leads:
        return Leads(**(self.leads or {"names": (), "endpoints": (), "jobs": ()}))
