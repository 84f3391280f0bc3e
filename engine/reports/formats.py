"""What a comparison can be written as, and how each is sent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from engine.reports.content import Json, report
from engine.reports.html import as_html
from engine.reports.pdf import as_pdf
from engine.reports.text import as_text
from engine.reports.word import as_docx
from engine.workdays import SHANGHAI


@dataclass(frozen=True)
class Format:
    """A format by its name, which is the ending of its files too."""

    name: str
    media_type: str
    is_text: bool = True


FORMATS = {
    "text": Format("txt", "text/plain"),
    "json": Format("json", "application/json"),
    "html": Format("html", "text/html"),
    "docx": Format("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", is_text=False),
    "pdf": Format("pdf", "application/pdf", is_text=False),
}


def written(
    found: Json,
    form: str,
    locale: str,
    *,
    at: datetime,
    versions: tuple[str, str] | None = None,
    durations: tuple[Mapping[str, Any], Mapping[str, Any]] | None = None,
) -> bytes:
    """A comparison's JSON as one of `FORMATS`; the reports in one language, with the day on which they were made.

    `versions` and `durations` as `report` takes them.
    """
    if form == "json":
        return (json.dumps(found, ensure_ascii=False, indent=2) + "\n").encode()
    here = at.astimezone(SHANGHAI)
    day = f"{here.day} {here:%B %Y}" if locale.startswith("en") else f"{here.year}年{here.month}月{here.day}日"
    told = report(found, locale, made_on=day, versions=versions, durations=durations)
    if form == "docx":
        return as_docx(told, at)
    if form == "pdf":
        return as_pdf(told)
    return (as_html(told) if form == "html" else as_text(told)).encode()
