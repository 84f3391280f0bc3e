"""What a strict Content-Security-Policy and a careful reader ask of every template."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from markupsafe import Markup

import web
from engine.application import Application
from engine.settings import Settings
from web import create_app
from web.locales import COOKIE, LOCALES, chosen_locale

FOLDER = Path(web.__path__[0]) / "templates"
TEMPLATES = sorted(path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.html"))
ICONS = set(re.findall(r'<symbol id="(\w+)"', (FOLDER.parent / "static" / "icons.svg").read_text()))


@pytest.fixture(params=TEMPLATES)
def template(request) -> str:
    """The source of one template, without its comments."""
    return re.sub(r"{#.*?#}", "", (FOLDER / request.param).read_text(), flags=re.DOTALL)


def test_no_style_and_no_script_stands_in_a_page(template):
    assert not re.search(r"\sstyle=|<style|\son\w+=|javascript:", template)
    assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", template))


def test_nothing_comes_from_another_host(template):
    assert not re.search(r"""(?:src|href|action)=["']https?://""", template)


def test_every_form_that_posts_carries_the_token(template):
    for form in re.findall(r"<form[^>]*method=\"post\".*?</form>", template, flags=re.DOTALL):
        assert "csrf()" in form, form[:120]


def test_no_word_is_chosen_before_there_is_a_reader(tmp_path):
    """What a template has as a constant is the same for the readers of all languages."""
    app = create_app(Application(Settings(database_url=f"sqlite:///{tmp_path / 'none.db'}")))
    made = []
    for locale in LOCALES:
        with app.test_request_context(headers={"Cookie": f"{COOKIE}={locale}"}):
            assert chosen_locale() == locale
            made.append({name: app.jinja_env.compile((FOLDER / name).read_text(), raw=True) for name in TEMPLATES})
    assert all(other == made[0] for other in made)


def test_every_icon_is_drawn(template):
    assert set(re.findall(r'icon\("(\w+)"', template)) <= ICONS


def test_every_column_of_a_table_has_a_head(template):
    assert not re.search(r"<th(?![^>]*scope=)[\s>]", template)


def test_no_text_stands_outside_of_the_translations(template):
    """English between tags would stay English; words of the language switch are the one exception."""
    markup = re.sub(r"{{.*?}}|{%.*?%}|<!--.*?-->|<kbd.*?</kbd>", "", template, flags=re.DOTALL)
    texts = re.findall(r">([^<>=]*[A-Za-z一-鿿][^<>=]*)<", markup)
    assert [text.strip() for text in texts if text.strip()] == []


def test_what_was_drawn_escaped_once_is_drawn_so_again(tmp_path):
    """A word that is escaped already equals the same word that is not."""
    for drawn in (_drawn_icon, _drawn_badge):
        escaped_first = drawn(tmp_path, Markup("<b>"), "<b>")
        assert "<b>" in escaped_first[0]
        assert "<b>" not in escaped_first[1]
        assert "&lt;b&gt;" in escaped_first[1]


def _drawn_icon(tmp_path, *words) -> list[str]:
    return [_in_a_request(tmp_path, f"{{{{ icon('todo', words[{place}]) }}}}", words) for place in range(len(words))]


def _drawn_badge(tmp_path, *words) -> list[str]:
    page = "{% from '_macros.html' import badge %}{% for word in words %}{{ badge('todo', word) }}\n{% endfor %}"
    return [part for part in _in_a_request(tmp_path, page, words).split("</span>") if part.strip()]


def _in_a_request(tmp_path, page: str, words) -> str:
    application = Application(Settings(database_url=f"sqlite:///{tmp_path}/x.db"))
    try:
        app = create_app(application)
        with app.test_request_context():
            return app.jinja_env.from_string(page).render(words=words)
    finally:
        application.close()
