"""The report as one page of HTML that needs nothing beside it."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from engine.reports.content import Block, Heading, Listed, Paragraph, Report, Table

_STYLE = """
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1a222c; background: #fff;
       font: 15px/1.6 system-ui, "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif; }
h1 { font-size: 1.6rem; } h2 { margin-top: 2rem; font-size: 1.25rem; } h3 { font-size: 1.05rem; }
table { width: 100%; border-collapse: collapse; table-layout: fixed; }
th, td { padding: 6px 8px; border: 1px solid #b8c0c9; text-align: left; vertical-align: top; overflow-wrap: anywhere; }
th { background: #edf2f8; } tr { break-inside: avoid; } td p { margin: 0 0 4px; } .soft { color: #54606d; }
@page { size: A4; margin: 18mm; }
"""


def as_html(report: Report) -> str:
    body = "\n".join(part for block in report.blocks for part in _parts(block))
    language = "en" if report.locale == "en" else "zh-Hans"
    return (
        f'<!doctype html>\n<html lang="{language}">\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width">\n<title>{escape(report.title)}</title>\n'
        f"<style>{_STYLE}</style>\n<h1>{escape(report.title)}</h1>\n{body}\n</html>\n"
    )


def _parts(block: Block) -> Iterator[str]:
    match block:
        case Heading(text, level):
            yield f"<h{level + 1}>{escape(text)}</h{level + 1}>"
        case Paragraph(text, kind):
            yield f'<p class="{kind}">{escape(text)}</p>' if kind else f"<p>{escape(text)}</p>"
        case Listed(items, numbered):
            name = "ol" if numbered else "ul"
            yield f"<{name}>{''.join(f'<li>{escape(item)}</li>' for item in items)}</{name}>"
        case Table():
            yield _table(block)


def _table(table: Table) -> str:
    columns = "".join(f'<col style="width: {share:.0%}">' for share in table.widths)
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in table.columns)
    rows = "\n".join(f"<tr>{''.join(f'<td>{_cell(cell)}</td>' for cell in row)}</tr>" for row in table.rows)
    return f"<table><colgroup>{columns}</colgroup>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody></table>"


def _cell(text: str) -> str:
    return "".join(f"<p>{escape(line)}</p>" for line in text.split("\n"))
