"""Settings: read once from the environment, and wrong ones named."""

from __future__ import annotations

import dataclasses

import pytest

from engine.settings import Settings, processes_folder


def test_without_variables_every_setting_has_its_default() -> None:
    assert Settings.read({}) == Settings()


def test_each_kind_of_value_is_read() -> None:
    settings = Settings.read({"XUEJI_DATABASE_URL": "sqlite://", "XUEJI_DEMO": "yes", "XUEJI_SESSION_HOURS": "8"})
    assert (settings.database_url, settings.demo, settings.session_hours) == ("sqlite://", True, 8)


@pytest.mark.parametrize(("text", "value"), [("1", True), ("true", True), ("YES", True), ("0", False), ("no", False)])
def test_a_switch_is_read_as_people_write_it(text: str, value: bool) -> None:
    assert Settings.read({"XUEJI_RUN_JOBS": text}).run_jobs is value


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("XUEJI_DEMO", "perhaps"),
        ("XUEJI_SESSION_HOURS", "a day"),
        ("XUEJI_LOCKOUT_FAILURES", "-1"),
        ("XUEJI_LOG_FORMAT", "xml"),
    ],
)
def test_what_can_not_be_read_is_named(variable: str, text: str) -> None:
    with pytest.raises(ValueError, match=variable):
        Settings.read({variable: text})


def test_settings_do_not_change_while_the_process_runs() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().demo = True  # type: ignore[misc]


def test_the_shipped_procedures_are_where_the_settings_say() -> None:
    assert (processes_folder() / "regimes.csv").is_file()
