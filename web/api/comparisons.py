"""Comparisons: what differs between two versions, or any two files, for everybody."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from flask import Blueprint, request
from pydantic import Field, RootModel
from sqlalchemy.engine import Connection

import engine.comparison
from engine import procedures, reports, simulations
from engine.bpmn.reader import DiagramError
from engine.comparison import TooLarge
from engine.errors import N_, Invalid
from engine.reports import FORMATS, Pair, Source
from web.api.endpoints import Content, reads, writes
from web.api.shapes import File, Sent, SentForm
from web.compare import version_words
from web.context import current_actor, now, reading, transaction
from web.locales import locale

blueprint = Blueprint("comparisons", __name__)

Reference = Annotated[str, Field(pattern=r"^[0-9]{0,9}$")]
Form = Literal["json", "text", "html", "docx", "pdf", ""]
_OTHERS = {form.media_type: name for name, form in FORMATS.items() if name != "json"}


class Comparison(RootModel[dict[str, Any]]):
    """All in which two procedures differ, as docs/comparison.md describes it."""

    @classmethod
    def written_schemas(cls, template: str) -> dict[str, Any]:
        """Its schema, which is a file of its own, as parts of the description of the interface."""
        return _schemas(template)


@cache
def _schemas(template: str) -> dict[str, Any]:
    text = (Path(engine.comparison.__file__).parent / "data" / "schema.json").read_text("utf-8")
    whole = json.loads(text)
    for name in whole["$defs"]:
        text = text.replace(f'"#/$defs/{name}"', json.dumps(template.format(model=_part(name))))
    whole = json.loads(text)
    parts = {_part(name): one for name, one in whole.pop("$defs").items()}
    return {"Comparison": {key: value for key, value in whole.items() if key != "$schema"}} | parts


def _part(name: str) -> str:
    return f"Comparison{name[0].upper()}{name[1:]}"


class Asking(Sent):
    """As what it is wanted."""

    format: Form = ""
    """json, text, html, docx or pdf; without it, as the header Accept says, else json"""


class Comparing(SentForm):
    """Two sides, each a version or a file."""

    a: Reference = ""
    """A version's id, where no file is sent."""
    a_diagram: File | None = None
    """BPMN 2.0, at most 2 MB."""
    a_document: File | None = None
    """CSV with the columns clause, text, modelled."""
    b: Reference = ""
    b_diagram: File | None = None
    b_document: File | None = None
    format: Form = ""
    """json, text, html, docx or pdf; without it, as the header Accept says, else json"""


@blueprint.get("/comparisons/<id:a>/<id:b>")
@reads(requires="query", also=tuple(_OTHERS), raises=(TooLarge,))
def comparison(connection: Connection, a: int, b: int, query: Asking) -> Comparison | Content:
    """What differs between two versions.

    It is found once and kept; corrections that policy editors made of the matching are in it.
    """
    pair = reports.pair(connection, current_actor(), str(a), str(b))
    progress = reports.progress(connection, pair)
    found = progress.found if progress else None
    if found is None:
        found = reports.find(pair)
        with transaction() as writing:
            reports.keep(writing, pair, found, at=now())
    return _answer(connection, pair, found, query.format)


def _compared(body: Comparing) -> dict[str, Any]:
    """What a request is answered. It is found outside the transaction, since nobody should have to wait for it."""
    with reading() as connection:
        sides = (
            _source(connection, "a", body.a, body.a_diagram, body.a_document),
            _source(connection, "b", body.b, body.b_diagram, body.b_document),
        )
        pair = reports.pair_of(connection, *sides)
        return {"answer": _answer(connection, pair, reports.find(pair), body.format)}


@blueprint.post("/comparisons")
@writes(
    requires="query",
    keyed=False,
    before=_compared,
    also=tuple(_OTHERS),
    raises=(DiagramError, TooLarge, Invalid),
)
def compare(connection: Connection, body: Comparing, answer: Comparison | Content) -> Comparison | Content:
    """What differs between any two files, or a file and a version. Nothing of it is kept."""
    return answer


def _source(connection: Connection, side: str, reference: str, diagram: Any, document: Any) -> Source:
    if diagram is not None:
        text = procedures.decode_document(document.content) if document else ""
        return reports.sent(diagram.name.rsplit(".", 1)[0] or side, diagram.content, text)
    if reference:
        return reports.source(connection, current_actor(), reference)
    raise Invalid(fields={side: Invalid(N_("Choose a version, or a file."))})


def _answer(connection: Connection, pair: Pair, found: dict[str, Any], form: str) -> Comparison | Content:
    """As JSON, else as the report that was asked for."""
    form = form or _accepted()
    if form == "json":
        return Comparison(found)
    versions = version_words(connection, pair.a), version_words(connection, pair.b)
    durations = simulations.of_both(connection, pair.a.version, pair.b.version, at=now())
    content = reports.written(found, form, locale(), at=now(), versions=versions, durations=durations)
    return Content(content, FORMATS[form].media_type, f"comparison.{FORMATS[form].name}")


def _accepted() -> str:
    best = request.accept_mimetypes.best_match(["application/json", *_OTHERS], default="application/json")
    return _OTHERS.get(best, "json")
