"""The regime's own menus for the left side: 变动审批 → 转入审批 7, as the diagrams name them.

They are those of the versions in force, and of older ones under which something still waits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import urlencode

from flask import Flask, g
from sqlalchemy.engine import Connection

from engine import cases, inbox, procedures
from engine.audit import Actor
from engine.bpmn.graph import Node
from engine.inbox import Menu, Step
from engine.permissions import may
from engine.procedures import Version
from web.context import now, xueji
from web.locales import is_english, offer
from web.navigation import Group, Link, Menus

SEPARATOR = "/"
# So many unread notices and open incidents are counted for each page; a page of them counts the rest.
COUNTED = 100


def menus_of(connection: Connection, actor: Actor) -> Menus:
    """What the inbox knows of the frame for one actor."""
    menus = own_menus(connection, actor) if may(actor, "work") else []
    versions = _versions(connection, actor)
    return Menus(
        open_tasks=sum(menu.open for menu in menus),
        groups=_groups(
            menus,
            versions if may(actor, "query") else [],
            _applications(versions) if may(actor, "start_transfer") else set(),
        ),
        unread_notices=cases.unread_notices(connection, actor, counted=COUNTED),
        open_incidents=cases.open_incidents(connection, actor, counted=COUNTED) if may(actor, "administer") else 0,
    )


def open_steps(connection: Connection, actor: Actor) -> list[Step]:
    """The steps in which something waits for the actor, asked for once in a request: the inbox needs them too."""
    if "open_steps" not in g:
        g.open_steps = inbox.steps(connection, actor, at=now())
    steps: list[Step] = g.open_steps
    return steps


def own_menus(connection: Connection, actor: Actor) -> list[Menu]:
    """The actor's menus in the order of the diagrams, those without anything open too."""
    if "own_menus" not in g:
        standing = inbox.duties_of(connection, actor, _versions(connection, actor))
        g.own_menus = inbox.menus(open_steps(connection, actor), standing)
    menus: list[Menu] = g.own_menus
    return menus


def menu_words(named: Menu | Node) -> list[str]:
    """The levels of a menu, or of a step's menu, in the reader's language; none where the step has no menu."""
    if isinstance(named, Node):
        path = named.menu("en" if is_english() else "zh")
    else:
        path = named.path_en if is_english() else named.path
    return _levels(path)


def query_words(connection: Connection, actor: Actor) -> list[str]:
    """What the actor's own regime calls its query, level by level: 信息查询, 变动查询; none where it names none."""
    return next((_query_of(version) for version in _versions(connection, actor)[:1]), [])


def _query_of(version: Version) -> list[str]:
    said = version.graph.properties
    path = said.get("document.query", "")
    return _levels(said.get("document.query.en", path) if is_english() else path)


def _versions(connection: Connection, actor: Actor) -> list[Version]:
    if "own_versions" not in g:
        g.own_versions = procedures.serving(connection, actor.division_code, "transfer", at=now())
    versions: list[Version] = g.own_versions
    return versions


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
            if menu.path in applications:
                link = replace(link, also=(*link.also, "/transfers/new", "/transfers/drafts"))
                # Nothing ever waits for an application, so an empty list would lead nowhere.
                link = link if menu.open else replace(link, path="/transfers/new", count=None)
            _add(grouped, menu_words(menu), link)
    for version in versions[:1]:
        if words := _query_of(version):
            _add(grouped, words, Link("", "/query", also=_QUERIED))
    return tuple(Group(label, tuple(links)) for label, links in grouped.items())


# What the query leads to belongs to its line.
_QUERIED = ("/transfers",)


def _add(grouped: dict[str, list[Link]], words: list[str], link: Link) -> None:
    group = f" {SEPARATOR} ".join(words[:-1])
    grouped.setdefault(group, []).append(Link(words[-1], link.path, link.count, link.also))


def _levels(path: str) -> list[str]:
    return [word.strip() for word in path.split(SEPARATOR) if word.strip()]


def register(app: Flask) -> None:
    offer(app, menu_words=menu_words)
    with app.app_context():
        xueji().menus = menus_of
