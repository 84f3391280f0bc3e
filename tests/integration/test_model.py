"""Random walks of whole transfers against a small model of the documents' rules.

Each step of the engine loads a saved state and saves it again, so every walk is also a test of the saved states.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine import cases, transfers
from engine.errors import Conflict
from engine.registry import classes
from engine.transfers.tables import transfer
from tests.integration import play
from tests.integration import world as worlds
from tests.integration.test_transfers import PAIRINGS, RECEIVING, RELEASING, fire_due, regime

MOVES = st.lists(st.sampled_from(["agree", "agree", "agree", "refuse", "withdraw", "wait"]), max_size=14)


START = datetime(2026, 9, 22, 1, tzinfo=UTC)


@dataclass
class Model:
    """What the two documents say becomes of a transfer: who is next, who may end it, when it is late."""

    receiving: list[str]
    releasing: list[str]
    ahead: list[str] = field(default_factory=list)
    outcome: str | None = None
    retrieved: bool = False
    # How many steps were late, and whether the present one is among them.
    escalations: int = 0
    late: bool = False

    def __post_init__(self) -> None:
        self.decisions = [*self.receiving, *self.releasing]
        self.ahead = [*self.decisions, "tell_student_to_enrol", "retrieve", "send_paper_file"]

    @property
    def next(self) -> str | None:
        return self.ahead[0] if self.ahead and self.outcome is None else None

    def step(self, *, refuse: bool) -> None:
        done = self.ahead.pop(0)
        self.late = False
        if refuse and done in self.decisions:
            self.outcome = "refused"
        elif done == "retrieve":
            self.retrieved = True
        elif done == "send_paper_file":
            self.outcome = "completed"

    def withdraw(self) -> bool:
        """Allowed while it is pending, not after the record has been retrieved."""
        if self.retrieved or self.outcome:
            return False
        self.outcome = "withdrawn"
        return True

    def wait(self) -> None:
        """Forty days, more than ten working days over any holiday: a limited step is escalated, once."""
        if self.limited and not self.late:
            self.late = True
            self.escalations += 1

    @property
    def limited(self) -> bool:
        """Whether the step that is next is an authority's, which has ten working days."""
        return self.next is not None and ("authority" in self.next or self.next == "check_with_releasing_school")

    @property
    def reserved(self) -> int:
        return 0 if self.outcome or self.retrieved else 1


@pytest.mark.parametrize("pairing", PAIRINGS)
@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(moves=MOVES)
def test_a_transfer_goes_as_the_documents_say(database, world, clock, pairing, moves):
    origin, target = PAIRINGS[pairing]
    # Each walk begins on the same day, outside of any closed window.
    clock.turn(to=START)
    model = Model(RECEIVING[regime(target)], RELEASING[regime(origin)])
    serial = _new_student(database, world, origin, clock())
    actor = play.applicant(world, origin, target)
    case_id = play.apply(database, world, origin, target, clock(), serial=serial)
    reserved_by_others = _reserved(database, case_id) - 1
    _agree(database, case_id, model, reserved_by_others)

    for move in moves:
        if move == "withdraw":
            try:
                with database.transaction() as connection:
                    transfers.withdraw(connection, actor, case_id, "撤回", at=clock())
                withdrawn = True
            except Conflict:
                withdrawn = False
            assert withdrawn == model.withdraw()
        elif move == "wait":
            clock.turn(days=40)
            fire_due(database, clock())
            model.wait()
        elif model.next is not None:
            refuse = move == "refuse"
            play.step(database, world, case_id, clock(), refuse=refuse)
            model.step(refuse=refuse)
        _agree(database, case_id, model, reserved_by_others)

    if model.outcome is None:
        play.play(database, world, case_id, clock())
        assert play.outcome(database, case_id) == "completed"


def _agree(database, case_id: int, model: Model, reserved_by_others: int) -> None:
    """The engine stands where the model stands."""
    assert [item.node.id for item in play.open_tasks(database, case_id)] == ([model.next] if model.next else [])
    assert play.outcome(database, case_id) == model.outcome
    with database.reading() as connection:
        row = connection.execute(sa.select(transfer).where(transfer.c.case_id == case_id)).one()
    assert row.state == (model.outcome or ("retrieved" if model.retrieved else "pending"))
    assert row.open == (model.outcome is None and not model.retrieved)
    assert _reserved(database, case_id) - reserved_by_others == model.reserved
    assert bool(row.record_hash) == model.retrieved
    # The authority and its superior, once each for a step that is late; nothing is decided by time.
    assert _notices(database, case_id, "overdue") == 2 * model.escalations


def _reserved(database, case_id: int) -> int:
    with database.reading() as connection:
        to_class = connection.scalar(sa.select(transfer.c.to_class_id).where(transfer.c.case_id == case_id))
        return classes.get(connection, to_class).reserved


def _notices(database, case_id: int, kind: str) -> int:
    with database.reading() as connection:
        return connection.scalar(
            sa.select(sa.func.count()).where(cases.notice.c.case_id == case_id, cases.notice.c.kind == kind)
        )


def _new_student(database, world, origin: str, at) -> int:
    """One more student of the origin's school, so that every walk has its own."""
    place = world[origin]
    serial = 100 + len(place.students)
    with database.transaction() as connection:
        for class_id in {place.to_class, *(other.to_class for other in world.places.values())}:
            row = classes.get(connection, class_id)
            connection.execute(
                classes.school_class.update()
                .where(classes.school_class.c.id == class_id)
                .values(capacity=row.enrolled + row.reserved + 5)
            )
        place.students.append(
            worlds.student(connection, worlds.PLACES[origin], serial, place.to_class, place.school, at)
        )
    return serial
