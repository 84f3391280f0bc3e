"""The request's own things: who acts, at what time, and the two ways to the database.

Every view is for logged-in people, unless it says `@public`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import wraps
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

from flask import Flask, Response, current_app, g, redirect, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.engine import Connection

from engine import accounts
from engine.accounts import LoginSession, TokenUse
from engine.audit import Actor
from engine.db import Database, clear
from engine.errors import N_, Forbidden, XuejiError
from engine.jobs import Jobs
from engine.outages import is_outage
from engine.permissions import require
from engine.settings import Settings
from web.navigation import Menus, no_menus

View = TypeVar("View", bound=Callable[..., Any])

# Below it programs ask, and everything is JSON.
API = "/api/"
# So many at most are remembered.
_KNOWN_TOKENS = 10_000


class Application(Protocol):
    """What the pages need of the wired engine."""

    settings: Settings
    database: Database
    jobs: Jobs

    def clock(self) -> datetime: ...

    def unready(self) -> str | None: ...

    def failed_jobs(self, connection: Connection, actor: Actor) -> Sequence[Any]: ...

    def retry_job(self, connection: Connection, actor: Actor, failed_job_id: int, *, at: datetime) -> None: ...


@dataclass
class Xueji:
    """`app.extensions["xueji"]`: what the pages share beyond a request."""

    application: Application
    # Gives the menus of the actor's own regime with their counts.
    menus: Callable[[Connection, Actor], Menus] = no_menus
    # The tokens that held when they were used last, by their secrets' fingerprints.
    tokens: dict[bytes, TokenUse] = field(default_factory=dict)


class LoginRequired(XuejiError):
    """A page for logged-in people, asked for without a session that holds."""

    status = 401
    code = "login_required"
    message = N_("Please log in.")
    remedy = N_("Your session may have ended. What you have typed is kept in this browser tab.")


class TokenRequired(XuejiError):
    """A request of a program that does not say who it acts for."""

    status = 401
    code = "token_required"
    message = N_("This needs a token.")
    remedy = N_("Send it as “Authorization: Bearer …”. Tokens are made on the page of one's own account.")


class TokenRefused(XuejiError):
    """A token that is unknown, over or revoked: not told apart."""

    status = 401
    code = "token_refused"
    message = N_("This token does not hold, or no longer.")
    remedy = N_("Make another one on the page of your account.")


class PasswordTemporary(Forbidden):
    """A session whose person has not yet replaced the password that an administrator gave."""

    code = "password_temporary"
    message = N_("Your password was set by an administrator.")
    remedy = N_("Log in and choose one of your own before you go on.")


def xueji() -> Xueji:
    shared: Xueji = current_app.extensions["xueji"]
    return shared


def settings() -> Settings:
    return xueji().application.settings


def now() -> datetime:
    """The request's time; the same for all it does."""
    try:
        instant: datetime = g.now
    except AttributeError:
        instant = g.now = xueji().application.clock()
    return instant


def transaction() -> AbstractContextManager[Connection]:
    """A writing transaction: `with transaction() as connection`."""
    opened = xueji().application.database.transaction()
    return _confirming(opened) if _is_presumed() else opened


def reading() -> AbstractContextManager[Connection]:
    """For reading alone, each statement by itself: `with reading() as connection`."""
    opened = xueji().application.database.reading()
    return _confirming(opened) if _is_presumed() else opened


def database() -> Database:
    """For an operation that has several transactions of its own."""
    if _is_presumed():
        with reading():
            pass
    return xueji().application.database


def current_session() -> LoginSession | None:
    session: LoginSession | None = g.get("session")
    return session


def own_session() -> LoginSession:
    """The session of a view that is not public."""
    session = current_session()
    if session is None:
        raise LoginRequired()
    return session


def current_token() -> TokenUse | None:
    """The token by which a program acts; None for people, who have sessions."""
    token: TokenUse | None = g.get("token")
    return token


def current_actor() -> Actor:
    """Who acts. Raises `LoginRequired` on a public page that nobody has logged in to."""
    token = current_token()
    return token.actor if token else own_session().actor


def is_for_programs() -> bool:
    """Whether the request is one of the interface for programs."""
    return request.path.startswith(API)


def is_by_token() -> bool:
    """Whether a program says by a token who it acts for. Then no cookie is read.

    Nor is a form's token asked for: no page of another site can make a browser send this header.
    """
    return is_for_programs() and "Authorization" in request.headers


def public(view: View) -> View:
    """Mark a view that needs no login."""
    view.public = True  # type: ignore[attr-defined]
    return view


def before_password(view: View) -> View:
    """Mark a view that a person may use before having replaced a temporary password."""
    view.before_password = True  # type: ignore[attr-defined]
    return view


def requires(capability: str) -> Callable[[View], View]:
    """Answer `Forbidden` unless the actor's duty has the capability. Put it below the route."""

    def decorate(view: View) -> View:
        @wraps(view)
        def checked(*args: Any, **kwargs: Any) -> Any:
            require(current_actor(), capability)
            return view(*args, **kwargs)

        return checked  # type: ignore[return-value]

    return decorate


# The session's cookie


def cookie_name() -> str:
    # `__Host-` lets no other host and no plain HTTP set it.
    return "__Host-session" if settings().secure_cookies else "session"


def session_token() -> str:
    return request.cookies.get(cookie_name(), "")


def give_token(response: Response, token: str) -> None:
    """Hand a new session to the browser, which forgets it when it is closed."""
    response.set_cookie(cookie_name(), token, secure=settings().secure_cookies, httponly=True, samesite="Lax", path="/")


def take_token(response: Response) -> None:
    response.delete_cookie(cookie_name(), secure=settings().secure_cookies, httponly=True, samesite="Lax", path="/")


def safe_target(target: str | None) -> str | None:
    """A path on this host to go on to, or None for anything that leads elsewhere."""
    if not target or not target.startswith("/") or target.startswith(("//", "/\\")) or not target.isprintable():
        return None
    parts = urlsplit(target)
    return None if parts.scheme or parts.netloc else target


def register(app: Flask) -> None:
    app.before_request(_open_session)
    app.before_request(_require_login)


def _open_session() -> None:
    if is_by_token():
        _open_token()
        return
    token = session_token()
    # Whether a process lives is asked while the database is away, too.
    if not token or request.endpoint == "static" or request.blueprint == "health":
        return
    with reading() as connection:
        g.session = accounts.session_of(connection, token, at=now())
    if g.session and accounts.is_seen_due(g.session, at=now()):
        with transaction() as connection:
            accounts.see(connection, g.session, settings=settings(), at=now())


def _require_login() -> ResponseReturnValue | None:
    view = current_app.view_functions.get(request.endpoint or "")
    if view is None or request.endpoint == "static" or getattr(view, "public", False) or current_token():
        return None
    if is_by_token():
        raise TokenRefused
    if current_session() is None and is_for_programs():
        raise TokenRequired
    if own_session().password_temporary and not getattr(view, "before_password", False):
        if is_for_programs():
            raise PasswordTemporary
        return redirect(url_for("sessions.account"))
    return None


# The token of a program
#
# Whether a token holds is asked of the database at every request. It would be one round trip and one connection more,
# so a token that this process has seen to hold is presumed to hold still, and the question travels with the first one
# that the request itself asks, in the same transaction. Where the answer is another one, nothing has been written.


class _NotAsPresumed(Exception):
    """The token was revoked, or something about who acts by it has changed."""


def _open_token() -> None:
    scheme, _, secret = request.headers["Authorization"].partition(" ")
    if scheme.lower() != "bearer":
        return
    g.token_hash = accounts.fingerprint(secret.strip())
    g.token = xueji().tokens.get(g.token_hash)
    # A view that reads files can not be run again, and this method is answered without a view.
    once = request.mimetype == "multipart/form-data" or request.method == "OPTIONS"
    g.presumed = not once and g.token is not None and not accounts.is_use_due(g.token, at=now())
    if not g.presumed:
        _look_up_token()


def _look_up_token() -> None:
    g.presumed = False
    with reading() as connection:
        g.token = accounts.token_use(connection, g.token_hash, at=now())
    known = xueji().tokens
    if g.token is None:
        known.pop(g.token_hash, None)
        return
    if accounts.is_use_due(g.token, at=now()):
        with transaction() as connection:
            accounts.note_use(connection, g.token, at=now())
        g.token = replace(g.token, last_used_at=now())
    if len(known) >= _KNOWN_TOKENS:
        known.clear()
    known[g.token_hash] = g.token


def _is_presumed() -> bool:
    return bool(g.get("presumed"))


@contextmanager
def _confirming(opened: AbstractContextManager[Connection]) -> Iterator[Connection]:
    with opened as connection:
        accounts.token_use_later(connection, g.token_hash, _confirm, at=now())
        yield connection
        if _is_presumed():
            clear(connection)  # where nothing else was asked


def _confirm(use: TokenUse | None) -> None:
    if use != g.token:
        raise _NotAsPresumed
    g.presumed = False


def confirmed(view: View) -> View:
    """A view that is run again, with the token looked up, where it was only presumed and is another now.

    Until the token is confirmed the view writes nothing, and neither its success nor its error is answered.
    """

    @wraps(view)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return view(*args, **kwargs)
        except Exception as error:
            # Nobody waits twice for a database that is away.
            if not _is_presumed() or is_outage(error):
                raise
        _look_up_token()
        if current_token() is None:
            raise TokenRefused
        return view(*args, **kwargs)

    return run  # type: ignore[return-value]
