"""The clock goes wrong by forty days, and back by an hour: each deadline fires once."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from functools import partial

import sqlalchemy as sa

from engine import audit, cases
from engine.application import Application
from engine.settings import Settings
from tests.integration import play
from tests.integration import world as worlds

ANHUI, HENAN = "340000", "410000"


def test_each_deadline_fires_once_however_the_clock_jumps(database, clock, scale, tell):
    world = worlds.build(database, clock())
    for serial in range(1, scale(3, 12) + 1):
        play.apply(database, world, HENAN, ANHUI, clock(), serial=serial)
    application = Application(Settings(database_url=database.url.render_as_string(hide_password=False)), clock=clock)

    def make_rounds() -> Counter[int]:
        for _ in range(3):
            application._sweep({})
            application.jobs.run_pending()
        fired = sa.select(audit.audit_entry.c.subject_id).where(audit.audit_entry.c.action == "deadline.fired")
        with database.reading() as connection:
            return Counter(connection.scalars(fired).all())

    assert make_rounds() == Counter()
    seen = []
    for jump in ({"days": 40}, {"hours": -1}, {"days": -40}, {"days": 40}, {"hours": 1}):
        clock.turn(**jump)
        seen.append(make_rounds())
    assert seen[0]
    assert all(fired == seen[0] for fired in seen)
    assert set(seen[0].values()) == {1}
    with database.reading() as connection:
        left = connection.scalars(sa.select(cases.deadline.c.state)).all()
        assert cases.due_deadlines(connection, at=clock()) == []
    application.close()
    assert "pending" not in left
    tell(deadlines=len(seen[0]), fired=seen[0].total())


class Behind:
    """The clock of a machine that is a little late."""

    def __init__(self, clock) -> None:
        self.clock = clock

    def __call__(self):
        return self.clock() - timedelta(seconds=20)


def test_what_one_machine_finds_due_another_one_fires_though_its_clock_is_behind(database, clock):
    world = worlds.build(database, clock())
    play.apply(database, world, HENAN, ANHUI, clock())
    settings = Settings(database_url=database.url.render_as_string(hide_password=False))
    ahead, behind = Application(settings, clock=clock), Application(settings, clock=Behind(clock))
    with database.reading() as connection:
        clock.turn(to=connection.scalar(sa.select(sa.func.max(cases.deadline.c.at))))
    ahead._sweep({})
    assert behind.jobs.run_pending() > 0
    with database.reading() as connection:
        assert set(connection.scalars(sa.select(cases.deadline.c.state))) == {"fired"}
    ahead.close()
    behind.close()


def test_deadlines_that_fail_for_good_hold_up_no_other(database, clock, monkeypatch):
    world = worlds.build(database, clock())
    for serial in range(1, 5):
        play.apply(database, world, HENAN, ANHUI, clock(), serial=serial)
    with database.reading() as connection:
        due = cases.due_deadlines(connection, at=clock.turn(days=40))
    broken = {deadline_id for deadline_id, _due in due[:2]}
    fire = cases.fire_deadline

    def fails(connection, deadline_id, *, at):
        if deadline_id in broken:
            raise RuntimeError("A mistake of ours.")
        return fire(connection, deadline_id, at=at)

    monkeypatch.setattr(cases, "fire_deadline", fails)
    # As many as are looked at in one go.
    monkeypatch.setattr(cases, "due_deadlines", partial(cases.due_deadlines, limit=len(broken)))
    application = Application(Settings(database_url=database.url.render_as_string(hide_password=False)), clock=clock)
    for _ in range(2):
        application._sweep({})
        application.jobs.run_pending()
    with database.reading() as connection:
        states = dict(connection.execute(sa.select(cases.deadline.c.id, cases.deadline.c.state)).all())
    assert {deadline_id for deadline_id, state in states.items() if state == "pending"} == broken
    application.close()
