"""What the frame around every page shows: the left side, the memberships to switch to, the demo accounts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from urllib.parse import parse_qsl, urlsplit

from flask import Flask, request

from engine import accounts
from engine.accounts import DemoAccount, LoginSession, Membership
from engine.registry import divisions
from web.context import current_session, own_session, reading, settings, xueji
from web.navigation import Group, Link, navigation


@dataclass(frozen=True)
class Frame:
    """Everything around the page."""

    session: LoginSession
    groups: list[Group]
    # None for those who have no inbox.
    open_tasks: int | None
    memberships: list[Membership]
    demo_accounts: list[DemoAccount]

    @cached_property
    def here(self) -> Link | None:
        """The line of the left side that is the present one: the longest path that leads here."""
        links = [(path, link) for group in self.groups for link in group.links for path in (link.path, *link.also)]
        fitting = [(len(path), link) for path, link in links if _leads_here(path)]
        return max(fitting, key=lambda pair: pair[0])[1] if fitting else None

    def accounts_of(self, organisation_id: int) -> list[DemoAccount]:
        return [account for account in self.demo_accounts if account.membership.organisation_id == organisation_id]


def frame() -> Frame:
    """The frame for this request; a function, so that pages without one ask for nothing."""
    session = own_session()
    assert session.actor.person_id is not None
    with reading() as connection:
        menus = xueji().menus(connection, session.actor)
        memberships = accounts.memberships_of(connection, session.actor.person_id)
        offered = accounts.demo_accounts(connection) if settings().demo else []
    groups = navigation(session.actor, menus)
    open_tasks = menus.open_tasks if any(link.path == "/inbox" for link in groups[0].links) else None
    return Frame(session, groups, open_tasks, memberships, offered)


def by_place(offered: list[DemoAccount]) -> dict[str, list[tuple[Membership, list[DemoAccount]]]]:
    """Demo accounts by province and in it by organisation, in the order they were made; "" for the whole country."""
    places: dict[str, dict[int, list[DemoAccount]]] = {}
    for account in offered:
        organisations = places.setdefault(_province(account.division_code), {})
        organisations.setdefault(account.membership.organisation_id, []).append(account)
    return {
        place: [(members[0].membership, members) for members in organisations.values()]
        for place, organisations in places.items()
    }


def register(app: Flask) -> None:
    app.jinja_env.globals.update(frame=frame, by_place=by_place, current_session=current_session)


def _province(division_code: str | None) -> str:
    return (divisions.full_name(divisions.province_of(division_code)) or "") if division_code else ""


def _leads_here(path: str) -> bool:
    """Whether the page lies at or below the path and has its parameters, whatever others it has."""
    place = urlsplit(path)
    if request.path != place.path and not request.path.startswith(f"{place.path}/"):
        return False
    return all(request.args.get(name) == value for name, value in parse_qsl(place.query))
