"""Settings: each one name, default and sentence. Read once from the environment as `XUEJI_<NAME>`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any


def _setting(default: Any, sentence: str, choices: Sequence[str] = ()) -> Any:
    return field(default=default, metadata={"sentence": sentence, "choices": choices})


@dataclass(frozen=True)
class Settings:
    """The deployment's settings. `Settings.read(os.environ)` is the only way they get in."""

    database_url: str = _setting(
        "sqlite:///var/xueji.db", "Where everything is kept: an SQLite file, or postgresql+psycopg://user@host/name."
    )
    demo: bool = _setting(False, "Offer the demo accounts on the login page and the switch of parties in the header.")
    secure_cookies: bool = _setting(True, "Send the session cookie over HTTPS alone; off only on this machine.")
    session_hours: int = _setting(12, "A session ends this many hours after it was opened.")
    session_idle_minutes: int = _setting(60, "A session ends after this many minutes without a request.")
    lockout_failures: int = _setting(5, "So many wrong passwords in a row lock an account for a while.")
    lockout_minutes: int = _setting(15, "How long a locked account stays locked.")
    lookups_per_hour: int = _setting(60, "How many students one person may look up by number and name in an hour.")
    default_locale: str = _setting("zh_Hans_CN", "The language before a user has chosen one: zh_Hans_CN or en.")
    run_jobs: bool = _setting(True, "Run deadlines, notices and retries in the serving process.")
    sweep_seconds: int = _setting(60, "How often deadlines are swept, at most 60 seconds apart.")
    drain_seconds: int = _setting(0, "Told to end, serve so many seconds more while /readyz sends requests elsewhere.")
    log_format: str = _setting(
        "text", "How the log is written: text for people, or json, one object a line.", ("text", "json")
    )
    log_level: str = _setting(
        "info", "What is logged: debug, info (every request), warning or error.", ("debug", "info", "warning", "error")
    )
    metrics_host: str = _setting("127.0.0.1", "The address that metrics are offered on; nobody is asked who they are.")
    metrics_port: int = _setting(0, "The first port that metrics are offered on, one for each process; 0 offers none.")

    @classmethod
    def read(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        """Settings from `XUEJI_…` variables. Raises ValueError naming the variable that can not be read."""
        found: dict[str, Any] = {}
        for setting in fields(cls):
            variable = f"XUEJI_{setting.name.upper()}"
            if variable in environ:
                kind, choices = type(setting.default), setting.metadata["choices"]
                found[setting.name] = _read(variable, environ[variable], kind, choices)
        return cls(**found)


def _read(variable: str, text: str, kind: type, choices: Sequence[str]) -> Any:
    if choices and text not in choices:
        raise ValueError(f"{variable} is {text!r}; write one of {', '.join(choices)}.")
    if kind is bool:
        if text.lower() not in {"1", "0", "true", "false", "yes", "no"}:
            raise ValueError(f"{variable} is {text!r}; write 1 or 0.")
        return text.lower() in {"1", "true", "yes"}
    if kind is int:
        if not text.isdigit():
            raise ValueError(f"{variable} is {text!r}; write a whole number.")
        if variable.endswith("_PORT") and int(text) > 65535:
            raise ValueError(f"{variable} is {text!r}; ports go up to 65535.")
        return int(text)
    return text


def processes_folder() -> Path:
    """The shipped procedures: beside the engine in a checkout, inside it once installed from the wheel."""
    inside = Path(__file__).parent / "processes"
    return inside if inside.is_dir() else Path(__file__).parent.parent / "processes"
