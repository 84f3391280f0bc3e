"""The report as plain text, for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from engine.reports.content import Block, Heading, Listed, Paragraph, Report, Table


def as_text(report: Report) -> str:
    """Headings underlined; of a table each row with its columns named."""
    lines = [report.title, "=" * _width(report.title)]
    for block in report.blocks:
        lines += ["", *_lines(block)]
    return "\n".join(lines) + "\n"


def _lines(block: Block) -> Iterator[str]:
    match block:
        case Heading(text, level):
            yield text
            yield ("-" if level == 1 else "·") * _width(text)
        case Paragraph(text):
            yield text
        case Listed(items, numbered):
            yield from (f"{f'{number}.' if numbered else '-'} {item}" for number, item in enumerate(items, 1))
        case Table(columns, rows):
            for row in rows:
                yield from _row(columns, row)


def _row(columns: tuple[str, ...], row: tuple[str, ...]) -> Iterator[str]:
    cells = zip(columns, row, strict=True)
    head, cell = next(cells)
    yield f"* {head}：{cell}" if head else f"* {cell}"
    for column, text in cells:
        first, *more = text.split("\n")
        if text:
            yield f"    {column}：{first}"
            yield from (f"      {line}" for line in more)


def _width(text: str) -> int:
    """In a terminal a Chinese character is as wide as two letters."""
    return sum(1 if ord(character) < 0x2E80 else 2 for character in text)
