"""The tokens of one's own programs: made and ended on the page of the account, and shown once."""

from __future__ import annotations

from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue

from engine import accounts
from web.context import current_actor, now, transaction
from web.errors import shown_again_by
from web.flash import flash
from web.gettext import gettext as _
from web.ids import an_id
from web.sessions import account

blueprint = Blueprint("tokens", __name__, url_prefix="/account/tokens")


@blueprint.post("")
@shown_again_by(account)
def make() -> ResponseReturnValue:
    """Make a token and show it, this once. So there is no redirect; a page loaded again is told by the token's name."""
    with transaction() as connection:
        secret = accounts.make_token(
            connection,
            current_actor(),
            request.form.get("name", ""),
            request.form.get("membership_id", 0, type=an_id),
            request.form.get("days", 0, type=an_id),
            at=now(),
        )
    return account(made=secret), 201


@blueprint.post("/<int:token_id>")
def revoke(token_id: int) -> ResponseReturnValue:
    with transaction() as connection:
        accounts.revoke_token(connection, current_actor(), token_id, at=now())
    flash(_("The token has ended. Whatever used it is shut out."))
    return redirect(url_for("sessions.account"), 303)
