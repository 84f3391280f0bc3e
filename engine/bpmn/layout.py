"""Where each element of a file is drawn: nothing that runs, and nothing that a comparison counts as a change."""

from __future__ import annotations

from lxml import etree

from engine.bpmn.reader import parse

_DI = "http://www.omg.org/spec/BPMN/20100524/DI"
_DC = "http://www.omg.org/spec/DD/20100524/DC"
_LINES = "http://www.omg.org/spec/DD/20100524/DI"


def read(source: bytes) -> dict[str, tuple[float, ...]]:
    """The points of each element, as x, y, x, y …: corners of a shape, bends of a line. Raises `DiagramError`."""
    root = parse(source)
    found: dict[str, tuple[float, ...]] = {}
    for shape in root.iter(f"{{{_DI}}}BPMNShape"):
        for bounds in shape.iterfind(f"{{{_DC}}}Bounds"):
            left, top, width, height = (_number(bounds, name) for name in ("x", "y", "width", "height"))
            found[shape.get("bpmnElement", "")] = (left, top, left + width, top + height)
    for edge in root.iter(f"{{{_DI}}}BPMNEdge"):
        points = [(_number(point, "x"), _number(point, "y")) for point in edge.iterfind(f"{{{_LINES}}}waypoint")]
        found[edge.get("bpmnElement", "")] = tuple(number for point in points for number in point)
    return found


def _number(element: etree._Element, name: str) -> float:
    try:
        return float(element.get(name, "0"))
    except ValueError:
        return 0.0
