"""The two procedures of the product, and small files, made ready to be compared."""

from __future__ import annotations

from functools import cache

from engine.bpmn import layout, reader
from engine.comparison import Comparison, Side, Words, compare, side
from engine.procedures import read_document
from engine.settings import processes_folder

LABELS = {"national": Words("全国", "National"), "anhui": Words("安徽", "Anhui")}


def source(regime: str) -> str:
    return (processes_folder() / regime / "transfer.bpmn").read_text("utf-8")


def document(regime: str) -> str:
    return (processes_folder() / regime / "document.csv").read_text("utf-8")


def of_text(diagram: str, sentences: str = "", key: str = "", label: Words | None = None) -> Side:
    """A side of a diagram as text and of its document, if it has one."""
    found = diagram.encode()
    return side(
        reader.read(found), read_document(sentences), key=key, label=label or Words(key), layout=layout.read(found)
    )


@cache
def shipped(regime: str, *, documented: bool = True) -> Side:
    return of_text(source(regime), document(regime) if documented else "", regime, LABELS[regime])


def findings(found: Comparison) -> list[tuple[str, str, tuple[str, ...], tuple[str, ...]]]:
    """What was found, as kind, standing and elements; consequences left out."""
    return [(item.kind, item.standing, item.a, item.b) for item in found.differences if not item.cause]


def kinds(found: Comparison) -> list[str]:
    """The kinds that stand for themselves, each as often as it was found."""
    return sorted(item.kind for item in found.differences if not item.cause)


@cache
def national_and_anhui(*, documented: bool = True) -> Comparison:
    return compare(shipped("national", documented=documented), shipped("anhui", documented=documented))
