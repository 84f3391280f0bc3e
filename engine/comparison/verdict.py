"""Three sentences for whoever has a minute: what has legal effect, who acts and in which order, and the rest."""

from __future__ import annotations

from collections.abc import Sequence

from engine.comparison.model import Comparison, Difference
from engine.comparison.sentences import LOCALES, Value, Words, fill, templates

# So many differences are named; the rest is counted.
_NAMED = 3


def verdict(found: Comparison) -> tuple[Words, Words, Words]:
    """The three sentences, each in both languages."""
    causes = [difference for difference in found.differences if not difference.cause]
    effect = [difference for difference in causes if difference.severity == "legal_effect"]
    acting = [difference for difference in causes if difference.severity in ("who", "order")]
    rest = len(causes) - len(effect) - len(acting)
    return (
        _sentence("effect", effect),
        _sentence("acting", acting),
        Words(*(fill("verdict.rest", {"count": rest, "same": len(found.same)}, locale) for locale in LOCALES)),
    )


def _sentence(name: str, differences: Sequence[Difference]) -> Words:
    if not differences:
        return templates()[f"verdict.no_{name}"]
    briefs = [_brief(difference) for difference in differences[:_NAMED]]
    named = Words("；".join(brief.zh for brief in briefs), "; ".join(brief.text("en") for brief in briefs))
    values: dict[str, Value] = {"count": len(differences), "named": named}
    template = f"verdict.{name}" if len(differences) <= _NAMED else f"verdict.{name}_among"
    return Words(*(fill(template, values, locale) for locale in LOCALES))


def _brief(difference: Difference) -> Words:
    """A difference in a few words: its own short template, else all that it says."""
    name = f"{difference.template}.brief"
    if name not in templates():
        return Words(*(difference.text(locale).rstrip("。.") for locale in LOCALES))
    return Words(*(fill(name, difference.values, locale) for locale in LOCALES))
