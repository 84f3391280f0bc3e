"""Regimes and the immutable versions of their procedures: upload, check, deploy with a date, retire.

A version is a diagram together with its document. Deploying one never changes a running case: an instance is pinned to
the version it started under.
"""

from engine.procedures.deployment import (
    DoesNotFit,
    KeptElsewhere,
    NotDeployable,
    deploy,
    discard,
    install_shipped,
    may_edit,
    retire,
    upload,
)
from engine.procedures.documents import Sentence, decode_document, read_document
from engine.procedures.lifecycle import Standing, heir, standing, standings
from engine.procedures.rulebook import (
    Regime,
    Route,
    Rule,
    plain_serving,
    regimes,
    remove_rule,
    routes,
    rules,
    serving,
    set_rule,
    set_window,
)
from engine.procedures.tables import EVERYWHERE, MOVES, TRANSFER, procedure_version
from engine.procedures.versions import Fact, NoneInForce, Version, changed_sentences, check, in_force, load

__all__ = [
    "EVERYWHERE", "MOVES", "TRANSFER", "DoesNotFit", "Fact", "KeptElsewhere", "NoneInForce",
    "NotDeployable", "Regime", "Route", "Rule", "Sentence", "Standing", "Version", "changed_sentences", "check",
    "decode_document", "deploy", "discard", "heir", "in_force", "install_shipped", "load", "may_edit",
    "plain_serving", "procedure_version", "read_document", "regimes", "remove_rule", "retire",
    "routes", "rules", "serving", "set_rule", "set_window", "standing", "standings", "upload",
]  # fmt: skip
