"""What a route of the interface takes and answers, said once: by the types of its view.

@blueprint.post("/tasks/<long:task_id>/completion")
@writes(raises=(AlreadyDone, Gone))
def complete(connection: Connection, task_id: int, body: Completing) -> Completed: ...

`body` and `query` are checked and handed over as the classes say; the answer is written as JSON. A view that reads gets
a connection for reading. One that writes gets a transaction, in which an `Idempotency-Key` is taken and its answer
kept. The description of the interface (`document`) is made of the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from hashlib import sha256
from inspect import signature
from io import BytesIO
from typing import Any, get_type_hints

from flask import Response, request, send_file
from pydantic import BaseModel, ValidationError
from pydantic_core import to_json

from engine import idempotency
from engine.errors import N_, Invalid, XuejiError
from engine.permissions import require
from web.api.shapes import Sent, SentForm, Uploaded
from web.context import confirmed, current_actor, now, reading, transaction
from web.errors import TooLarge, Unreadable, WrongMediaType

KEY_HEADER = "Idempotency-Key"
LONGEST_KEY = 200
# Of a body of JSON; files may be as large as the pages let them be.
LONGEST_BODY = 1024 * 1024
JSON = "application/json"
FORM = "multipart/form-data"

View = Callable[..., Any]


class BadKey(Invalid):
    """An idempotency key that is none."""

    code = "bad_idempotency_key"
    message = N_("An idempotency key has between 1 and %(longest)s visible characters.")
    remedy = ""


@dataclass(frozen=True)
class Content:
    """An answer that is no JSON: a diagram, an attachment."""

    content: bytes
    media_type: str
    name: str


@dataclass(frozen=True)
class Endpoint:
    """What the description of the interface says of a route."""

    view: View
    body: type[Sent] | None
    query: type[Sent] | None
    answer: Any
    status: int
    # The media type of an answer that is no JSON; of one that is, those that it may have instead.
    media_type: str
    also: tuple[str, ...]
    # What the actor's duty must allow; the engine asks for more where the subject itself decides.
    capability: str
    writes: bool
    # Whether it takes an idempotency key: what only looks, or does the same however often it is asked, needs none.
    keyed: bool
    raises: tuple[type[XuejiError], ...]

    def given(self, path: dict[str, Any]) -> dict[str, Any]:
        """The view's arguments beside its connection. Raises `Invalid`, `Unreadable`, `WrongMediaType`."""
        _refuse_slips(has_query=self.query is not None)
        if self.query:
            path["query"] = _checked(self.query.model_validate, request.args.to_dict())
        if self.body:
            path["body"] = _form(self.body) if issubclass(self.body, SentForm) else _json(self.body)
        return path

    def write_answer(self, found: Any) -> idempotency.Answer:
        """The answer as it is sent, and kept; a view may return its address with it."""
        shape, location = found if isinstance(found, tuple) else (found, None)
        return idempotency.Answer(self.status, b"" if shape is None else to_json(shape), location)


def reads(
    *,
    requires: str = "",
    media_type: str = JSON,
    also: tuple[str, ...] = (),
    raises: tuple[type[XuejiError], ...] = (),
) -> Callable[[View], View]:
    """A view that changes nothing."""

    def decorate(view: View) -> View:
        endpoint = _endpoint(view, 200, requires, raises, media_type=media_type, also=also)

        @wraps(view)
        def answer(**path: Any) -> Response:
            _permit(endpoint)
            given = endpoint.given(path)
            with reading() as connection:
                found = view(connection, **given)
                if isinstance(found, Content):
                    return _content(found)
                return _response(endpoint.write_answer(found))

        return _declared(answer, endpoint)

    return decorate


def writes(
    *,
    status: int = 200,
    requires: str = "",
    keyed: bool = True,
    before: Callable[..., dict[str, Any]] | None = None,
    media_type: str = JSON,
    also: tuple[str, ...] = (),
    raises: tuple[type[XuejiError], ...] = (),
) -> Callable[[View], View]:
    """A view that changes something, in one transaction.

    What `before` does has transactions of its own; it is given the same arguments, and answers further ones.
    """

    def decorate(view: View) -> View:
        raised = (*raises, idempotency.KeyReused) if keyed else raises
        endpoint = _endpoint(view, status, requires, raised, media_type=media_type, also=also, writes=True, keyed=keyed)

        @wraps(view)
        def answer(**path: Any) -> Response:
            _permit(endpoint)
            given = endpoint.given(path)
            asked = _keyed(given) if keyed else None
            if asked and before and (answered := _answered(asked)):
                return _response(answered)
            try:
                further = before(**given) if before else {}
            except XuejiError:
                # What stands against it may be that the same request, sent at the same time, has done it.
                if asked and (answered := _answered(asked)):
                    return _response(answered)
                raise
            with transaction() as connection:
                if asked and (answered := idempotency.take(connection, current_actor(), asked, at=now())):
                    return _response(answered)
                found = view(connection, **given, **further)
                if isinstance(found, Content):
                    return _content(found)
                written = endpoint.write_answer(found)
                if asked:
                    idempotency.keep(connection, current_actor(), asked, written)
            return _response(written)

        return _declared(answer, endpoint)

    return decorate


def _endpoint(
    view: View,
    status: int,
    capability: str,
    raises: tuple[type[XuejiError], ...],
    *,
    media_type: str,
    also: tuple[str, ...],
    writes: bool = False,
    keyed: bool = False,
) -> Endpoint:
    types = get_type_hints(view)
    return Endpoint(
        view, types.get("body"), types.get("query"), types["return"], status, media_type, also, capability, writes,
        keyed, raises,
    )  # fmt: skip


def _declared(answer: View, endpoint: Endpoint) -> View:
    assert next(iter(signature(endpoint.view).parameters)) == "connection"
    answer = confirmed(answer)
    answer.endpoint = endpoint  # type: ignore[attr-defined]
    return answer


def _answered(asked: idempotency.Request) -> idempotency.Answer | None:
    with reading() as connection:
        return idempotency.answered(connection, current_actor(), asked)


def _permit(endpoint: Endpoint) -> None:
    if endpoint.capability:
        require(current_actor(), endpoint.capability)


def _response(answer: idempotency.Answer) -> Response:
    response = Response(answer.body, answer.status, mimetype=JSON if answer.body else None)
    if answer.location:
        response.headers["Location"] = answer.location
    return response


def _content(found: Content) -> Response:
    """As an attachment, so that no browser runs what somebody uploaded."""
    return send_file(
        BytesIO(found.content), mimetype=found.media_type, as_attachment=True, download_name=found.name, etag=False
    )


# What was sent ---------------------------------------------------------------------------------------------------


def _refuse_slips(*, has_query: bool) -> None:
    """An entry of the query that there is not, or one sent twice, would be a filter that is not applied."""
    words = N_("This was sent more than once.") if has_query else _WRONG["extra_forbidden"]
    wrong = [name for name, values in request.args.lists() if len(values) > 1 or not has_query]
    if wrong:
        raise Invalid(fields={name: Invalid(words) for name in wrong})


def _json(body: type[BaseModel]) -> BaseModel:
    if request.mimetype != JSON:
        raise WrongMediaType(expected=JSON)
    if (request.content_length or 0) > LONGEST_BODY or len(content := request.get_data()) > LONGEST_BODY:
        raise TooLarge(N_("The request is too large."), remedy=N_("Send less at once."))
    return _checked(lambda text: body.model_validate_json(text, strict=True), content)


def _form(body: type[BaseModel]) -> BaseModel:
    if request.mimetype != FORM:
        raise WrongMediaType(expected=FORM)
    files = {name: Uploaded(file.filename or "", file.read()) for name, file in request.files.items()}
    return _checked(body.model_validate, request.form.to_dict() | files)


def _checked(validate: Callable[[Any], BaseModel], raw: Any) -> BaseModel:
    try:
        return validate(raw)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
    if found[0]["type"] == "json_invalid" or not found[0]["loc"]:
        raise Unreadable
    raise Invalid(fields={_place(one["loc"]): _wrong(one) for one in found})


def _place(path: tuple[Any, ...]) -> str:
    """Which entry is meant; what is entered into a form by the field's id alone, as the form itself says it."""
    parts = [str(part) for part in path if part != "[key]"]
    return ".".join(parts[1:] if parts[0] == "values" and len(parts) > 1 else parts)


def _wrong(found: Any) -> XuejiError:
    """What is wrong with one entry, in our own words."""
    return Invalid(_WRONG.get(found["type"], N_("This is not what is asked for here.")))


_WRONG = {
    "missing": N_("This is required."),
    "extra_forbidden": N_("There is no entry of this name."),
    "string_type": N_("Write text here."),
    "int_type": N_("Write a whole number."),
    "int_parsing": N_("Write a whole number."),
    "string_too_short": N_("This is required."),
    "string_too_long": N_("This is too long."),
    "too_long": N_("These are too many."),
    "string_pattern_mismatch": N_("This is not what is asked for here."),
    "literal_error": N_("Choose one of the values given."),
}


def is_last() -> bool:
    """Whether what a writing view asks last is also the last of its transaction: without a key nothing is kept."""
    return KEY_HEADER not in request.headers


def _keyed(given: dict[str, Any]) -> idempotency.Request | None:
    """The request as an idempotency key stands for it; None where it has none."""
    key = request.headers.get(KEY_HEADER)
    if key is None:
        return None
    if not (1 <= len(key) <= LONGEST_KEY and key.isprintable()):
        raise BadKey(longest=LONGEST_KEY)
    body = given.get("body")
    sent = json.dumps(body.model_dump(mode="python"), sort_keys=True, default=_told_apart) if body else ""
    membership = current_actor().membership_id
    return idempotency.Request(key, f"{request.method} {request.path} {membership} {sent}".encode())


def _told_apart(value: Any) -> str:
    return f"{value.name} {sha256(value.content).hexdigest()}" if isinstance(value, Uploaded) else str(value)
