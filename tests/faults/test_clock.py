"""The clock goes wrong by forty days, and back by an hour: each deadline fires once."""

from __future__ import annotations

from collections import Counter

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
