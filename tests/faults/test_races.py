"""Many at the same moment: one wins, and the others are told so."""

from __future__ import annotations

import http.client
import json
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from engine import audit, cases, inbox
from engine.cases import AlreadyDone
from engine.registry import classes
from engine.registry.tables import school_class
from tests.faults.load import STEPS, deploy_chain, token_of
from tests.integration import play
from tests.integration import world as worlds
from tests.integration.test_races import at_once

ANHUI, HENAN = "340000", "410000"


def test_two_officers_at_once_decide_each_task_once(database, world, scale, tell):
    races, at = scale(24, 1000), datetime.now(UTC)
    version = deploy_chain(database, at)
    officers = {result: world[HENAN].actor(name) for result, name in (("agree", "operator"), ("refuse", "colleague"))}
    won: Counter[str] = Counter()

    def decide(result: str, task_id: int) -> Any:
        with database.transaction() as connection:
            return inbox.complete(connection, officers[result], task_id, {"result": result, "opinion": "经核对"}, at=at)

    for _ in range(races // STEPS):
        with database.transaction() as connection:
            case_id = cases.start_plain(connection, officers["agree"], version, {}, at=at)
        while waiting := play.open_tasks(database, case_id):
            [task] = waiting
            decisions = [lambda result=result, task_id=task.id: decide(result, task_id) for result in officers]
            found = dict(zip(officers, at_once(decisions), strict=True))
            [(winner, _)] = [(result, became) for result, became in found.items() if became == case_id]
            [conflict] = [became for became in found.values() if became != case_id]
            assert isinstance(conflict, AlreadyDone)
            assert conflict.values["result"] == winner
            won[winner] += 1
    with database.reading() as connection:
        entries = sa.select(sa.func.count()).where(audit.audit_entry.c.action == "task.completed")
        assert connection.scalar(entries) == races == won.total()
    tell(races=races, won_by_the_first=won["agree"], by_the_second=won["refuse"])


def test_the_last_place_goes_to_one_of_fifty(database, world, served, tell):
    place, at = world[ANHUI], datetime.now(UTC)
    with database.transaction() as connection:
        old_class = school_class.c.id == world[HENAN].to_class
        connection.execute(school_class.update().where(old_class).values(capacity=100))
        for serial in range(100, 150):
            worlds.student(connection, worlds.PLACES[HENAN], serial, world[HENAN].to_class, world[HENAN].school, at)
        taken = classes.get(connection, place.to_class).enrolled
        connection.execute(school_class.update().where(school_class.c.id == place.to_class).values(capacity=taken + 1))
    with database.reading() as connection:
        application = play.transfers.prepare(connection, place.actor("operator"), HENAN, at=at)
    token = token_of(database, place.actor("operator"))
    served.start()

    def apply(serial: int) -> tuple[int, str]:
        body = {"origin": HENAN, "values": play.entries(world, HENAN, ANHUI, application, serial)}
        client = http.client.HTTPConnection("127.0.0.1", served.port, timeout=60)
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        client.request("POST", "/api/v1/transfers", json.dumps(body), headers)
        response = client.getresponse()
        answer = json.loads(response.read())
        client.close()
        return response.status, answer.get("error", {}).get("code", "")

    answers = Counter(at_once([lambda serial=serial: apply(serial) for serial in range(100, 150)]))
    assert sorted(answers.values()) == [1, 49]
    assert answers[(201, "")] == 1
    with database.reading() as connection:
        assert classes.get(connection, place.to_class).reserved == 1
        assert len(connection.scalars(sa.select(cases.case.c.id)).all()) == 1
    [refused] = [answer for answer in answers if answer[0] != 201]
    tell(clients=50, got_the_place=1, were_told=f"49 × {refused[0]} {refused[1]}")
