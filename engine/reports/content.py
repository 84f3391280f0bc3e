"""What stands in the report of a comparison (对照报告), whatever it is written as: headings, paragraphs, tables.

Made from the comparison's JSON, so that a stored one, and one that came from elsewhere, can be reported; how long cases
take is told where somebody has simulated it.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from engine.bpmn.graph import PARTIES
from engine.comparison.findings import party_words
from engine.comparison.model import GUARDIAN
from engine.comparison.sentences import Words, templates

Json = dict[str, Any]
# What people see of the ladder; the rest the system does by itself.
SHOWN = ("system", "off_system", "guardian", "unstated")
# Differences in how things are put. They stand in an annex.
_WORDING = frozenset({"text", "menu", "reworded", "clause"})
# What the head of the report says of each document.
_FACTS = ("issuer", "number", "date", "in_force", "scope", "system")
_ORDER = (*PARTIES, GUARDIAN)


@dataclass(frozen=True)
class Heading:
    text: str
    level: int


@dataclass(frozen=True)
class Paragraph:
    text: str
    # lead: what is read first; soft: a remark.
    kind: str = ""


@dataclass(frozen=True)
class Listed:
    items: tuple[str, ...]
    numbered: bool = False


@dataclass(frozen=True)
class Table:
    """Cells are texts; a line break in one begins a paragraph. `widths` are shares of the page's width."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    widths: tuple[float, ...]


Block = Heading | Paragraph | Listed | Table


@dataclass(frozen=True)
class Report:
    title: str
    locale: str
    blocks: tuple[Block, ...]

    def word(self, name: str, **values: Any) -> str:
        return _say(self.locale, name, **values)


def report(
    found: Json,
    locale: str,
    *,
    made_on: str = "",
    versions: tuple[str, str] | None = None,
    durations: tuple[Mapping[str, Any], Mapping[str, Any]] | None = None,
) -> Report:
    """The report of a comparison in one language.

    `versions` say which version of its procedure each side is, `durations` are the `Figures` of both under the default
    assumptions, as mappings.
    """
    return _Author(found, "en" if locale.startswith("en") else "zh", made_on, versions, durations).report()


@cache
def _words() -> dict[str, Words]:
    with (Path(__file__).parent / "words.csv").open(encoding="utf-8", newline="") as file:
        return {row["name"]: Words(row["zh"], row["en"]) for row in csv.DictReader(file)}


def _say(locale: str, name: str, **values: Any) -> str:
    return _words()[name].text(locale).format_map(values)


def by_party(differences: Iterable[Json]) -> list[tuple[str, list[Json]]]:
    """Differences that stand for themselves, by the party concerned; what concerns the whole document last."""
    found: dict[str, list[Json]] = {}
    for difference in differences:
        if not difference["cause"]:
            found.setdefault(difference["party"], []).append(difference)
    return sorted(found.items(), key=lambda item: _party_place(item[0]))


def _party_place(party: str) -> tuple[int, str]:
    if not party:
        return len(_ORDER) + 1, ""
    return (_ORDER.index(party) if party in _ORDER else len(_ORDER)), party


@dataclass(frozen=True)
class _Author:
    found: Json
    locale: str
    made_on: str
    versions: tuple[str, str] | None
    durations: tuple[Mapping[str, Any], Mapping[str, Any]] | None

    def report(self) -> Report:
        title = self.say("title", a=self.side("a"), b=self.side("b"))
        return Report(title, self.locale, tuple(self.blocks()))

    def blocks(self) -> Iterator[Block]:
        if self.made_on:
            yield Paragraph(self.say("made_on", day=self.made_on), "soft")
        for name, part in (
            ("documents", self.documents), ("verdict", self.verdict), ("ladder", self.ladder),
            ("differences", self.differences), ("stops", self.stops), ("numbers", self.numbers), ("same", self.same),
            ("questions", self.questions), ("wording", self.wording), ("reading", self.reading),
        ):  # fmt: skip
            yield Heading(self.say(name), 1)
            yield from part()

    def say(self, name: str, **values: Any) -> str:
        return _say(self.locale, name, **values)

    def template(self, name: str) -> str:
        return templates()[name].text(self.locale)

    def side(self, side: str) -> str:
        return self.in_words(self.found[side]["label"])

    def in_words(self, words: Json) -> str:
        return str(words[self.locale])

    # The parts

    def documents(self) -> Iterator[Block]:
        facts = [{fact["key"]: fact for fact in self.found[side]["facts"] if not fact["side"]} for side in ("a", "b")]
        rows = [
            (
                self.template(f"fact.{key}"),
                *(self.in_words(known[key]["text"]) if key in known else self.say("unstated") for known in facts),
            )
            for key in _FACTS
        ]
        if self.versions:
            rows.append((self.say("version"), *self.versions))
        if any(facts) or self.versions:
            yield Table((self.say("document"), self.side("a"), self.side("b")), tuple(rows), (0.2, 0.4, 0.4))
        for side in ("a", "b"):
            if not self.found[side]["documented"]:
                yield Paragraph(f"{self.side(side)}：{self.say('undocumented')}", "soft")

    def verdict(self) -> Iterator[Block]:
        yield Listed(tuple(self.in_words(sentence) for sentence in self.found["verdict"]), numbered=True)
        for note in self.found["notes"]:
            yield Paragraph(self.in_words(note), "soft")
        if not self.found["decided"]:
            yield Paragraph(self.say("undecided"), "soft")

    def ladder(self) -> Iterator[Block]:
        rows, left_out = [], 0
        for rung in ladder(self.found):
            if rung.is_shown:
                confidence = f"{round(rung.confidence * 100)}%" if rung.a and rung.b else ""
                rows.append((*self._steps(rung.a), *self._steps(rung.b), confidence))
            else:
                left_out += 1
        columns = (
            self.say("step_of", side=self.side("a")), self.say("who"), self.say("step_of", side=self.side("b")),
            self.say("who"), self.say("confidence"),
        )  # fmt: skip
        yield Table(columns, tuple(rows), (0.3, 0.15, 0.3, 0.15, 0.1))
        if left_out:
            yield Paragraph(self.say("automatic", count=left_out), "soft")

    def _steps(self, steps: Sequence[Json]) -> tuple[str, str]:
        if not steps:
            return self.say("no_counterpart"), ""
        parties = dict.fromkeys(self.in_words(step["party_label"]) for step in steps)
        return "\n".join(self._step(step) for step in steps), "\n".join(parties)

    def _step(self, step: Json) -> str:
        clauses = "、".join(step["clauses"][:1])
        return self.in_words(step["label"]) + (f"（{clauses}）" if clauses else "")

    def differences(self) -> Iterator[Block]:
        yield from self._differences([item for item in self.found["differences"] if item["kind"] not in _WORDING])

    def wording(self) -> Iterator[Block]:
        yield from self._differences([item for item in self.found["differences"] if item["kind"] in _WORDING])
        if self.found["layout_only"]:
            yield Paragraph(self.say("layout_only", count=self.found["layout_only"]), "soft")

    def _differences(self, differences: Sequence[Json]) -> Iterator[Block]:
        number = 0
        for party, items in by_party(differences):
            yield Heading(party_words(party).text(self.locale) if party else self.say("whole"), 2)
            rows = []
            for item in items:
                number += 1
                rows.append((str(number), self._told(item), *self._quoted(item), self._nature(item)))
            columns = (
                self.say("number"), self.say("difference"), self.say("text_of", side=self.side("a")),
                self.say("text_of", side=self.side("b")), self.say("nature"),
            )  # fmt: skip
            yield Table(columns, tuple(rows), (0.07, 0.29, 0.26, 0.26, 0.12))
        if not number:
            yield Paragraph(self.say("no_differences"))

    def _told(self, difference: Json) -> str:
        follows = [item for item in self.found["differences"] if item["cause"] == difference["id"]]
        lines = [self.in_words(difference["text"])]
        lines += [self.say("follows", text=self.in_words(item["text"])) for item in follows]
        return "\n".join(lines)

    def _quoted(self, item: Json) -> tuple[str, str]:
        mine, theirs = (
            "\n".join(
                f"{quote['clause']}　{quote['text']}" if quote["text"] else self.say("clause_only", **quote)
                for quote in item["quotes"][side]
            )
            or self.say("unstated")
            for side in ("a", "b")
        )
        return mine, theirs

    def _nature(self, difference: Json) -> str:
        lines = [
            self.template(f"severity.{difference['severity']}"),
            self.template(f"standing.{difference['standing']}"),
        ]
        if difference["basis"] == "picture":
            lines.append(self.template("basis.picture"))
        return "\n".join(lines)

    def stops(self) -> Iterator[Block]:
        rows = [
            (self.in_words(row["label"]), self._refusals(row["a"]), self._refusals(row["b"]))
            for row in self.found["refusals"]
        ]
        columns = (self.say("party"), *(self.say("may_refuse", side=self.side(side)) for side in ("a", "b")))
        yield Table(columns, tuple(rows), (0.2, 0.4, 0.4))

    def _refusals(self, cells: list[Json] | None) -> str:
        if cells is None:
            return self.say("acts_not")
        lines = [
            self.say(
                "refuses",
                step=self.in_words(cell["label"]),
                reasons=self.say("reasons_yes" if cell["reasons"] else "reasons_no"),
                recorded=self.say("recorded", where=self.in_words(cell["recorded"])),
            )
            + "".join(f"（{clause}）" for clause in cell["clauses"][:1])
            + ("" if cell["basis"] == "text" else f"［{self.template('basis.' + cell['basis'])}］")
            for cell in cells
        ]
        return "\n".join(lines) or self.say("refuses_not")

    def numbers(self) -> Iterator[Block]:
        mine, theirs = (self.found["numbers"][side] for side in ("a", "b"))
        rows = [
            (self.in_words(one["label"]), str(one["value"]), str(other["value"]))
            for one, other in zip(mine["counts"], theirs["counts"], strict=True)
            if one["value"] or other["value"]
        ]
        days = [limits["ceiling"]["days"] for limits in (mine, theirs)]
        most = [self.say("ceiling_none") if number is None else str(number) for number in days]
        rows.append((self.say("ceiling"), most[0], most[1]))
        yield Table((self.say("counted"), self.side("a"), self.side("b")), tuple(rows), (0.5, 0.25, 0.25))
        for side, limits in (("a", mine), ("b", theirs)):
            steps = [self.in_words(item["label"]) for item in limits["ceiling"]["unlimited"]]
            told = self.say("unlimited", steps="、".join(steps) or self.say("nothing"))
            yield Paragraph(f"{self.side(side)}　{told}", "soft")
        if self.durations:
            yield from self._durations(*self.durations)

    def _durations(self, mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> Iterator[Block]:
        yield Heading(self.say("durations"), 2)
        rows = [
            (self.say(f"duration_{name}"), *(self._estimated(name, found[name]) for found in (mine, theirs)))
            for name in ("shortest", "mean", "percentile", "completed")
        ]
        yield Table((self.say("counted"), self.side("a"), self.side("b")), tuple(rows), (0.5, 0.25, 0.25))
        yield Paragraph(self.say("simulated", cases=f"{mine['cases']:,}"), "soft")

    def _estimated(self, name: str, found: Any) -> str:
        if found is None:
            return self.say("ceiling_none")
        value, margin = (found["value"], found["margin"]) if isinstance(found, Mapping) else (found, None)
        scale, unit = (100, " %") if name == "completed" else (1, "")
        within = "" if margin is None else f" ± {margin * scale:.1f}"
        return f"{value * scale:.1f}{within}{unit}"

    def same(self) -> Iterator[Block]:
        yield self._agreements("same")

    def questions(self) -> Iterator[Block]:
        yield self._agreements("questions")

    def _agreements(self, name: str) -> Block:
        items = tuple(self.in_words(item["text"]) for item in self.found[name])
        return Listed(items) if items else Paragraph(self.say("nothing"))

    def reading(self) -> Iterator[Block]:
        names = ("standing.differs", "standing.unstated", "standing.inferred", "basis.picture")
        yield Listed(tuple(self.say(name) for name in names))
        yield Paragraph(self.say("footer"), "soft")


# The ladder ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rung:
    """Steps of one side and those of the other that do the same work; nothing on a side without a counterpart."""

    a: tuple[Json, ...]
    b: tuple[Json, ...]
    confidence: float

    @property
    def is_shown(self) -> bool:
        """Whether people act in it, or the system may end the case there."""
        return any(step["channel"] in SHOWN or step["kind"] == "check" for step in (*self.a, *self.b))


def ladder(found: Json) -> list[Rung]:
    """All groups of steps, in the order of the first side; what the second has alone stands where it comes there."""
    mine, theirs = ({step["id"]: step for step in found["steps"][side]} for side in ("a", "b"))
    rungs = [
        Rung(tuple(mine[step] for step in group["a"]), tuple(theirs[step] for step in group["b"]), group["confidence"])
        for group in found["matches"]
    ]
    rungs += [Rung((mine[step],), (), 0.0) for step in found["unmatched"]["a"]]
    rungs = sorted(rungs, key=lambda rung: _rung_place(rung.a[0]))
    for step in found["unmatched"]["b"]:
        before = [
            index for index, rung in enumerate(rungs) if rung.b and _rung_place(rung.b[0]) < _rung_place(theirs[step])
        ]
        rungs.insert(before[-1] + 1 if before else 0, Rung((), (theirs[step],), 0.0))
    return rungs


def _rung_place(step: Json) -> tuple[bool, int]:
    return step["side"] == "releasing", step["order"]
