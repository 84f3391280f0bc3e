"""The regime's own menus for the left side: 变动审批 → 转入审批 7, as the diagrams name them.

They are those of the versions in force, and of older ones under which something still waits.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

from flask import Flask, g
from sqlalchemy.engine import Connection

from engine import cases, inbox, procedures
from engine.audit import Actor
from engine.bpmn.graph import Node
from engine.inbox import Menu, Step
from engine.permissions import may
from engine.procedures import Version
from engine.registry import organisations
from web.context import now, xueji
from web.locales import is_english
from web.navigation import Group, Link, Menus

SEPARATOR = "/"
# So many unread notices are counted for each page; a page of them counts the rest.
COUNTED_NOTICES = 100


def menus_of(connection: Connection, actor: Actor) -> Menus:
    """What the inbox knows of the frame for one actor."""
    versions = _versions(connection, actor)
    works = may(actor, "work")
    steps = open_steps(connection, actor) if works else []
    standing = inbox.duties_of(connection, actor, versions) if works else []
    return Menus(
        open_tasks=sum(step.open for step in steps),
        groups=_groups(
            inbox.menus(steps, standing),
            versions if may(actor, "query") else [],
            _applications(versions) if may(actor, "start_transfer") else set(),
        ),
        unread_notices=cases.unread_notices(connection, actor, counted=COUNTED_NOTICES),
    )


def open_steps(connection: Connection, actor: Actor) -> list[Step]:
    """The steps in which something waits for the actor, asked for once in a request: the inbox needs them too."""
    if "open_steps" not in g:
        g.open_steps = inbox.steps(connection, actor, at=now())
    steps: list[Step] = g.open_steps
    return steps


def menu_words(named: Menu | Node) -> list[str]:
    """The levels of a menu, or of a step's menu, in the reader's language; none where the step has no menu."""
    if isinstance(named, Node):
        path = named.menu("en" if is_english() else "zh")
    else:
        path = named.path_en if is_english() else named.path
    return _levels(path)


def _versions(connection: Connection, actor: Actor) -> list[Version]:
    assert actor.organisation_id is not None
    province = organisations.get(connection, actor.organisation_id).province_code
    # The ministry stands in no province; the general rules are its own.
    return procedures.serving(connection, province or "", "transfer", at=now())


def _applications(versions: Sequence[Version]) -> set[str]:
    """Under which menus an application is written: a step that nothing ever waits for, since saving it completes it."""
    return {node.menu("zh") for version in versions for node in version.pool("receiving").application_act}


def _groups(menus: Sequence[Menu], versions: Sequence[Version], applications: set[str]) -> tuple[Group, ...]:
    """One group for each path above the last word, in the order of the diagrams, the regime's query last."""
    grouped: dict[str, list[Link]] = {}
    for menu in menus:
        if menu.path:
            parameters = urlencode({"menu": menu.path})
            link = Link("", f"/inbox?{parameters}", menu.open, also=(f"/tasks?{parameters}",))
            if menu.path in applications and not menu.open:
                link = Link("", "/transfers/new", also=("/transfers/drafts",))
            _add(grouped, menu_words(menu), link)
    for version in versions[:1]:
        query = version.graph.properties.get("document.query", "")
        english = version.graph.properties.get("document.query.en")
        if query:
            _add(grouped, _levels(english if english and is_english() else query), Link("", "/query", also=_QUERIED))
    return tuple(Group(label, tuple(links)) for label, links in grouped.items())


# What the query leads to belongs to its line.
_QUERIED = ("/transfers",)


def _add(grouped: dict[str, list[Link]], words: list[str], link: Link) -> None:
    group = f" {SEPARATOR} ".join(words[:-1])
    grouped.setdefault(group, []).append(Link(words[-1], link.path, link.count, link.also))


def _levels(path: str) -> list[str]:
    return [word.strip() for word in path.split(SEPARATOR) if word.strip()]


def register(app: Flask) -> None:
    app.jinja_env.filters["menu_words"] = menu_words
    with app.app_context():
        xueji().menus = menus_of
