"""How long a comparison takes: our two procedures, and generated models of 1,000 elements.

    .venv/bin/python -m tests.bench.comparison

Measured and printed, not asserted; `docs/comparison.md` has what it said and on what.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from itertools import count

from engine.comparison import Comparison, Side, compare
from tests.unit.bpmn import diagrams as d
from tests.unit.comparison.sides import of_text, shipped

ACTS = (
    "申请", "登记", "核对", "审核", "通知", "归档", "打印", "盖章", "复核", "上报",
    "转交", "录入", "缴费", "公示", "注册", "体检", "建档", "注销", "变更", "调取",
)  # fmt: skip
MATTERS = (
    "学生", "家长", "档案", "学籍", "证件", "表格", "名册", "学校", "班级", "材料",
    "信息", "成绩", "户口", "照片", "协议", "回执", "编号", "公章", "系统", "名额",
)  # fmt: skip
FIELDS = ("姓名", "学籍号", "年级", "班级", "理由", "日期", "电话", "住址")
ROUNDS = 5


def model(elements: int, seed: int, changed: float = 0.0) -> Side:
    """A long procedure in two lanes with forms and refusals, a share of its steps called otherwise or left out."""
    chance, noise = random.Random(seed), random.Random(f"{seed} {changed}")
    parts, tasks, last, number = [d.start()], [], "start", 1
    for step in count():
        act, of, matter, asks = (chance.choice(words) for words in (ACTS, MATTERS, MATTERS, FIELDS))
        refuses = chance.random() < 0.25
        if number >= elements - 3:
            break
        if noise.random() < changed / 2:
            continue
        name = f"{act}{of}的{matter}" if noise.random() >= changed else noise.choice(ACTS) + noise.choice(MATTERS)
        task, gateway, end = f"task{step}", f"gateway{step}", f"end{step}"
        form = d.form(d.field(f"field{step}", label=asks), d.field(f"matter{step}", label=matter))
        parts += [d.user(task, form, name=name) if step % 3 else d.manual(task, name=name), d.path(last, task)]
        tasks.append(task)
        last, number = task, number + 1
        if refuses:
            parts += [d.exclusive(gateway), d.end(end), d.path(task, gateway), d.flow(gateway, end, "no")]
            last, number = gateway, number + 2
    parts += [d.end(), d.path(last, "end")]
    half = len(tasks) // 2
    lanes = d.lanes(
        receiving_school=" ".join(["start", *tasks[:half]]), receiving_authority=" ".join([*tasks[half:], "end"])
    )
    return of_text(d.plain(lanes, *parts).decode(), key=f"{seed} {changed}")


def cases() -> Iterator[tuple[str, Side, Side]]:
    yield "national and Anhui", shipped("national"), shipped("anhui")
    one = model(1000, 1)
    yield "1,000 elements, the same", one, model(1000, 1)
    yield "1,000 elements, one in ten changed", one, model(1000, 1, 0.1)
    yield "1,000 elements, half of them changed", one, model(1000, 1, 0.5)
    yield "1,000 elements, two other procedures", one, model(1000, 2)


def best(work: Callable[[], Comparison]) -> tuple[float, Comparison]:
    """The shortest of a few rounds, since other work on the machine only ever adds."""
    times = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        found = work()
        times.append(time.perf_counter() - begun)
    return min(times), found


def main() -> None:
    print(f"{'':<40}{'elements':>12}{'pairs':>8}{'differences':>13}{'seconds':>9}")
    for what, a, b in cases():
        seconds, found = best(lambda a=a, b=b: compare(a, b))
        sizes = "/".join(str(sum(len(pool.nodes) for pool in side.graph.pools)) for side in (a, b))
        print(f"{what:<40}{sizes:>12}{len(found.pairs):>8}{len(found.differences):>13}{seconds:>9.3f}")


if __name__ == "__main__":
    main()
