"""Whole transfers over the real database and the real engine, in all four pairings of the two procedures."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from engine import cases, inbox, messages, transfers
from engine.errors import Forbidden, Invalid, NotFound
from engine.registry import classes, records, students
from engine.registry.tables import student
from engine.transfers.operations import Ended, TooLate
from engine.transfers.tables import transfer
from tests.integration import play

ANHUI, HENAN, ZHEJIANG = "340000", "410000", "330000"
PAIRINGS = {
    "national to national": (HENAN, ZHEJIANG),
    "national to Anhui": (HENAN, ANHUI),
    "Anhui to national": (ANHUI, HENAN),
    "within Anhui": (ANHUI, ANHUI),
}

# The documents' steps, by the party's regime: 附件一 3 and 4 on the receiving side, 5 and 6 on the releasing one.
RECEIVING = {
    "national": ["decide_receiving_school", "decide_receiving_authority"],
    "anhui": ["decide_receiving_authority"],
}
RELEASING = {
    "national": ["decide_releasing_school", "decide_releasing_authority"],
    # Anhui's check is done in one act with the decision that it prepares.
    "anhui": ["check_with_releasing_school"],
}
DECISIONS = [
    (name, origin, target, step)
    for name, (origin, target) in PAIRINGS.items()
    for step in RECEIVING["anhui" if target == ANHUI else "national"]
    + RELEASING["anhui" if origin == ANHUI else "national"]
]


def regime(province: str) -> str:
    return "anhui" if province == ANHUI else "national"


def steps(origin: str, target: str) -> list[str]:
    after = ["tell_student_to_enrol", "retrieve", "send_paper_file"]
    return [*RECEIVING[regime(target)], *RELEASING[regime(origin)], *after]


def shanghai(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("Asia/Shanghai"))


def notices(database, case_id: int) -> list[tuple[str, int]]:
    with database.reading() as connection:
        rows = connection.execute(sa.select(cases.notice).where(cases.notice.c.case_id == case_id).order_by("id"))
        return [(row.kind, row.organisation_id) for row in rows]


def row_of(database, case_id: int):
    with database.reading() as connection:
        return connection.execute(sa.select(transfer).where(transfer.c.case_id == case_id)).one()


@pytest.mark.parametrize(("origin", "target"), PAIRINGS.values(), ids=PAIRINGS)
def test_every_pairing_runs_to_its_end_in_the_documents_order(database, world, clock, origin, target):
    case_id = play.apply(database, world, origin, target, clock())

    assert play.play(database, world, case_id, clock()) == steps(origin, target)
    assert play.outcome(database, case_id) == "completed"
    assert row_of(database, case_id).state == "completed"
    assert play.school_of(database, world[origin].students[0]) == play.applicant(world, origin, target).organisation_id


@pytest.mark.parametrize(
    ("origin", "target", "step"), [item[1:] for item in DECISIONS], ids=[f"{item[0]}, {item[3]}" for item in DECISIONS]
)
def test_a_refusal_ends_the_transfer_and_tells_everybody_who_took_part(database, world, clock, origin, target, step):
    case_id = play.apply(database, world, origin, target, clock())
    reserved = _class_of(database, case_id).reserved

    done = play.play(database, world, case_id, clock(), refuse_at=step)

    assert done == steps(origin, target)[: steps(origin, target).index(step) + 1]
    assert play.outcome(database, case_id) == "refused"
    assert _class_of(database, case_id).reserved == reserved - 1
    assert play.school_of(database, world[origin].students[0]) == world[origin].school
    with database.reading() as connection:
        tasks = inbox.of_case(connection, case_id)
    assert [item.opinion for item in tasks if item.result == "refuse"] == ["学位已满，无法接收"]
    told = {organisation for kind, organisation in notices(database, case_id) if kind == "refused"}
    assert told == {item.organisation_id for item in tasks}


def test_a_refusal_without_reasons_is_not_taken_and_nothing_is_lost(database, world, clock):
    case_id = play.apply(database, world, HENAN, ANHUI, clock())
    [item] = play.open_tasks(database, case_id)
    entered = play.answers(item, refuse=True) | {"receiving_authority_opinion": "  "}

    with pytest.raises(Invalid) as refused, database.transaction() as connection:
        inbox.complete(connection, world[ANHUI].actor("county"), item.id, entered, at=clock())

    assert set(refused.value.fields) == {"receiving_authority_opinion"}
    assert [task.id for task in play.open_tasks(database, case_id)] == [item.id]


def test_the_record_moves_its_hash_is_kept_and_the_old_school_is_told_at_the_same_moment(database, world, clock):
    case_id = play.apply(database, world, HENAN, ANHUI, clock())
    child = world[HENAN].students[0]
    while play.open_tasks(database, case_id)[0].node.id != "retrieve":
        play.step(database, world, case_id, clock())
    clock.turn(hours=1)

    play.step(database, world, case_id, clock())

    with database.reading() as connection:
        held = records.held(connection, child)
        sent = [item for item in messages.of_case(connection, case_id) if item.name == "record_retrieved"]
        for record_id, _school, _state in held:
            assert records.intact(connection, record_id)
    assert [(school, state) for _id, school, state in held] == [
        (world[ANHUI].school, "current"),
        (world[HENAN].school, "backup"),
    ]
    assert sent[0].payload == {"hash": row_of(database, case_id).record_hash}
    assert sent[0].arrived_at == sent[0].sent_at == clock()
    assert ("record_retrieved", world[HENAN].school) in notices(database, case_id)
    assert row_of(database, case_id).state == "retrieved"


def test_anhui_announces_no_paper_file_and_a_national_receiver_does_not_wait_for_it(database, world, clock):
    case_id = play.apply(database, world, ANHUI, HENAN, clock())
    play.play(database, world, case_id, clock())
    with database.reading() as connection:
        names = [item.name for item in messages.of_case(connection, case_id)]
    assert names == ["release_requested", "release_agreed", "record_retrieved"]


def test_a_paper_file_that_is_announced_reaches_a_finished_pool_and_is_told(database, world, clock):
    case_id = play.apply(database, world, HENAN, ANHUI, clock())
    play.play(database, world, case_id, clock())
    with database.reading() as connection:
        last = messages.of_case(connection, case_id)[-1]
    assert (last.name, last.state) == ("paper_sent", "recorded")
    assert ("paper_sent", world[ANHUI].school) in notices(database, case_id)


# Seeing ----------------------------------------------------------------------------------------------------------


def test_the_releasing_side_sees_nothing_before_it_is_asked(database, world, clock):
    case_id = play.apply(database, world, HENAN, ANHUI, clock())
    releasing = world[HENAN].actor("operator")
    with database.reading() as connection, pytest.raises(NotFound):
        transfers.get(connection, releasing, case_id)

    play.step(database, world, case_id, clock())

    with database.reading() as connection:
        assert transfers.get(connection, releasing, case_id).kinds == ("out",)


def test_a_stranger_finds_nothing(database, world, clock):
    case_id = play.apply(database, world, HENAN, ANHUI, clock())
    play.play(database, world, case_id, clock())
    [*_, last] = _tasks(database, case_id)
    for name, actor in world[ZHEJIANG].actors.items():
        with database.reading() as connection, pytest.raises(NotFound):
            transfers.get(connection, actor, case_id)
        with database.transaction() as connection, pytest.raises(NotFound):
            inbox.complete(connection, actor, last.id, {}, at=clock())
        with database.transaction() as connection, pytest.raises(NotFound):
            transfers.withdraw(connection, actor, case_id, name, at=clock())


def test_another_duty_of_the_same_school_may_look_but_not_decide(database, world, clock):
    case_id = play.apply(database, world, ANHUI, HENAN, clock())
    [item] = play.open_tasks(database, case_id)
    assert item.duty == "reviewer"
    with pytest.raises(Forbidden), database.transaction() as connection:
        inbox.complete(connection, world[HENAN].actor("operator"), item.id, play.answers(item), at=clock())


# Withdrawal ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("origin", "target"), PAIRINGS.values(), ids=PAIRINGS)
def test_the_receiving_school_may_withdraw_at_any_step_until_the_record_is_retrieved(
    database, world, clock, origin, target
):
    actor = play.applicant(world, origin, target)
    for serial, stop in enumerate(steps(origin, target)[:-1], start=1):
        case_id = play.apply(database, world, origin, target, clock(), serial=serial)
        while play.open_tasks(database, case_id)[0].node.id != stop:
            play.step(database, world, case_id, clock())
        requested = row_of(database, case_id).requested_at is not None

        with database.transaction() as connection:
            transfers.withdraw(connection, actor, case_id, "家长改变主意", at=clock())

        assert play.open_tasks(database, case_id) == []
        assert play.outcome(database, case_id) == "withdrawn"
        assert row_of(database, case_id).withdrawal_reason == "家长改变主意"
        with database.reading() as connection:
            assert all(stand.ended for stand in cases.stands(connection, case_id))
            names = [item.name for item in messages.of_case(connection, case_id)]
            pending = sa.select(cases.deadline.c.id).where(
                cases.deadline.c.case_id == case_id, cases.deadline.c.state == "pending"
            )
            assert connection.scalars(pending).all() == []
        # Nothing was sent to a releasing side that had not been asked.
        assert ("transfer_withdrawn" in names) == requested
        told = {organisation for kind, organisation in notices(database, case_id) if kind == "withdrawn"}
        assert told == {item.organisation_id for item in _tasks(database, case_id)}
        assert _class_of(database, case_id).reserved == 0


def test_after_the_retrieval_it_is_too_late_to_withdraw(database, world, clock):
    case_id = play.apply(database, world, HENAN, ANHUI, clock())
    while play.open_tasks(database, case_id)[0].node.id != "send_paper_file":
        play.step(database, world, case_id, clock())
    with pytest.raises(TooLate), database.transaction() as connection:
        transfers.withdraw(connection, world[ANHUI].actor("operator"), case_id, "太晚", at=clock())


def test_an_ended_transfer_can_not_be_withdrawn_and_only_its_own_school_may(database, world, clock):
    case_id = play.apply(database, world, HENAN, ANHUI, clock())
    with pytest.raises(Forbidden), database.transaction() as connection:
        transfers.withdraw(connection, world[ANHUI].actor("county"), case_id, "不行", at=clock())
    with pytest.raises(Invalid), database.transaction() as connection:
        transfers.withdraw(connection, world[ANHUI].actor("operator"), case_id, " ", at=clock())
    play.play(database, world, case_id, clock(), refuse_at="decide_receiving_authority")
    with pytest.raises(Ended), database.transaction() as connection:
        transfers.withdraw(connection, world[ANHUI].actor("operator"), case_id, "再来", at=clock())


# The student -----------------------------------------------------------------------------------------------------


def test_a_student_is_in_one_open_transfer_and_may_move_again_when_the_record_has(database, world, clock):
    play.apply(database, world, HENAN, ANHUI, clock())
    with pytest.raises(transfers.CheckFailed) as second:
        play.apply(database, world, HENAN, ZHEJIANG, clock())
    assert second.value.code == "2002"


@pytest.mark.parametrize(
    ("change", "code"),
    [({"problem": True}, "2003"), ({"open_business": "休学办理中"}, "2002"), ({"status": "02"}, "status")],
)
def test_what_would_be_refused_later_is_refused_at_the_saving(database, world, clock, change, code):
    with database.transaction() as connection:
        connection.execute(student.update().where(student.c.id == world[HENAN].students[0]).values(change))
    with pytest.raises(transfers.CheckFailed) as failed:
        play.apply(database, world, HENAN, ANHUI, clock())
    assert code in [failure.code for failure in failed.value.failures]
    with database.reading() as connection:
        assert connection.scalars(sa.select(cases.case.c.id)).all() == []
        assert classes.get(connection, world[ANHUI].to_class).reserved == 0


def test_a_student_who_fails_the_check_before_the_request_ends_the_transfer_with_the_code(database, world, clock):
    case_id = play.apply(database, world, HENAN, ANHUI, clock())
    with database.transaction() as connection:
        connection.execute(student.update().where(student.c.id == world[HENAN].students[0]).values(problem=True))

    play.step(database, world, case_id, clock())

    assert play.outcome(database, case_id) == "refused"
    assert row_of(database, case_id).failed_checks == ["2003"]
    with database.reading() as connection:
        assert messages.of_case(connection, case_id) == []


# Deadlines -------------------------------------------------------------------------------------------------------


def fire_due(database, at: datetime) -> int:
    with database.reading() as connection:
        due = cases.due_deadlines(connection, at=at)
    fired = 0
    for deadline_id, _due in due:
        with database.transaction() as connection:
            fired += cases.fire_deadline(connection, deadline_id, at=at)
    return fired


def test_ten_working_days_a_warning_before_and_an_escalation_but_never_an_approval(database, world, clock):
    case_id = play.apply(database, world, HENAN, ANHUI, clock())
    [item] = play.open_tasks(database, case_id)
    # Over the holiday: the tenth working day after Tuesday, 22 September.
    assert item.due_at == shanghai("2026-10-14T00:00:00")

    assert fire_due(database, shanghai("2026-09-30T12:00:00")) == 0
    clock.turn(to=shanghai("2026-10-11T00:30:00"))
    assert fire_due(database, clock()) == 1
    assert notices(database, case_id)[-1] == ("due_soon", world[ANHUI].county)

    clock.turn(to=shanghai("2026-10-14T00:00:00"))
    assert fire_due(database, clock()) == 1
    assert set(notices(database, case_id)[-2:]) == {
        ("overdue", world[ANHUI].province),
        ("overdue", world[ANHUI].county),
    }
    assert [task.id for task in play.open_tasks(database, case_id)] == [item.id]
    assert play.outcome(database, case_id) is None

    # However late, and however often the sweep comes, nothing more happens by itself.
    clock.turn(days=365)
    assert fire_due(database, clock()) == 0
    play.step(database, world, case_id, clock())
    assert play.open_tasks(database, case_id)[0].node.id == "decide_releasing_school"


def test_a_decision_in_time_cancels_its_deadlines(database, world, clock):
    case_id = play.apply(database, world, ANHUI, ANHUI, clock())
    play.play(database, world, case_id, clock())
    clock.turn(days=100)
    assert fire_due(database, clock()) == 0
    assert not any(kind in ("due_soon", "overdue") for kind, _ in notices(database, case_id))


def test_only_the_authorities_steps_have_a_due_date(database, world, clock):
    case_id = play.apply(database, world, HENAN, ANHUI, clock())
    play.play(database, world, case_id, clock())
    limited = {item.party for item in _tasks(database, case_id) if item.due_at}
    assert limited == {"receiving_authority", "releasing_authority"}


def test_no_personal_text_stands_in_a_saved_state_or_in_the_audit(database, world, clock):
    case_id = play.apply(database, world, HENAN, ANHUI, clock())
    play.play(database, world, case_id, clock())
    with database.reading() as connection:
        states = connection.scalars(sa.select(cases.instance.c.state)).all()
        child = connection.execute(sa.select(student).where(student.c.id == world[HENAN].students[0])).one()
        trail = str(connection.execute(sa.text("SELECT * FROM audit_entry")).all())
    for text in (child.name, child.id_number, child.record_number, "随父母工作调动", "电话核对"):
        assert not any(text.encode() in state for state in states)
        assert text not in trail
    assert all(len(state) < 1024 for state in states)


def _class_of(database, case_id: int) -> classes.SchoolClass:
    with database.reading() as connection:
        return classes.get(connection, row_of(database, case_id).to_class_id)


def _tasks(database, case_id: int) -> list[inbox.Task]:
    with database.reading() as connection:
        return inbox.of_case(connection, case_id)


def test_a_retrieval_repeated_changes_nothing(database, world, clock):
    case_id = play.apply(database, world, HENAN, ANHUI, clock())
    child = world[HENAN].students[0]
    play.play(database, world, case_id, clock())
    row = row_of(database, case_id)
    with database.transaction() as connection:
        again = records.retrieve(
            connection,
            world[ANHUI].actor("operator"),
            student_id=child,
            from_school_id=row.releasing_school_id,
            to_school_id=row.receiving_school_id,
            case_id=case_id,
            at=clock(),
        )
        students.change_enrolment(
            connection, world[ANHUI].actor("operator"), student_id=child, to_class_id=row.to_class_id,
            case_id=case_id, at=clock(),
        )  # fmt: skip
        assert again.hash == row.record_hash
        assert len(records.held(connection, child)) == 2
        assert classes.get(connection, row.to_class_id).enrolled == 13
