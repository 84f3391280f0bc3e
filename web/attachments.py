"""Files that are attached to forms: sent alone while the form is filled in, or with it; opened by those who may."""

from __future__ import annotations

from io import BytesIO

from flask import Blueprint, request, send_file, url_for
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import FileStorage

from engine import transfers
from engine.transfers import BadAttachment
from web.context import current_actor, now, requires, transaction

blueprint = Blueprint("attachments", __name__, url_prefix="/attachments")


@blueprint.post("")
@requires("work")
def attach() -> ResponseReturnValue:
    """Keep the file `file`; a form refers to it by the `uid` of the answer."""
    uid = keep(request.files.get("file"))
    return {"uid": uid, "path": url_for(".page", uid=uid)}, 201


@blueprint.get("/<uid>")
def page(uid: str) -> ResponseReturnValue:
    """A file, shown by the browser; looking at it is logged."""
    with transaction() as connection:
        found = transfers.open_attachment(connection, current_actor(), uid, at=now())
    response = send_file(BytesIO(found.content), mimetype=found.media_type, download_name=found.name)
    response.headers["Cache-Control"] = "no-store"
    return response


def keep(file: FileStorage | None) -> str:
    """Keep a file of the request and return its uid. Raises `BadAttachment`."""
    if file is None or not file.filename:
        raise BadAttachment
    with transaction() as connection:
        return transfers.attach(connection, current_actor(), file.filename, file.read(), at=now())
