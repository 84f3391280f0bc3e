"""Invented students: names that nobody bears, numbers that nobody has, and ages that fit their grades."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from random import Random
from typing import Any

from engine.demo.tables import texts
from engine.registry import codes, numbers
from engine.registry.records import Part

# 996 to 999 are kept for people over a hundred, so no child has an ID number that ends like these.
_SERIALS = {"1": ("997", "999"), "2": ("996", "998")}
# How often each kind of number occurs, of a hundred, where the province has a scheme of its own and elsewhere.
_OWN_SCHEME = {"provincial": 65, "formal": 15, "formal_without_id": 4, "temporary": 7, "id_number": 8, "passport": 1}
_NATIONAL = {"formal": 78, "formal_without_id": 5, "temporary": 8, "id_number": 8, "passport": 1}
_OPEN_BUSINESS = ("休学办理中", "关键信息变更待审", "问题学籍处理中")
_MARKS = ("语文", "数学", "英语")
_REMARKS = ("品学兼优，乐于助人。", "学习认真，遵守纪律。", "思维活跃，上课积极发言。", "体育成绩突出，团结同学。")


@dataclass
class Numbers:
    """Gives out numbers, each once."""

    random: Random
    _used: set[str] = field(default_factory=set)
    _serials: dict[str, int] = field(default_factory=dict)

    def id_number(self, division: str, born: date, gender: str) -> str | None:
        """None where the day has none left."""
        for serial in _SERIALS[gender]:
            number = _checked(f"{division}{born:%Y%m%d}{serial}")
            if number not in self._used:
                self._used.add(number)
                return number
        return None

    def formal_without_id(self, division: str, born: date) -> str:
        return "J" + _checked(f"{division}{born:%Y%m%d}{self._next('J'):03d}")

    def temporary(self, division: str, born: date) -> str:
        return f"L{division}{born:%Y%m%d}{self._next('L'):04d}"

    def provincial(self, division: str, entered: int, gender: str) -> str:
        return f"{division}{entered % 100:02d}900{gender}{self._next(division):04d}"

    def passport(self) -> str:
        return f"DEMO{self._next('passport'):05d}"

    def _next(self, series: str) -> int:
        self._serials[series] = self._serials.get(series, 0) + 1
        return self._serials[series]


def _checked(seventeen: str) -> str:
    return seventeen + numbers.check_digit(seventeen)


def class_of(
    random: Random, given: Numbers, *, division: str, grade: str, size: int, school_year: int
) -> Iterator[tuple[dict[str, Any], list[Part]]]:
    """The students of a class, as columns of `student`, each with the parts of the electronic record."""
    years = list(codes.table("grade")).index(grade)
    years -= 1 if grade >= "30" else 0  # the table has a fourth year of junior school, which hardly anybody attends
    for _ in range(size):
        row = _student(random, given, division, school_year - years, grade)
        yield row, _record(random, row, school_year, years)


def _student(random: Random, given: Numbers, division: str, entered: int, grade: str) -> dict[str, Any]:
    family = random.choice(texts("names", "family"))
    name = family + random.choice(texts("names", "given"))
    gender = random.choice("12")
    # Six years old on the last day of August before school begins.
    born = date(entered - 7, 9, 1) + timedelta(days=random.randrange(365))
    left_behind = random.random() < 0.04
    return {
        "name": random.choice(texts("names", "long")) if random.random() < 0.015 else name,
        "gender": gender,
        "birth_date": born,
        "ethnicity": "01" if random.random() < 0.94 else random.choice(list(codes.table("ethnicity"))),
        "political_status": "03" if grade >= "30" and random.random() < 0.4 else "13",
        "household_type": random.choice(("农业户口", "非农业户口")),
        "household_division": division,
        "birth_division": division,
        "guardian_name": family + random.choice(texts("names", "adult")),
        "guardian_id_number": None,
        "only_child": random.random() < 0.4,
        "out_of_district": random.random() < 0.08,
        "from_elsewhere": random.random() < 0.06,
        "migrant": random.random() < 0.1,
        "left_behind": "随祖父母生活" if left_behind else None,
        "boarding": grade >= "30" and random.random() < 0.5,
        **_standing(random),
        **_numbers(random, given, division, born, entered, gender),
    }


def _standing(random: Random) -> dict[str, Any]:
    """Nearly everybody may move; of a hundred, three or four may not."""
    lot = random.randrange(100)
    return {
        "status": "02" if lot == 0 else "01",
        "problem": lot == 1,
        "open_business": random.choice(_OPEN_BUSINESS) if lot == 2 else None,
    }


def _numbers(
    random: Random, given: Numbers, division: str, born: date, entered: int, gender: str
) -> dict[str, str | None]:
    shares = _OWN_SCHEME if _has_own_scheme(division) else _NATIONAL
    [kind] = random.choices(list(shares), list(shares.values()))
    identity = given.id_number(division, born, gender)
    found: dict[str, str | None] = dict.fromkeys(("id_type", "id_number", "record_number", "temporary_number"))
    if kind == "passport":
        return found | {
            "id_type": "A", "id_number": given.passport(), "temporary_number": given.temporary(division, born),
        }  # fmt: skip
    if kind == "formal_without_id" or identity is None:
        return found | {"record_number": given.formal_without_id(division, born)}
    found |= {"id_type": "1", "id_number": identity}
    if kind == "formal":
        found["record_number"] = f"G{identity}"
    elif kind == "provincial":
        found["record_number"] = given.provincial(division, entered, gender)
    elif kind == "temporary":
        found["temporary_number"] = given.temporary(division, born)
    return found


def _has_own_scheme(division: str) -> bool:
    return any(row["province"] == division[:2] for row in codes.rows("number_format") if row["province"])


def _record(random: Random, row: dict[str, Any], school_year: int, years: int) -> list[Part]:
    entered = school_year - years
    parts = [
        Part("基本信息", "基本信息", {"姓名": row["name"], "入学年月": f"{entered}-09", "就读方式": "走读"}),
        Part("家庭成员", "监护人", {"姓名": row["guardian_name"], "关系": random.choice(("父亲", "母亲"))}),
    ]
    if years:
        title = f"{school_year - 1}-{school_year}学年第二学期"
        parts.append(Part("成绩", title, {subject: random.randint(68, 100) for subject in _MARKS}))
        parts.append(Part("评价", title, {"评语": random.choice(_REMARKS)}))
    parts.append(Part("体质健康", f"{school_year}年体检", {"身高": 112 + 6 * years, "视力": 5.0}))
    if random.random() < 0.1:
        parts.append(Part("奖惩", "校级表彰", {"年度": school_year, "称号": "阅读之星"}))
    return parts
