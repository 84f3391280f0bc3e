"""The documentation keeps up: every setting, command and make target stands in docs/reference.md, and nothing else;
what the other pages link to, type and click is there.
"""

from __future__ import annotations

import csv
import dataclasses
import functools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from babel.messages.pofile import read_po

from engine.cli import main
from engine.settings import Settings

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "processes" / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
REFERENCE = (ROOT / "docs" / "reference.md").read_text("utf-8")
TEST_SETTINGS = {"XUEJI_TEST_POSTGRESQL_URL"}


def commands(group: click.Group, path: str) -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


COMMANDS = dict(commands(main, "xueji"))


def row(first: str) -> str:
    (found,) = [line for line in REFERENCE.splitlines() if line.startswith(f"| `{first}` |")]
    return found


@pytest.mark.parametrize("setting", dataclasses.fields(Settings), ids=lambda setting: setting.name)
def test_every_setting_is_documented_as_it_is(setting: dataclasses.Field[object]) -> None:
    default = str(int(setting.default)) if isinstance(setting.default, bool) else str(setting.default)
    variable = f"XUEJI_{setting.name.upper()}"
    assert row(variable) == f"| `{variable}` | `{default}` | {setting.metadata['sentence']} |"


def test_no_setting_is_documented_that_does_not_exist() -> None:
    known = {f"XUEJI_{setting.name.upper()}" for setting in dataclasses.fields(Settings)} | TEST_SETTINGS
    for document in PAGES:
        assert set(re.findall(r"XUEJI_[A-Z_]+", document.read_text("utf-8"))) <= known, document


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_is_documented_with_its_options(path: str) -> None:
    options = [option.opts[0] for option in COMMANDS[path].params if isinstance(option, click.Option)]
    assert [option for option in options if f"`{option}" not in row(path)] == []


def test_no_command_is_documented_that_does_not_exist() -> None:
    assert set(re.findall(r"^\| `(xueji [a-z ]+)`", REFERENCE, re.MULTILINE)) == COMMANDS.keys()


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_and_option_explains_itself(path: str) -> None:
    command = COMMANDS[path]
    assert command.help
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.help, option.opts


def test_every_make_target_is_documented() -> None:
    internal = {"product", "browser"}
    assert set(re.findall(r"^\| `make ([a-z-]+)`", REFERENCE, re.MULTILINE)) == make_targets() - internal


def make_targets() -> set[str]:
    phony = re.search(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert phony
    return set(phony[1].split())


# What the pages show ---------------------------------------------------------------------------------------------

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


@every_page
def test_what_a_page_links_to_is_there(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text("utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


@every_page
def test_what_a_page_has_its_reader_type_is_a_command(page: Path) -> None:
    blocks = re.findall(r"^ *```(\w*)\n(.*?)^ *```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    for block in [block for language, block in blocks if language in ("", "sh", "bash")]:
        for line in block.splitlines():
            words = [word for word in shlex.split(line, comments=True) if not re.match(r"[A-Z_]+=", word)]
            if words[:1] == ["make"]:
                assert words[1] in make_targets(), line
            elif words[:1] == ["xueji"]:
                assert_command(words[1:], line)


def assert_command(words: list[str], line: str) -> None:
    group: click.Command = main
    while isinstance(group, click.Group):
        assert words, line
        assert words[0] in group.commands, line
        group = group.commands[words.pop(0)]
    options = {option for parameter in group.params for option in parameter.opts}
    assert [word for word in words if word.startswith("--") and word not in options] == [], line


@every_page
def test_what_a_page_says_is_on_the_screen_is_a_text_of_ours(page: Path) -> None:
    quoted = set(re.findall(r"「([^」]+)」", page.read_text("utf-8")))
    assert {words for text in quoted for words in text.split(" · ")} <= texts()


@functools.cache
def texts() -> set[str]:
    """Everything that the interface can say in Chinese: translations, the words of the diagrams, the demo's people."""
    with (ROOT / "web/translations/zh_Hans_CN/LC_MESSAGES/messages.po").open("rb") as file:
        said = {str(message.string) for message in read_po(file)}
    for diagram in (ROOT / "processes").glob("*/transfer.bpmn"):
        said |= set(re.findall(r'name="([^"]+)"', diagram.read_text("utf-8")))
    with (ROOT / "engine/demo/data/people.csv").open(encoding="utf-8") as file:
        return said | {row["name"] for row in csv.DictReader(file)}
