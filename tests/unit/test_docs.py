"""The documentation keeps up: every setting, command and make target stands in docs/reference.md, and nothing else."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from engine.cli import main
from engine.settings import Settings

ROOT = Path(__file__).parents[2]
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
    for document in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
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
    phony = re.search(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert phony
    internal = {"product", "browser"}
    assert set(re.findall(r"^\| `make ([a-z-]+)`", REFERENCE, re.MULTILINE)) == set(phony[1].split()) - internal
