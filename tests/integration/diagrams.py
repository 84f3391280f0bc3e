"""The shipped diagrams, edited as policy staff would edit them, and put into force."""

from __future__ import annotations

from datetime import datetime

from engine import procedures
from engine.audit import Actor
from engine.db import Database
from engine.procedures import Version
from engine.settings import processes_folder


def shipped(regime: str) -> bytes:
    return (processes_folder() / regime / "transfer.bpmn").read_bytes()


def edited(regime: str, *changes: tuple[str, str]) -> bytes:
    """A shipped diagram with each of the texts replaced, which must stand in it exactly once."""
    text = shipped(regime).decode()
    for old, new in changes:
        assert text.count(old) == 1, (text.count(old), old)
        text = text.replace(old, new)
    return text.encode()


def deploy(
    database: Database, actor: Actor, regime: str, diagram: bytes, at: datetime, *, since: datetime | None = None
) -> Version:
    """Upload a diagram as the next version, and put it into force."""
    with database.transaction() as connection:
        version = procedures.upload(connection, actor, regime, "transfer", diagram, at=at)
        assert [str(finding) for finding in version.findings()] == []
        return procedures.deploy(connection, actor, version.id, effective_from=since, at=at)
