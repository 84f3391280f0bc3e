"""Static files by their names: each address carries the hash of its content, so that a browser may keep it for ever."""

from __future__ import annotations

import functools
import hashlib
import json
import logging
from pathlib import Path

from flask import Flask, g, request, url_for
from markupsafe import Markup, escape

log = logging.getLogger(__name__)


class Assets:
    """The bundled files by the names that `frontend/build.mjs` gave them, and those that stand in `static/` itself."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = folder / "build" / "manifest.json"
        self.bundled: dict[str, str] = {}
        self.bundled_at = 0
        # By where the application is mounted and the file's name.
        self.addresses: dict[tuple[str, str], str] = {}
        if not self.manifest.is_file():
            log.warning("The front end is not bundled: run `npm ci && npm run build` in web/frontend.")

    def __call__(self, name: str) -> str:
        """The address of `app.css`, `icons.svg`, …"""
        if "bundle_is_known" not in g:
            self._read_manifest()
            g.bundle_is_known = True
        key = (request.script_root, name)
        if key not in self.addresses:
            self.addresses[key] = self._address(name)
        return self.addresses[key]

    def icon(self, name: str, words: str = "") -> Markup:
        """A drawing of `icons.svg`. With `words` it speaks for itself, else it is silent beside its word."""
        return _drawing(self("icons.svg"), name, escape(words))

    def _address(self, name: str) -> str:
        if name in self.bundled:
            return url_for("static", filename=f"build/{self.bundled[name]}")
        path = self.folder / name
        content_hash = hashlib.sha256(path.read_bytes()).hexdigest()[:12] if path.is_file() else "none"
        return url_for("static", filename=name, v=content_hash)

    def _read_manifest(self) -> None:
        # Asked with each request, so that a new bundle needs no restart of whoever works on it.
        changed = self.manifest.stat().st_mtime_ns if self.manifest.is_file() else 0
        if changed and changed != self.bundled_at:
            self.bundled, self.bundled_at = json.loads(self.manifest.read_text()), changed
            self.addresses.clear()


# A page has many, and few different ones.
@functools.lru_cache(maxsize=1_000)
def _drawing(address: str, name: str, words: Markup) -> Markup:
    heard = f'role="img" aria-label="{words}"' if words else 'aria-hidden="true"'
    drawing = f'<svg class="icon" {heard}><use href="{escape(address)}#{escape(name)}"></use></svg>'
    return Markup(drawing)  # noqa: S704 — what was given is escaped


def register(app: Flask) -> None:
    assert app.static_folder
    assets = Assets(Path(app.static_folder))
    app.jinja_env.globals.update(asset=assets, icon=assets.icon)
