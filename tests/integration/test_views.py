"""What people see of transfers: who sees them at all, what of the other side, who held them, and what a query finds."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine import audit, cases, inbox, transfers, workdays
from engine.audit import SYSTEM
from engine.bpmn.graph import PARTIES
from engine.errors import Forbidden, Invalid, NotFound
from engine.registry import organisations, records
from engine.registry.tables import organisation_ancestor, student
from engine.transfers import STATES, Filters, TooManyToExport, query
from engine.transfers.tables import transfer
from tests.integration import play
from tests.integration.world import id_number, name_of

ANHUI, HENAN, ZHEJIANG = "340000", "410000", "330000"


def on(day: int, *, month: int = 9) -> datetime:
    return datetime(2026, month, day, 10, 0, tzinfo=ZoneInfo("Asia/Shanghai"))


@pytest.fixture
def case_id(database, world, clock) -> int:
    """From Henan to Anhui, just applied for."""
    return play.apply(database, world, HENAN, ANHUI, clock())


@pytest.fixture
def read(database):
    """Asks one question of the database: `read(transfers.get, actor, case_id)`."""

    def ask(question, *args, **more) -> Any:
        with database.reading() as connection:
            return question(connection, *args, **more)

    return ask


def entries_of(database, action: str) -> list[Any]:
    with database.reading() as connection:
        rows = connection.execute(sa.select(audit.audit_entry).where(audit.audit_entry.c.action == action))
        return list(rows)


# Who sees it at all ----------------------------------------------------------------------------------------------


def test_before_the_request_the_releasing_side_does_not_see_the_case_at_all(database, world, clock, read, case_id):
    for name in ("operator", "county", "province", "county_auditor"):
        actor = world[HENAN].actor(name)
        for question in (transfers.get, transfers.history, transfers.ribbon, cases.sides, cases.parties):
            with pytest.raises(NotFound):
                read(question, actor, case_id)
        assert read(transfers.search, actor, Filters(), at=clock()).total == 0
        assert read(transfers.by_number, actor, f"ZX2026{case_id:08d}") is None


def test_afterwards_both_sides_and_all_above_them_see_it_and_nobody_else(database, world, clock, read, case_id):
    play.step(database, world, case_id, clock())

    seen_by = {
        world[ANHUI].actor("operator"): {"receiving"},
        world[ANHUI].actor("province"): {"receiving"},
        world[HENAN].actor("operator"): {"releasing"},
        world[HENAN].actor("county"): {"releasing"},
        world.ministry_actors["operator"]: {"receiving", "releasing"},
    }
    for actor, sides in seen_by.items():
        assert read(transfers.get, actor, case_id).sides == sides
        assert read(transfers.search, actor, Filters(), at=clock()).total == 1
        assert read(transfers.by_number, actor, f" zx2026{case_id:08d} ") == case_id
    for stranger in (world[ANHUI].actor("other_operator"), world[ZHEJIANG].actor("county")):
        with pytest.raises(NotFound):
            read(transfers.get, stranger, case_id)


def test_a_list_by_state_never_differs_from_the_transfers_themselves(database, world, clock, read):
    played = {
        play.apply(database, world, HENAN, ANHUI, clock(), serial=1): "",
        play.apply(database, world, ANHUI, HENAN, clock(), serial=2): "decide_releasing_authority",
        play.apply(database, world, ANHUI, ANHUI, clock(), serial=3): "decide_receiving_authority",
    }
    withdrawn = play.apply(database, world, HENAN, ZHEJIANG, clock(), serial=4)
    for case_id, refuse_at in played.items():
        while waiting := play.open_tasks(database, case_id):
            refuse = refuse_at in {node.id for node in waiting[0].act}
            play.step(database, world, case_id, clock(), refuse=refuse)
            assert_states_agree(database)
    with database.transaction() as connection:
        transfers.withdraw(connection, world[ZHEJIANG].actor("operator"), withdrawn, "家长改变主意", at=clock())
    assert_states_agree(database)


def assert_states_agree(database) -> None:
    with database.reading() as connection:
        rows = connection.execute(
            sa.select(transfer.c.case_id, transfer.c.state, cases.case_scope.c.state).join(
                cases.case_scope, cases.case_scope.c.case_id == transfer.c.case_id
            )
        ).all()
    assert rows
    assert [row for row in rows if row[1] != row[2]] == []


# What one sees of the other side ---------------------------------------------------------------------------------


def test_of_the_other_side_one_sees_decisions_but_no_persons_and_nothing_that_was_entered(
    database, world, clock, read, case_id
):
    play.play(database, world, case_id, clock())

    for reader, own in ((world[ANHUI].actor("operator"), "receiving"), (world[HENAN].actor("county"), "releasing")):
        entries = read(transfers.history, reader, case_id)
        others = [entry for entry in entries if entry.side != own]
        assert others
        assert {(entry.person, entry.duty, entry.task) for entry in others} == {(None, None, None)}
        mine = [entry for entry in entries if entry.side == own and entry.node]
        assert all(entry.person and entry.duty and entry.task for entry in mine)
        decided = [(entry.party, entry.result, entry.opinion) for entry in others if entry.result]
        assert all(party and organisation_result and opinion for party, organisation_result, opinion in decided)


def test_who_stands_above_both_sides_sees_the_persons_of_both(database, world, clock, read, case_id):
    play.play(database, world, case_id, clock())

    entries = read(transfers.history, world.ministry_actors["auditor"], case_id)

    assert all(entry.person for entry in entries if entry.node)


def test_the_history_tells_steps_and_messages_in_time_as_the_diagrams_call_them(database, world, clock, read, case_id):
    while play.open_tasks(database, case_id):
        play.step(database, world, case_id, clock.turn(minutes=1))

    told = [
        entry.flow.name if entry.flow else entry.node.id
        for entry in read(transfers.history, world[ANHUI].actor("operator"), case_id)
    ]

    assert told == [
        "review_application", "apply", "decide_receiving_authority", "提请审核", "decide_releasing_school",
        "decide_releasing_authority", "同意信息", "tell_student_to_enrol", "retrieve", "学籍系统同时通知转出学校",
        "send_paper_file", "通知转入学校",
    ]  # fmt: skip


def test_a_withdrawal_is_told_with_its_reason_and_with_its_person_on_the_own_side_alone(
    database, world, clock, read, case_id
):
    play.step(database, world, case_id, clock())
    with database.transaction() as connection:
        transfers.withdraw(connection, world[ANHUI].actor("operator"), case_id, "家长改变主意", at=clock())

    [own] = [entry for entry in read(transfers.history, world[ANHUI].actor("county"), case_id) if entry.end]
    [others] = [entry for entry in read(transfers.history, world[HENAN].actor("county"), case_id) if entry.end]

    assert (own.end, own.opinion, own.duty) == ("withdrawn", "家长改变主意", "operator")
    assert own.person == world[ANHUI].actor("operator").person_name
    assert (others.end, others.opinion, others.person) == ("withdrawn", "家长改变主意", None)


# The student, and the electronic record --------------------------------------------------------------------------


def view_student(database, actor, case_id, at):
    with database.transaction() as connection:
        return transfers.view_student(connection, actor, case_id, at=at)


def test_only_a_partys_operator_or_reviewer_sees_the_student_in_full_and_each_look_is_logged(
    database, world, clock, case_id
):
    play.step(database, world, case_id, clock())
    number = id_number("410105", 1)

    for actor in (world[ANHUI].actor("reviewer"), world[HENAN].actor("county")):
        assert view_student(database, actor, case_id, clock()).id_number == number
    for actor in (
        world[ANHUI].actor("school_admin"),
        world[ANHUI].actor("county_auditor"),
        world[ANHUI].actor("province"),
        world.ministry_actors["operator"],
    ):
        with pytest.raises(Forbidden):
            view_student(database, actor, case_id, clock())
    with pytest.raises(NotFound):
        view_student(database, world[ZHEJIANG].actor("operator"), case_id, clock())

    looked = entries_of(database, "student.viewed")
    assert [(entry.person_id, entry.case_id) for entry in looked] == [
        (world[ANHUI].actor("reviewer").person_id, case_id),
        (world[HENAN].actor("county").person_id, case_id),
    ]


def test_the_record_is_for_the_school_that_holds_it_and_its_authority(database, world, clock, read, case_id):
    def may_read(actor) -> dict[str, bool]:
        held = transfers.holdings
        return {item.state: item.readable for item in read(held, actor, read(transfers.get, actor, case_id))}

    play.step(database, world, case_id, clock())
    assert may_read(world[ANHUI].actor("operator")) == {"current": False}
    assert may_read(world[HENAN].actor("operator")) == {"current": True}

    play.play(database, world, case_id, clock())
    for name in ("operator", "county"):
        assert may_read(world[ANHUI].actor(name)) == {"current": True, "backup": False}
        assert may_read(world[HENAN].actor(name)) == {"current": False, "backup": True}
    assert may_read(world[ANHUI].actor("school_admin")) == {"current": False, "backup": False}
    assert may_read(world.ministry_actors["operator"]) == {"current": False, "backup": False}


def test_a_look_at_a_record_is_logged_and_nobody_opens_the_other_sides(database, world, clock, read, case_id):
    play.play(database, world, case_id, clock())
    mine, theirs = world[ANHUI].actor("operator"), world[HENAN].actor("county")
    found = read(transfers.get, mine, case_id)
    current, backup = read(transfers.holdings, mine, found)

    with database.transaction() as connection:
        opened = transfers.view_record(connection, mine, case_id, current.record_id, at=clock())
        kept = transfers.view_record(connection, theirs, case_id, backup.record_id, at=clock())
        assert records.intact(connection, current.record_id)
    assert (opened.state, kept.state) == ("current", "backup")
    assert opened.hash == kept.hash == found.record_hash

    for actor, record_id in ((mine, backup.record_id), (theirs, current.record_id)):
        with database.transaction() as connection, pytest.raises(NotFound):
            transfers.view_record(connection, actor, case_id, record_id, at=clock())
    with database.transaction() as connection, pytest.raises(Forbidden):
        transfers.view_record(connection, world[ANHUI].actor("school_admin"), case_id, current.record_id, at=clock())

    looked = entries_of(database, "record.viewed")
    assert [(entry.person_id, entry.case_id) for entry in looked] == [
        (mine.person_id, case_id),
        (theirs.person_id, case_id),
    ]


# The clock ribbon ------------------------------------------------------------------------------------------------


def test_the_ribbon_has_one_bar_for_each_time_that_a_party_had_it(database, world, clock, read):
    case_id = play.apply(database, world, HENAN, ZHEJIANG, clock())
    play.play(database, world, case_id, clock())

    holds = read(transfers.ribbon, world[HENAN].actor("operator"), case_id)

    assert [(hold.party, len(hold.steps), hold.limit) for hold in holds] == [
        ("receiving_school", 3, None),
        ("receiving_authority", 1, 10),
        ("releasing_school", 1, None),
        ("releasing_authority", 1, 10),
        ("receiving_school", 2, None),
        ("releasing_school", 1, None),
    ]
    assert {hold.state for hold in holds} == {"done"}


def test_the_ribbon_counts_working_days_and_says_how_many_were_too_many(database, world, clock, read):
    # 22 September 2026 is a Tuesday; ten working days after it is 13 October, since the national holiday lies between.
    case_id = play.apply(database, world, ANHUI, ANHUI, on(22))
    reader = world[ANHUI].actor("county")

    def last(at: datetime) -> tuple[int, int]:
        hold = read(transfers.ribbon, reader, case_id)[-1]
        calendar = read(workdays.load)
        return hold.used(calendar, at), hold.late(calendar, at)

    assert last(on(22)) == (0, 0)
    assert last(on(24)) == (2, 0)
    assert last(on(13, month=10)) == (10, 0)
    assert last(on(14, month=10)) == (11, 1)
    play.step(database, world, case_id, on(15, month=10))
    assert read(transfers.ribbon, reader, case_id)[-2].closed_at == on(15, month=10)
    # What is over does not grow any more, and the next authority's own clock has begun.
    decided = read(transfers.ribbon, reader, case_id)[-2]
    calendar = read(workdays.load)
    assert (decided.used(calendar, on(30, month=10)), decided.late(calendar, on(30, month=10))) == (12, 2)
    assert last(on(15, month=10)) == (0, 0)


def test_a_step_that_is_no_longer_needed_ends_its_bar(database, world, clock, read, case_id):
    with database.transaction() as connection:
        transfers.withdraw(connection, world[ANHUI].actor("operator"), case_id, "家长改变主意", at=clock())

    last = read(transfers.ribbon, world[ANHUI].actor("operator"), case_id)[-1]

    assert (last.state, last.closed_at) == ("cancelled", clock())


# The query -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fact:
    """A transfer as a naive filter in memory sees it, with everything that the filters speak of."""

    case_id: int
    number: str
    name: str
    record_number: str
    school_year: int
    state: str
    # Which organisations see it, and on which sides.
    scope: dict[int, tuple[bool, bool]]
    # Who holds it: party, organisation, due.
    held: tuple[tuple[str, int, datetime | None], ...]

    def fits(self, filters: Filters, own: int, at: datetime) -> bool:
        place = own if filters.within is None else filters.within
        if own not in self.scope or place not in self.scope:
            return False
        receiving, releasing = self.scope[place]
        return all(
            (
                {"": True, "in": receiving, "out": releasing}[filters.kind],
                filters.state in ("", self.state),
                filters.school_year in (None, self.school_year),
                filters.name in ("", self.name),
                filters.number in ("", self.number, self.record_number),
                not (filters.holder or filters.holder_id or filters.late)
                or any(self._is(holder, filters, at) for holder in self.held),
            )
        )

    @staticmethod
    def _is(holder: tuple[str, int, datetime | None], filters: Filters, at: datetime) -> bool:
        party, organisation, due = holder
        return (
            filters.holder in ("", party)
            and filters.holder_id in (None, organisation)
            and (not filters.late or (due is not None and due <= at))
        )


def facts(database) -> list[Fact]:
    """Everything, newest first."""
    with database.reading() as connection:
        scopes: dict[int, dict[int, tuple[bool, bool]]] = {}
        for row in connection.execute(sa.select(cases.case_scope)):
            scopes.setdefault(row.case_id, {})[row.organisation_id] = (row.receiving, row.releasing)
        rows = connection.execute(
            sa.select(transfer, student.c.name, student.c.record_number)
            .join(student, student.c.id == transfer.c.student_id)
            .order_by(transfer.c.case_id.desc())
        ).all()
        held: dict[int, list[tuple[str, int, datetime | None]]] = {row.case_id: [] for row in rows}
        for row in rows:
            for item in inbox.of_case(connection, row.case_id):
                if item.state == "open":
                    held[row.case_id].append((item.party, item.organisation_id, item.due_at))
    return [
        Fact(
            row.case_id, row.number, row.name, row.record_number, row.school_year, row.state, scopes[row.case_id],
            tuple(held[row.case_id]),
        )
        for row in rows
    ]  # fmt: skip


@pytest.fixture
def full(database, world, clock) -> list[Fact]:
    """Transfers in every state, of two school years, some late; the clock is turned to the second of them."""
    long_ago, lately = clock(), clock.turn(days=345)
    clock.turn(days=20)
    play.play(database, world, play.apply(database, world, HENAN, ANHUI, long_ago, serial=1), long_ago)
    refused = play.apply(database, world, ANHUI, HENAN, long_ago, serial=2)
    play.play(database, world, refused, long_ago, refuse_at="decide_releasing_authority")
    play.apply(database, world, ANHUI, ANHUI, lately, serial=3)
    play.step(database, world, play.apply(database, world, HENAN, ZHEJIANG, lately, serial=4), lately)
    withdrawn = play.apply(database, world, ZHEJIANG, ANHUI, clock(), serial=5)
    play.step(database, world, withdrawn, clock())
    with database.transaction() as connection:
        transfers.withdraw(connection, world[ANHUI].actor("operator"), withdrawn, "家长改变主意", at=clock())
    retrieved = play.apply(database, world, ANHUI, ZHEJIANG, clock(), serial=6)
    while play.step(database, world, retrieved, clock()) != "retrieve":
        pass
    play.apply(database, world, HENAN, ANHUI, clock(), serial=7)
    found = facts(database)
    assert {fact.state for fact in found} == set(STATES)
    return found


def filters_over(found: list[Fact], places: list[int]) -> st.SearchStrategy[Filters]:
    """Mostly what is there, so that something is found; empty more often than not, so that not all is excluded."""

    def maybe(values: Any, nothing: Any) -> st.SearchStrategy[Any]:
        return st.one_of(st.just(nothing), st.just(nothing), st.sampled_from(sorted(values)))

    return st.builds(
        Filters,
        within=maybe(places, None),
        name=maybe({fact.name for fact in found}, ""),
        number=maybe({fact.number for fact in found} | {fact.record_number for fact in found}, ""),
        school_year=maybe({fact.school_year for fact in found} | {1999}, None),
        kind=maybe({"in", "out"}, ""),
        state=maybe(STATES, ""),
        holder=maybe(PARTIES, ""),
        holder_id=maybe({holder[1] for fact in found for holder in fact.held}, None),
        late=st.booleans(),
    )


def all_pages(read, actor, filters: Filters, at: datetime) -> list[int]:
    """What a query finds, page by page; each page says how many there are in all."""
    found: list[int] = []
    number = 1
    while True:
        page = read(transfers.search, actor, filters, at=at, page=number, size=2)
        found += [item.case_id for item in page.transfers]
        if len(page.transfers) < 2:
            assert page.total == len(found)
            return found
        number += 1


def test_every_filter_finds_what_a_naive_one_finds(database, world, clock, read, full):
    names = ("operator", "other_operator", "county", "province", "county_auditor")
    actors = [place.actor(name) for place in world.places.values() for name in names]
    actors.append(world.ministry_actors["operator"])
    below: dict[int, set[int]] = {}
    with database.reading() as connection:
        for row in connection.execute(sa.select(organisation_ancestor)):
            below.setdefault(row.ancestor_id, set()).add(row.descendant_id)
    asked = st.sampled_from(actors).flatmap(
        lambda actor: st.tuples(st.just(actor), filters_over(full, sorted(below[actor.organisation_id])))
    )

    @settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
    @given(asked)
    def agrees(question):
        actor, filters = question
        expected = [fact.case_id for fact in full if fact.fits(filters, actor.organisation_id, clock())]
        assert all_pages(read, actor, filters, clock()) == expected

    agrees()


def test_a_place_elsewhere_is_not_found(world, clock, read, full):
    for within in (world[HENAN].school, world[HENAN].county, world.ministry, 999_999):
        for question in (Filters(within=within), Filters(within=within, number=full[0].number)):
            with pytest.raises(NotFound):
                read(transfers.search, world[ANHUI].actor("province"), question, at=clock())


def test_a_place_of_the_jurisdiction_is_looked_at_as_it_sees_itself(world, clock, read, full):
    ministry, here = world.ministry_actors["operator"], world[HENAN].school
    assert read(transfers.search, ministry, Filters(), at=clock()).transfers[0].kinds == ("in",)  # not yet requested

    found = read(transfers.search, ministry, Filters(within=here), at=clock()).transfers

    sides = {fact.case_id: fact.scope[here] for fact in full if here in fact.scope}
    assert {item.case_id: ("in" in item.kinds, "out" in item.kinds) for item in found} == sides
    assert set(sides.values()) == {(True, False), (False, True)}


def test_a_school_that_has_moved_does_not_show_its_older_cases_to_its_new_authority(database, world, clock, full):
    with database.transaction() as connection:
        organisations.move(connection, SYSTEM, world[HENAN].school, parent_id=world[ZHEJIANG].county, at=clock())
        new, old = world[ZHEJIANG].actor("county"), world[HENAN].actor("county")
        theirs = transfers.search(connection, new, Filters(within=world[HENAN].school), at=clock())
        assert [item.case_id for item in theirs.transfers] == [
            fact.case_id for fact in full if {world[HENAN].school, world[ZHEJIANG].county} <= fact.scope.keys()
        ]
        assert transfers.search(connection, old, Filters(), at=clock()).total


def test_names_are_found_however_their_dot_is_typed(database, world, clock, read):
    play.apply(database, world, HENAN, ANHUI, clock())
    with database.transaction() as connection:
        connection.execute(student.update().where(student.c.name == name_of(1)).values(name="买买提·吐尔逊"))

    for typed in ("买买提·吐尔逊", " 买买提•吐尔逊 ", "买买提 . 吐尔逊"):
        assert read(transfers.search, world[ANHUI].actor("county"), Filters(name=typed), at=clock()).total == 1


def test_a_number_is_counted_exactly_up_to_a_bound_and_no_further(world, clock, read, full, monkeypatch):
    monkeypatch.setattr(query, "COUNTED", 3)

    assert read(transfers.search, world.ministry_actors["operator"], Filters(), at=clock()).total == 4


def test_beyond_that_bound_the_pages_go_on(world, clock, read, full, monkeypatch):
    monkeypatch.setattr(query, "COUNTED", 1)
    ministry = world.ministry_actors["operator"]

    for filters in (Filters(), Filters(late=True), Filters(name=full[0].name)):
        pages = (read(transfers.search, ministry, filters, at=clock(), page=n, size=1) for n in range(1, len(full) + 2))
        expected = [fact.case_id for fact in full if fact.fits(filters, world.ministry, clock())]
        assert [item.case_id for page in pages for item in page.transfers] == expected


@contextmanager
def statements(connection):
    """The texts of the statements that a block sends."""
    sent: list[str] = []

    def note(_connection, _cursor, statement, *_):
        sent.append(statement)

    sa.event.listen(connection, "before_cursor_execute", note)
    yield sent
    sa.event.remove(connection, "before_cursor_execute", note)


def test_a_longer_page_asks_no_more_questions(database, world, clock, full):
    ministry = world.ministry_actors["operator"]
    asked = []
    for size in (1, len(full)):
        with database.reading() as connection, statements(connection) as sent:
            transfers.search(connection, ministry, Filters(late=False), at=clock(), size=size)
        asked.append(len(sent))

    assert asked[0] == asked[1] <= 6


def test_each_organisation_gets_a_plan_of_its_own(database, world, clock, full):
    county = world[ANHUI].actor("county")
    with database.reading() as connection, statements(connection) as sent:
        transfers.search(connection, county, Filters(state="pending", name=name_of(3)), at=clock())

    assert f"organisation_id = {county.organisation_id}" in next(text for text in sent if "case_scope" in text)
    assert name_of(3) not in "".join(sent)


# The export ------------------------------------------------------------------------------------------------------


def export(database, actor, filters, reason, at):
    with database.transaction() as connection:
        return transfers.export(connection, actor, filters, reason, at=at)


def test_nothing_is_exported_without_a_reason(database, world, clock, full):
    for reason in ("", "  \n"):
        with pytest.raises(Invalid) as refused:
            export(database, world[ANHUI].actor("county"), Filters(), reason, clock())
        assert set(refused.value.fields) == {"reason"}
    assert entries_of(database, "transfers.exported") == []


def test_an_export_has_what_the_list_has_and_its_reason_is_logged_without_the_child(database, world, clock, read, full):
    actor, wanted = world[ANHUI].actor("county"), Filters(name=name_of(3), state="pending")

    found = export(database, actor, wanted, " 学年统计 ", clock())

    assert found == read(transfers.search, actor, wanted, at=clock()).transfers
    assert found[0].student.number.endswith("****")
    [entry] = entries_of(database, "transfers.exported")
    assert (entry.person_id, entry.organisation_id) == (actor.person_id, actor.organisation_id)
    assert entry.after == {
        "reason": "学年统计", "transfers": 1, "filters": {"name": "name", "state": "pending"}
    }  # fmt: skip


def test_an_export_is_as_long_as_a_list_can_be_counted_and_no_longer(database, world, clock, full, monkeypatch):
    ministry = world.ministry_actors["operator"]
    monkeypatch.setattr(query, "_CHUNK", 2)
    monkeypatch.setattr(query, "COUNTED", len(full))
    assert [item.case_id for item in export(database, ministry, Filters(), "统计", clock())] == [
        fact.case_id for fact in full
    ]

    monkeypatch.setattr(query, "COUNTED", len(full) - 1)
    with pytest.raises(TooManyToExport):
        export(database, ministry, Filters(), "统计", clock())
