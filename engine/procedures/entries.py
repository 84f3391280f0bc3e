"""What is wrong with something that policy staff entered."""

from __future__ import annotations

from engine.errors import N_, Invalid, XuejiError


def refuse(**errors: str) -> None:
    """Raises `Invalid` with the errors by field, where there are any."""
    fields: dict[str, XuejiError] = {name: Invalid(message) for name, message in errors.items() if message}
    if fields:
        raise Invalid(fields=fields)


def bad_text(text: str, longest: int) -> str:
    """What is wrong with a line that somebody wrote; empty where nothing is."""
    if len(text.strip()) > longest:
        return N_("This is too long.")
    return N_("There is a character here that can not be shown.") if "\0" in text else ""
