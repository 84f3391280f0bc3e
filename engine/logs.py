"""The log: one line for each thing that happened, for people or for programs, and nobody's personal data in it.

What we say ourselves is chosen: ids, codes, the rules of routes, times. What a library says may quote a row or an
address, so of its words only who spoke and where is kept, and of every error what `describe` leaves of it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from engine.errors import describe
from engine.settings import Settings

# Whose words are kept: ours, and the server's, which speaks of its own processes alone.
_TRUSTED = ("engine", "web", "_granian")

_around: ContextVar[Mapping[str, Any]] = ContextVar("around", default={})  # noqa: B039 (nobody changes it)


def configure(settings: Settings) -> None:
    """Write this process's log to its standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if settings.log_format == "json" else Lines())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    for name in ("engine", "web"):
        logging.getLogger(name).setLevel(settings.log_level.upper())


@contextmanager
def around(**facts: Any) -> Iterator[None]:
    """Say these facts with every line that is logged within: whose request it is, or which job."""
    token = _around.set({**_around.get(), **facts})
    try:
        yield
    finally:
        _around.reset(token)


def facts(**values: Any) -> dict[str, Any]:
    """What a line says beside its words: `log.info("Done.", extra=facts(seconds=0.1))`. Ids, codes, figures alone."""
    return {"facts": values}


class JsonLines(logging.Formatter):
    """One object a line: time, level, logger, message, and the facts."""

    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(_parts(record), ensure_ascii=False, default=str)


class Lines(logging.Formatter):
    """The same for people."""

    def format(self, record: logging.LogRecord) -> str:
        parts = _parts(record)
        head = [parts.pop(name) for name in ("time", "level", "logger", "message")]
        error = parts.pop("error", None)
        line = " ".join([*head, *(f"{name}={value}" for name, value in parts.items())])
        return f"{line}\n{error}" if error else line


def _parts(record: logging.LogRecord) -> dict[str, Any]:
    parts: dict[str, Any] = {
        "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
        "level": record.levelname.lower(),
        "logger": record.name,
        "message": _words(record),
        **_around.get(),
        **getattr(record, "facts", {}),
    }
    if record.exc_info and record.exc_info[1]:
        parts["error"] = describe(record.exc_info[1])
    return parts


def _words(record: logging.LogRecord) -> str:
    if record.name.split(".")[0] in _TRUSTED:
        return record.getMessage()
    return f"{record.pathname}:{record.lineno} {record.funcName}"
