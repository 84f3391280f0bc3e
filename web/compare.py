"""Comparing two procedures: what differs, for whom, and where each document says so; as a page and as a report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from flask import Blueprint, Response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.engine import Connection
from werkzeug.datastructures import FileStorage

from engine import procedures, reports, simulations
from engine.bpmn.graph import PARTIES, ProcessGraph
from engine.comparison import PHASES, Words
from engine.comparison.findings import party_words
from engine.comparison.model import GUARDIAN, SEVERITIES
from engine.comparison.sentences import templates
from engine.errors import N_, Invalid, NotFound, XuejiError
from engine.permissions import may
from engine.procedures import TRANSFER, Standing
from engine.reports import FORMATS, Json, Pair, Source
from engine.reports.content import Rung, by_party, ladder
from web.context import current_actor, now, reading, requires, transaction, xueji
from web.errors import shown_again_by
from web.flash import flash
from web.gettext import gettext as _
from web.locales import is_english, label
from web.procedures import kind_of

blueprint = Blueprint("compare", __name__, url_prefix="/compare")

# What a difference is, as people filter by it. The kinds and their meanings stand in docs/comparison.md.
KINDS = {
    "removed": N_("Step on the first side alone"),
    "added": N_("Step on the second side alone"),
    "moved": N_("Another party does it"),
    "refusal": N_("May refuse on one side alone"),
    "reasons": N_("Reasons of a refusal"),
    "merged": N_("Several become one"),
    "split": N_("One becomes several"),
    "reordered": N_("Another order"),
    "condition": N_("Condition"),
    "outcome": N_("Outcome"),
    "withdrawal": N_("Withdrawal"),
    "deadline": N_("Time limit"),
    "fact": N_("The document as a whole"),
    "duty": N_("Duty"),
    "message": N_("Message"),
    "service": N_("What the system does"),
    "channel": N_("Manner"),
    "batch": N_("Several at once"),
    "form": N_("Form"),
    "reminder": N_("Reminder"),
    "clause": N_("Clause"),
    "text": N_("Text beyond the diagram"),
    "menu": N_("Menu"),
    "reworded": N_("Wording"),
    "first_actor": N_("Who is the first to act"),
    "handoffs": N_("Hand-offs"),
    "agreement": N_("Who must decide"),
    "steps": N_("Number of steps"),
    "stop": N_("Who can stop a case"),
    "result": N_("How a case may end"),
    "waits": N_("Waiting for ever"),
    "occurrence": N_("How often a step happens"),
    "sequence": N_("Order in all runs"),
    "repetition": N_("Happens more than once"),
}
# Differences in how things are put; they stand folded below the others.
WORDING = frozenset({"text", "menu", "reworded", "clause"})
# Each severity as it is marked in pictures and on cards: by an icon, a word and a colour.
MARKS = {
    "legal_effect": "effect", "who": "acts", "order": "acts", "form": "other", "wording": "worded", "layout": "worded",
}  # fmt: skip
_PARTIES = (*PARTIES, GUARDIAN)


# Choosing --------------------------------------------------------------------------------------------------------


@blueprint.get("")
@requires("query")
def chooser(error: XuejiError | None = None) -> str:
    """What is worth comparing today, and any two others."""
    with reading() as connection:
        known = procedures.standings(connection, at=now())
        regimes = procedures.regimes(connection)
    options = [(str(item.id), f"{label(regimes[item.regime])} · {_version(item)}") for item in known]
    return render_template(
        "compare/chooser.html", options=options, suggested=_suggested(known, regimes), error=error, regimes=regimes
    )


def _suggested(known: Sequence[Standing], regimes: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """What is in force beside each other, and each draft beside what it would take the place of."""
    order = list(regimes)
    in_force = sorted(
        (item for item in known if item.state == "in_force" and item.kind == TRANSFER),
        key=lambda item: order.index(item.regime),
    )
    pairs = [(one, other) for number, one in enumerate(in_force) for other in in_force[number + 1 :]]
    present = {(item.regime, item.kind): item for item in known if item.state == "in_force"}
    pairs += [
        (present[item.regime, item.kind], item)
        for item in known
        if item.state in ("draft", "scheduled") and (item.regime, item.kind) in present
    ]
    return [
        (
            url_for(".page", a=one.id, b=other.id),
            _("%(one)s and %(other)s", one=_named(one, regimes), other=_named(other, regimes)),
            f"{_version(one)} — {_version(other)}",
        )
        for one, other in pairs
    ]


def _named(item: Standing, regimes: Mapping[str, Any]) -> str:
    return str(label(regimes[item.regime]))


def _version(item: Standing) -> str:
    states = {
        "draft": _("Draft"), "scheduled": _("From a later day"), "in_force": _("In force"),
        "superseded": _("Superseded"), "retired": _("Retired"),
    }  # fmt: skip
    number = _("Version %(number)s", number=item.number)
    kind = "" if item.kind == TRANSFER else f"{kind_of(item.kind)} · "
    return f"{kind}{number} · {states[item.state]}"


@blueprint.post("")
@requires("query")
@shown_again_by(chooser)
def choose() -> ResponseReturnValue:
    """Go to the page of two sides, keeping files that were sent for it."""
    references = [_chosen(side) for side in ("a", "b")]
    return redirect(url_for(".page", a=references[0], b=references[1]), 303)


def _chosen(side: str) -> str:
    diagram, document = request.files.get(f"{side}_diagram"), request.files.get(f"{side}_document")
    if request.form.get(side) != "file":
        reference = request.form.get(side, "")
        if not reference:
            raise Invalid(fields={side: Invalid(N_("Choose a version, or a file."))})
        return reference
    if diagram is None or not diagram.filename:
        raise Invalid(fields={f"{side}_diagram": Invalid(N_("Choose a file."))})
    with transaction() as connection:
        name = diagram.filename.rsplit(".", 1)[0]
        return reports.keep_file(connection, current_actor(), name, diagram.read(), _document_in(document), at=now())


def _document_in(file: FileStorage | None) -> str:
    return procedures.decode_document(file.read()) if file is not None and file.filename else ""


# The page --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Card:
    """A difference with what follows from it."""

    difference: Json
    follows: tuple[Json, ...]
    play: Json | None


@dataclass(frozen=True)
class Asked:
    """By what the differences are narrowed."""

    party: str
    kind: str
    severity: str

    @classmethod
    def of_request(cls) -> Asked:
        return cls(*(request.args.get(name, "") for name in ("party", "kind", "severity")))

    def fits(self, difference: Json) -> bool:
        wanted = ((self.party, difference["party"] or "whole"), (self.kind, difference["kind"]),
                  (self.severity, difference["severity"]))  # fmt: skip
        return all(not wish or wish == found for wish, found in wanted)

    @property
    def narrows(self) -> bool:
        return bool(self.party or self.kind or self.severity)


class Shown:
    """A comparison with the words in which the page tells it."""

    def __init__(self, pair: Pair, found: Json, standings: Sequence[Standing | None]) -> None:
        self.pair = pair
        self.found = found
        self.standings = standings
        self.asked = Asked.of_request()
        self.rungs = ladder(found)

    @property
    def title(self) -> str:
        return str(_("%(one)s and %(other)s", one=self.side("a"), other=self.side("b")))

    def side(self, side: str) -> str:
        return said(self.found[side]["label"])

    def version(self, side: str) -> str:
        standing = self.standings["ab".index(side)]
        return _standing_words(standing)

    def fact(self, side: str, key: str) -> str:
        facts = {fact["key"]: fact for fact in self.found[side]["facts"] if not fact["side"]}
        return said(facts[key]["text"]) if key in facts else str(_("Not stated"))

    @cached_property
    def causes(self) -> list[Json]:
        return [item for item in self.found["differences"] if not item["cause"]]

    def cards(self, *, wording: bool) -> list[tuple[str, str, list[Card]]]:
        """Party by party, as far as they are asked for: its key, its name, its cards."""
        asked = [item for item in self.causes if self.asked.fits(item) and (item["kind"] in WORDING) is wording]
        return [(party, self.party(party), [self._card(item) for item in items]) for party, items in by_party(asked)]

    def party(self, party: str) -> str:
        return party_words(party).text(_locale()) if party else str(_("The document as a whole"))

    def _card(self, difference: Json) -> Card:
        follows = tuple(item for item in self.found["differences"] if item["cause"] == difference["id"])
        run = difference.get("run") or next((item["run"] for item in follows if "run" in item), None)
        return Card(difference, follows, run and self._play(run))

    def _play(self, run: Json) -> Json:
        """A run as the page plays it: what happens in each move, and where its tokens stand then."""
        graph = self.graphs["ab".index(run["side"])]
        moves = [
            {
                "words": _move(graph, move),
                "tokens": [element for elements in move["tokens"].values() for element in elements],
                "passed": move["passed"],
            }
            for move in run["moves"]
        ]
        return {"side": run["side"], "moves": moves}

    @cached_property
    def graphs(self) -> tuple[ProcessGraph, ProcessGraph]:
        one, other = self.pair.sides
        return one.graph, other.graph

    def rung_severity(self, rung: Rung) -> str | None:
        """The most severe of what differs in these steps."""
        mine, theirs = ({element for step in steps for element in step["ids"]} for steps in (rung.a, rung.b))
        touching = (item for item in self.found["differences"] if mine & set(item["a"]) or theirs & set(item["b"]))
        return min((item["severity"] for item in touching), key=SEVERITIES.index, default=None)

    @property
    def filters(self) -> list[tuple[str, str, list[tuple[str, str]]]]:
        """What can be narrowed by: the name of the control, its words, and the choices that there are."""
        parties = [(party or "whole", self.party(party)) for party, _items in by_party(self.causes)]
        severities = {item["severity"] for item in self.causes}
        kinds = {item["kind"] for item in self.causes}
        return [
            ("party", str(_("Who is concerned")), parties),
            ("severity", str(_("Severity")),
             [(name, severity_words(name)) for name in SEVERITIES if name in severities]),
            ("kind", str(_("Kind")), [(name, str(_(words))) for name, words in KINDS.items() if name in kinds]),
        ]  # fmt: skip

    def marks(self, side: str) -> dict[str, str]:
        """How the diagram of a side marks its elements: by the most severe that is found there."""
        drawn = {element for step in self.found["steps"][side] for element in step["ids"]}
        found: dict[str, str] = {}
        for item in self.found["differences"]:
            for element in drawn.intersection(item[side]):
                found.setdefault(element, MARKS[item["severity"]])
        return found

    def diagram(self, side: str) -> str:
        source = self.pair.a if side == "a" else self.pair.b
        if source.version:
            return url_for("procedures.diagram", version_id=source.version.id)
        return url_for(".diagram", reference=source.reference)

    @property
    def numbers_path(self) -> str:
        """Where the durations are simulated; of files they are not."""
        one, other = self.pair.a.version, self.pair.b.version
        if one is None or other is None or one.kind != other.kind:
            return ""
        return url_for("numbers.page", a=one.id, b=other.id)

    def address(self, **parameters: Any) -> str:
        return url_for(".page", a=self.pair.a.reference, b=self.pair.b.reference, **parameters)

    @property
    def may_correct(self) -> bool:
        return may(current_actor(), "edit_procedures")

    def labels_of(self, side: str, steps: Sequence[str]) -> str:
        known = {step["id"]: said(step["label"]) for step in self.found["steps"][side]}
        return "、".join(known.get(step, step) for step in steps) or str(_("no counterpart"))


@blueprint.get("/<a>/<b>")
@requires("query")
def page(a: str, b: str, error: XuejiError | None = None) -> ResponseReturnValue:
    shown = _shown(a, b)
    if isinstance(shown, Shown):
        if "waiting" in request.args:
            # The page that waits has none of this one's scripts: let it be loaded anew.
            return "", 200, {"HX-Refresh": "true"} if request.headers.get("HX-Request") else {"Refresh": "0"}
        return render_template("compare/page.html", shown=shown, error=error, formats=_REPORTS, **_WORDS)
    pair, progress = shown
    return render_template("compare/waiting.html", pair=pair, progress=progress, phases=PHASES)


def _shown(a: str, b: str) -> Shown | tuple[Pair, reports.Progress]:
    """A comparison that was found, or is found at once; of a large one, how far it is."""
    with reading() as connection:
        pair = reports.pair(connection, current_actor(), a, b)
        progress = reports.progress(connection, pair)
        standings = [_standing(connection, source) for source in (pair.a, pair.b)]
    if progress is None and not pair.is_quick:
        with transaction() as connection:
            reports.begin(connection, xueji().application.jobs, pair, at=now())
        return pair, reports.Progress(0, None)
    if progress is None:
        progress = reports.Progress(PHASES, reports.find(pair))
        with transaction() as connection:
            reports.keep(connection, pair, progress.found, at=now())
    return (pair, progress) if progress.found is None else Shown(pair, progress.found, standings)


def version_words(connection: Connection, source: Source) -> str:
    """Which version of its procedure a side is, and where that one stands."""
    return _standing_words(_standing(connection, source))


def _standing_words(standing: Standing | None) -> str:
    return _version(standing) if standing else str(_("A file that you sent"))


def _standing(connection: Connection, source: Source) -> Standing | None:
    return procedures.standing(connection, source.version.id, at=now()) if source.version else None


@blueprint.get("/files/<reference>/diagram.bpmn")
@requires("query")
def diagram(reference: str) -> ResponseReturnValue:
    """A file that was sent to be compared, for its sender's page."""
    with reading() as connection:
        found = reports.source(connection, current_actor(), reference)
    return Response(found.diagram, mimetype="application/xml", headers={"Cache-Control": "no-store"})


# The report ------------------------------------------------------------------------------------------------------

_REPORTS = (("docx", N_("Word")), ("pdf", N_("PDF")), ("json", N_("JSON")))


@blueprint.get("/<a>/<b>/report.<form>")
@requires("query")
def report(a: str, b: str, form: str) -> ResponseReturnValue:
    """The comparison as a file to hand on."""
    if form not in dict(_REPORTS):
        raise NotFound
    shown = _shown(a, b)
    if not isinstance(shown, Shown):
        return redirect(url_for(".page", a=a, b=b))
    versions = shown.version("a"), shown.version("b")
    pair = shown.pair
    with reading() as connection:
        # A program that reads the differences asks for figures where they are.
        durations = (
            None if form == "json" else simulations.of_both(connection, pair.a.version, pair.b.version, at=now())
        )
    content = reports.written(shown.found, form, _locale(), at=now(), versions=versions, durations=durations)
    name = f"comparison-{pair.a.reference}-{pair.b.reference}.{FORMATS[form].name}"
    return Response(
        content,
        mimetype=FORMATS[form].media_type,
        headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"},
    )


# Correcting ------------------------------------------------------------------------------------------------------


@blueprint.post("/<a>/<b>/matches")
@requires("edit_procedures")
@shown_again_by(page)
def correct(a: str, b: str) -> ResponseReturnValue:
    """Say which steps belong together."""
    with transaction() as connection:
        pair = reports.pair(connection, current_actor(), a, b)
        reports.correct(
            connection, current_actor(), pair, request.form.getlist("a"), request.form.getlist("b"), at=now()
        )
    flash(_("Remembered. These steps are now taken as you said, here and wherever the two are compared."))
    return redirect(url_for(".page", a=a, b=b, _anchor="ladder"), 303)


@blueprint.post("/<a>/<b>/matches/<int:correction_id>/removal")
@requires("edit_procedures")
def take_back(a: str, b: str, correction_id: int) -> ResponseReturnValue:
    with transaction() as connection:
        pair = reports.pair(connection, current_actor(), a, b)
        reports.take_back(connection, current_actor(), pair, correction_id, at=now())
    flash(_("Taken back. The steps are matched by what they are about again."))
    return redirect(url_for(".page", a=a, b=b, _anchor="ladder"), 303)


# Words -----------------------------------------------------------------------------------------------------------


def _locale() -> str:
    return "en" if is_english() else "zh"


def said(words: Json | Words) -> str:
    """Words of the comparison in the reader's language."""
    return words.text(_locale()) if isinstance(words, Words) else str(words[_locale()])


def _template(prefix: str) -> Callable[[str], str]:
    return lambda name: templates().get(f"{prefix}.{name}", Words(name)).text(_locale())


severity_words, standing_words, channel_words, basis_words = map(
    _template, ("severity", "standing", "channel", "basis")
)
_WORDS: dict[str, Any] = {
    "said": said, "severity_words": severity_words, "standing_words": standing_words,
    "channel_words": channel_words, "basis_words": basis_words, "KINDS": KINDS, "MARKS": MARKS, "PARTIES": _PARTIES,
}  # fmt: skip


def _move(graph: ProcessGraph, move: Json) -> str:
    """What happens in a move, in a few words."""
    nodes = {node.id: node for pool in graph.pools for node in pool.nodes}
    if move["message"]:
        name = move["message"]["name"]
        words = templates().get(f"message.{name}", Words(name)).text(_locale())
        if move["kind"] == "record":
            return str(_("Message “%(name)s” is recorded; nobody waits for it", name=words))
        return str(_("Message “%(name)s” arrives", name=words))
    node = nodes.get(move["element"])
    name = label(node) if node and (node.name or is_english()) else move["element"]
    if move["kind"] == "start":
        return str(_("It begins: %(name)s", name=name))
    chosen = [_answer(graph, answer) for answer in move["answers"]]
    return f"{name}：{'、'.join(chosen)}" if chosen and not is_english() else ": ".join([name, *chosen])


def _answer(graph: ProcessGraph, answer: Json) -> str:
    """What was chosen: an option by its words, a way by its own."""
    value = answer["value"]
    for pool in graph.pools:
        if not answer["variable"]:
            flow = next((flow for flow in pool.flows if flow.id == value), None)
            if flow:
                return label(flow if flow.name else pool.by_id[flow.target])
        elif answer["element"] in pool.by_id:
            fields = (field for field in pool.by_id[answer["element"]].form if field.id == answer["variable"])
            options = [option for field in fields for option in field.options if option.id == value]
            if options:
                return label(options[0])
    return f"{answer['variable']} = {str(value).lower()}"
