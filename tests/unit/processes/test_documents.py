"""The shipped procedures against their documents: nothing claimed that is not there, nothing there that is lost."""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from lxml import etree
from SpiffWorkflow.bpmn.parser.BpmnParser import BpmnValidator

from engine.bpmn import catalogue, checks, reader
from engine.bpmn.graph import Described, Node, ProcessGraph
from engine.settings import processes_folder

REGIMES = ("national", "anhui")
# Of the source's text without its numbering, its pictures and all white space: a lost or altered word shows here.
DIGESTS = {
    "national": "4250eec96b41da583b940682692d912f16d33a5333b70b484ca23d01e675cccb",
    "anhui": "3ed3a9177eb0be516869770d7847ab9e216814ebb9596f2ae4f0ea28b1cc57b9",
}
# A sentence of another document is cited by that document's number and its clause there.
FOREIGN = re.compile(r"(?P<number>\S+号) (?P<clause>\S+)")


class Procedure:
    def __init__(self, regime: str) -> None:
        folder = processes_folder() / regime
        self.path: Path = folder / "transfer.bpmn"
        self.graph: ProcessGraph = reader.read(self.path.read_bytes())
        with (folder / "document.csv").open(encoding="utf-8", newline="") as file:
            self.rows = list(csv.DictReader(file))

    @property
    def sentences(self) -> dict[str, str]:
        return {row["clause"]: row["text"] for row in self.rows}

    @property
    def own(self) -> list[str]:
        """The document's own sentences, without those cited from another and without the pictures."""
        return [
            row["text"]
            for row in self.rows
            if not FOREIGN.fullmatch(row["clause"]) and not row["clause"].endswith("图")
        ]

    def nodes(self) -> Iterator[Node]:
        for pool in self.graph.executable:
            yield from pool.nodes

    def described(self) -> Iterator[Described]:
        """Whatever a reader of the diagram sees words of: no plain arrows."""
        for element in checks.described(self.graph):
            if element.name:
                yield element

    def facts(self) -> Iterator[tuple[str, dict[str, str]]]:
        """What the document says as a whole: key and its value, `en` and `clause`."""
        for properties in (self.graph.properties, *(pool.properties for pool in self.graph.pools)):
            for name in properties:
                if name.startswith("document.") and not name.endswith((".en", ".clause")):
                    yield name, {part: properties.get(f"{name}{part}", "") for part in ("", ".en", ".clause")}

    def references(self) -> set[str]:
        found = {clause for element in checks.described(self.graph) for clause in element.clauses}
        texts = [self.graph.properties.get("clause", ""), *(fact[".clause"] for _, fact in self.facts())]
        return found | {part.strip() for text in texts for part in text.split(";") if part.strip()}


@pytest.fixture(params=REGIMES)
def regime(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def procedure(regime: str) -> Procedure:
    return Procedure(regime)


def test_every_clause_that_an_element_names_exists(procedure):
    assert procedure.references() <= set(procedure.sentences)


def test_every_sentence_is_modelled_or_says_why_not(procedure):
    modelled = {row["clause"] for row in procedure.rows if row["modelled"] == "yes"}
    assert modelled == procedure.references()
    assert all(row["modelled"] for row in procedure.rows)


def test_the_document_is_there_word_for_word_and_in_its_order(regime, procedure):
    text = re.sub(r"\s", "", "".join(procedure.own))
    assert hashlib.sha256(text.encode()).hexdigest() == DIGESTS[regime]


def test_a_clause_names_one_sentence(procedure):
    assert len(procedure.sentences) == len(procedure.rows)


def test_a_cited_sentence_is_the_other_documents_own(procedure):
    documents = {other.graph.properties["document.number"]: other for other in map(Procedure, REGIMES)}
    cited = [found for found in map(FOREIGN.fullmatch, procedure.sentences) if found]
    assert cited
    for found in cited:
        assert documents[found["number"]].sentences[found["clause"]] == procedure.sentences[found[0]]


def test_what_is_claimed_to_be_text_names_its_sentence(procedure):
    assert [item.id for item in procedure.described() if item.basis in {"text", "picture"} and not item.clauses] == []


def test_what_only_a_picture_shows_refers_to_that_picture(procedure):
    shown = [item for item in procedure.described() if item.basis == "picture"]
    assert all(clause.endswith("图") for item in shown for clause in item.clauses)


def test_the_persons_of_the_pictures_appear_nowhere(procedure):
    texts = [*(" ".join(row.values()) for row in procedure.rows), procedure.path.read_text(encoding="utf-8")]
    assert not any(re.search(r"\d{6,}[\dXx*]{4}", text) for text in texts)
    pictures = [row["text"] for row in procedure.rows if row["clause"].endswith("图")]
    assert all(re.fullmatch(r"〔图：\w+页面(，含\w+信息)?〕", text) for text in pictures)


def test_english_is_complete(procedure):
    assert procedure.graph.properties["label.en"]
    assert [item.id for item in procedure.described() if not item.properties.get("label.en")] == []
    for node in procedure.nodes():
        assert bool(node.properties.get("menu")) == bool(node.properties.get("menu.en")) == node.is_human, node.id
        assert node.menu("zh").count("/") == node.menu("en").count("/"), node.id
        assert all(option.name_en for item in node.form for option in item.options), node.id
    for name, fact in procedure.facts():
        assert fact[".clause"], name
        assert fact[".en"] or fact[""].isascii(), name


def test_nothing_is_found_wrong_with_it(procedure):
    assert checks.findings(procedure.graph) == []


def test_it_is_valid_bpmn(procedure):
    validator = BpmnValidator().validator
    assert validator.validate(etree.fromstring(procedure.path.read_bytes())), validator.error_log


def test_the_two_differ_in_these_steps_and_no_others():
    national, anhui = ({node.id for node in Procedure(regime).nodes()} for regime in REGIMES)
    assert national - anhui == {
        # the reviewer's decision in the receiving school
        "decide_receiving_school", "receiving_school_agrees", "refused_by_receiving_school",
        # the releasing school's decision in the system
        "decide_releasing_school", "releasing_school_agrees", "announce_refusal_of_school",
        "refused_by_releasing_school",
        # the announcement that the paper file is on its way
        "announce_paper_file",
    }  # fmt: skip
    assert anhui - national == {"check_with_releasing_school"}


def test_only_what_the_text_says_may_be_done_for_several_at_once(regime, procedure):
    batch = {node.id for node in procedure.nodes() if node.batch}
    said = {"decide_receiving_authority", "check_with_releasing_school", "decide_releasing_authority"}
    assert batch == (said if regime == "anhui" else set())


def test_the_limit_of_ten_working_days_stands_on_each_authoritys_work_alone(procedure):
    pools = procedure.graph.executable
    limited = {(pool.party(node.id), node.due) for pool in pools for node in pool.nodes if node.due}
    assert limited == {("receiving_authority", "workdays(10)"), ("releasing_authority", "workdays(10)")}


def test_the_notation_explains_every_name_that_a_diagram_may_use():
    text = (processes_folder() / "README.md").read_text(encoding="utf-8")
    names = {*catalogue.TOPICS, *catalogue.MESSAGES, *catalogue.BINDINGS, *catalogue.DUTIES, *catalogue.OUTCOMES}
    assert {name for name in names if f"`{name}`" not in text} == set()
    assert {key for key in catalogue.DOCUMENT_KEYS if f".{key}`" not in text} == set()
