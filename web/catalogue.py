"""The texts and their translations. `python -m web.catalogue` collects new texts into each language's messages.po,
drops what nobody says any more, names what is not translated yet, and compiles the rest for the pages.

English needs no file: the texts themselves are English.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).parent.parent
FOLDER = Path(__file__).parent / "translations"
KEYWORDS = {**DEFAULT_KEYWORDS, "N_": None}


def collect() -> Catalog:
    """Every text that the code and the templates mark."""
    with (ROOT / "babel.cfg").open() as configuration:
        mapping, options = parse_mapping_cfg(configuration)  # type: ignore[no-untyped-call]
    catalogue = Catalog()
    found = extract_from_dir(ROOT, mapping, options, keywords=KEYWORDS, directory_filter=_is_ours)
    for _path, _line, message, _comments, context in found:
        catalogue.add(message, context=context)
    return catalogue


def read(locale: str) -> Catalog:
    """A language's file as it is committed."""
    with _po(locale).open("rb") as file:
        return read_po(file, locale=locale)


def missing(locale: str) -> list[str]:
    """The texts that a language's file does not have, or has only the beginning of."""
    known = {message.id: message for message in read(locale) if message.string and not message.fuzzy}
    return sorted(str(message.id) for message in collect() if message.id and not _is_complete(known.get(message.id)))


def update(locale: str) -> list[str]:
    """Bring a language's file up to date, compile it, and return what is still missing in it."""
    catalogue = read(locale)
    catalogue.update(collect(), no_fuzzy_matching=True, update_creation_date=False)
    catalogue.obsolete.clear()
    # Sorted, without line numbers and with its old date, so that two people's additions meet without a conflict.
    text = io.BytesIO()
    write_po(text, catalogue, no_location=True, omit_header=False, sort_output=True, width=0, ignore_obsolete=True)
    _po(locale).write_bytes(text.getvalue())
    compile_(locale)
    return missing(locale)


def compile_(locale: str) -> None:
    """Write the file that the pages read."""
    with _po(locale).with_suffix(".mo").open("wb") as file:
        write_mo(file, read(locale))


def _po(locale: str) -> Path:
    return FOLDER / locale / "LC_MESSAGES" / "messages.po"


def _is_ours(path: str | Path) -> bool:
    return Path(path).name not in {"node_modules", "static", "tests"} and not Path(path).name.startswith(".")


def _is_complete(message: object) -> bool:
    string: Any = getattr(message, "string", None)
    return bool(string) and (isinstance(string, str) or all(string))


def main() -> None:
    for folder in sorted(FOLDER.iterdir()):
        if (folder / "LC_MESSAGES").is_dir():
            left = update(folder.name)
            print(f"{folder.name}: {len(left)} texts without translation", *left, sep="\n  ")


if __name__ == "__main__":
    main()
