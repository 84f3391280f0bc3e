"""A procedure as data: its words in two languages, who acts, and what is done in one act."""

from __future__ import annotations

import pytest

from engine.bpmn import reader
from engine.bpmn.graph import Described, Option
from tests.unit.bpmn import diagrams as d


def test_words_are_chinese_and_english_where_they_are_written() -> None:
    both = Described("x", "核办", {"label.en": "Decide"})
    assert [both.label(locale) for locale in ("zh", "zh_Hans_CN", "en", "en_GB")] == [
        "核办",
        "核办",
        "Decide",
        "Decide",
    ]
    assert Described("x", "核办").label("en") == "核办"
    assert Described("x", "").label("zh") == "x"
    assert [Option("a", "同意", "Agree").label(locale) for locale in ("zh", "en")] == ["同意", "Agree"]
    assert Option("a", "同意").label("en") == "同意"


def test_clauses_and_how_sure_we_are() -> None:
    described = Described("x", "", {"clause": " 附件一.3 ;附件一.4;; "})
    assert (described.clauses, described.basis) == (("附件一.3", "附件一.4"), "text")
    assert Described("x", "", {"basis": "inferred"}).basis == "inferred"


def test_a_menu_speaks_both_languages() -> None:
    facts = {"menu": "变动审批/转出审批", "menu.en": "Changes/Releases", "batch": "true"}
    node = d.pool(d.user("ask", d.extension(d.property_list(facts)))).by_id["ask"]
    assert (node.menu("zh"), node.menu("en"), node.batch) == ("变动审批/转出审批", "Changes/Releases", True)
    plain = d.pool(d.user("ask")).by_id["ask"]
    assert (plain.menu("zh"), plain.menu("en"), plain.batch) == ("", "", False)


def test_without_lanes_the_owner_acts() -> None:
    assert d.pool(d.user("ask")).party("ask") == "owner"
    assert d.pool(d.lanes(releasing_school="ask"), d.user("ask")).party("ask") == "releasing_school"


@pytest.mark.parametrize(
    ("withdraw", "until"),
    [("until record_retrieved", "record_retrieved"), ("", None), ("never", None), ("until", None), ("until a b", None)],
)
def test_until_when_a_transfer_may_be_withdrawn(withdraw: str, until: str | None) -> None:
    source = d.file(d.collaboration(d.participant("p", "q", "receiving", withdraw=withdraw)), d.process("q"))
    assert reader.read(source).pool("receiving").withdrawable_until == until


def test_a_pool_is_found_by_its_side() -> None:
    graph = d.read(d.start())
    assert graph.pool(None) is graph.executable[0]
    with pytest.raises(KeyError):
        graph.pool("receiving")


def desk(menu: str = "转出审批") -> str:
    return d.properties(menu=menu)


@pytest.mark.parametrize(
    ("steps", "lanes", "act"),
    [
        ((d.manual("one", desk()), d.user("two", desk())), "", ["one", "two"]),
        ((d.manual("one", desk()), d.manual("two", desk())), "", ["one", "two"]),
        ((d.user("one", desk()), d.user("two", desk())), "", ["one"]),
        ((d.manual("one", desk()), d.user("two", desk("转入审批"))), "", ["one"]),
        ((d.manual("one", desk()), d.user("two", desk(), camunda_candidateGroups="reviewer")), "", ["one"]),
        ((d.manual("one", desk()), d.service("two")), "", ["one"]),
        ((d.manual("one", desk()), d.user("two", desk())),
         d.lanes(releasing_school="one", releasing_authority="two"), ["one"]),
    ],
)  # fmt: skip
def test_a_manual_step_is_one_act_with_what_it_prepares_at_the_same_desk(
    steps: tuple[str, ...], lanes: str, act: list[str]
) -> None:
    pool = d.pool(lanes, d.start(), *steps, d.end(), d.path("start", "one", "two", "end"))
    assert [node.id for node in pool.act("one")] == act


def test_an_act_does_not_run_in_a_circle() -> None:
    pool = d.pool(d.manual("one"), d.manual("two"), d.path("one", "two", "one"))
    assert [node.id for node in pool.act("one")] == ["one", "two"]
    assert [node.id for node in pool.act("two")] == ["two", "one"]


def test_an_act_ends_where_the_way_parts() -> None:
    pool = d.pool(
        d.manual("one"), d.exclusive("gate", default="gate_a"), d.user("a"), d.user("b"), d.path("one", "gate", "a"),
        d.flow("gate", "b", "true"),
    )  # fmt: skip
    assert [node.id for node in pool.act("one")] == ["one"]


def test_the_application_is_the_first_user_task_and_its_act_what_comes_before() -> None:
    pool = d.pool(
        d.start(), d.manual("look"), d.throw("mark"), d.user("apply"), d.user("more"), d.end(),
        d.path("start", "look", "mark", "apply", "more", "end"),
    )  # fmt: skip
    assert pool.application is pool.by_id["apply"]
    assert [node.id for node in pool.application_act] == ["look", "apply"]


@pytest.mark.parametrize(
    "elements",
    [
        (d.start(), d.end(), d.path("start", "end")),
        (d.user("ask"),),
        (d.start(), d.exclusive("a"), d.exclusive("b"), d.path("start", "a", "b", "a")),
        (d.start(), d.exclusive("gate"), d.user("a"), d.user("b"), d.path("start", "gate", "a"), d.path("gate", "b")),
    ],
)
def test_without_a_user_task_right_after_the_start_there_is_no_application(elements: tuple[str, ...]) -> None:
    pool = d.pool(*elements)
    assert pool.application is None
    assert pool.application_act == ()
