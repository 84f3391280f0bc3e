"""The left side of the frame: what stands there for whom.

The regime's own menus come from a function of the inbox, `app.extensions["xueji"].menus`; the rest follows from the
duty. Paths are written plainly, so that the frame asks no other page whether it exists.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.engine import Connection

from engine import eventlog
from engine.audit import Actor
from engine.permissions import may
from web.gettext import gettext as _


@dataclass(frozen=True)
class Link:
    """One line. `count` stands on its right, where there is something to count."""

    label: str
    path: str
    count: int | str | None = None
    # The other paths on which this line is the present one.
    also: tuple[str, ...] = ()


@dataclass(frozen=True)
class Group:
    """Lines under one heading, which is empty for the first."""

    label: str
    links: tuple[Link, ...]


@dataclass(frozen=True)
class Menus:
    """What the frame counts and names: how many tasks wait, the menus of the diagrams, unread notices, incidents."""

    open_tasks: int = 0
    groups: tuple[Group, ...] = ()
    unread_notices: int = 0
    open_incidents: int = 0


def no_menus(connection: Connection, actor: Actor) -> Menus:
    """Before the inbox is wired: nothing waits."""
    return Menus()


def navigation(actor: Actor, menus: Menus) -> list[Group]:
    """The groups of the left side, without those that would be empty."""
    groups = [_lists(actor, menus), *menus.groups, _queries(actor, menus), _procedures(actor)]
    groups += _administration(actor, menus)
    return [group for group in groups if group.links]


def _lists(actor: Actor, menus: Menus) -> Group:
    notices = Link(_("Notices"), "/notices", _counted(menus.unread_notices))
    if not may(actor, "work"):
        return Group("", (notices,))
    return Group(
        "",
        (
            Link(_("To do"), "/inbox", menus.open_tasks, also=("/tasks",)),
            Link(_("Done"), "/inbox/done"),
            Link(_("Started by me"), "/inbox/started"),
            notices,
        ),
    )


def _counted(number: int) -> int | str | None:
    """Nothing where there is nothing to do; above 99 nobody counts."""
    return "99+" if number > 99 else number or None


def _queries(actor: Actor, menus: Menus) -> Group:
    # Where the regime's diagrams bring a query of their own name, it is not offered twice.
    offered = any(link.path == "/query" for group in menus.groups for link in group.links)
    links = () if offered or not may(actor, "query") else (Link(_("Transfer query"), "/query", also=("/transfers",)),)
    return Group(_("Enquiries"), links)


def _procedures(actor: Actor) -> Group:
    seeing = (Link(_("In practice"), "/practice"),) if eventlog.may_read(actor) else ()
    return Group(
        _("Procedures"),
        (Link(_("Regimes and versions"), "/procedures"), Link(_("Compare procedures"), "/compare"), *seeing),
    )


def _administration(actor: Actor, menus: Menus) -> list[Group]:
    administering = (
        (
            Link(_("Incidents"), "/incidents", _counted(menus.open_incidents)),
            Link(_("Accounts"), "/accounts"),
            Link(_("Organisations"), "/organisations"),
            Link(_("Calendar"), "/calendar"),
            Link(_("Regimes in force"), "/regimes"),
        )
        if may(actor, "administer")
        else ()
    )
    auditing = (Link(_("Audit log"), "/audit"),) if may(actor, "audit") else ()
    return [Group(_("Administration"), administering), Group(_("Supervision"), auditing)]
