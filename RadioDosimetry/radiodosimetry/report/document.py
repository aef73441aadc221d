"""A report as values: sections of texts, tables and pictures, printed as one HTML file that needs nothing else."""

from __future__ import annotations

import base64
import csv
import io
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..__about__ import __version__
from ..errors import InputError, MissingDependencyError
from .figure_style import figure_bytes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LANGUAGE = "en"

LONG_FACT = 44
"""Characters of a fact from which nothing stands beside it."""

DIGITS = 3
"""Significant digits of a number unless its column says otherwise."""

NAMES = ("region", "target", "largest_source")
"""Columns that hold names of regions and organs, printed by `name_text`."""

_SHORT_FORMS = {"lli": "LLI", "uli": "ULI"}
"""Words of names that are short forms: lower and upper large intestine."""

_MEDIA_TYPES = {".png": "image/png", ".svg": "image/svg+xml"}
_MINUS, _DASH, _NO_BREAK = "\N{MINUS SIGN}", "\N{EN DASH}", "\N{NO-BREAK SPACE}"
_PARENTHESES = re.compile(r"\([^)]*\)")


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes
    ----------
    name
        In CSV and JSON, unit at its end: "mean_gy".
    title
        For readers: "Mean dose".
    unit
        For readers: "Gy"; empty for words and pure numbers.
    digits
        Significant digits in print; files keep seven.
    signed
        Whether a plus sign is printed.
    least
        Numbers below it are printed as such: "< 0.01".
    decimals
        Decimals in the place of significant digits.
    """

    name: str
    title: str
    unit: str = ""
    digits: int = DIGITS
    signed: bool = False
    least: float = 0.0
    decimals: int | None = None

    @property
    def heading(self) -> str:
        """Title and unit, which no line end takes apart; nor "(1 σ)"."""
        title = _PARENTHESES.sub(lambda found: found[0].replace(" ", _NO_BREAK), self.title)
        return f"{title} [{self.unit.replace(' ', _NO_BREAK)}]" if self.unit else title


@dataclass(frozen=True)
class ReportTable:
    """A table with a caption; the first column names the rows.

    Attributes
    ----------
    name
        Of its files: "region_doses".
    caption
        One sentence that says what the numbers are.
    columns
        At least one.
    rows
        Cells in the columns' order: text, number, or None where there is nothing.
    note
        Below the table.

    Raises
    ------
    InputError
        A row has another length than the header.
    """

    name: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Any, ...], ...]
    note: str = ""
    kind: str = field(default="table", init=False)

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise InputError(f"A row of the table {self.name} has {len(row)} cells, expected {len(self.columns)}.")

    @property
    def printed(self) -> list[list[str]]:
        """The cells as printed."""
        return [[cell_text(cell, column) for cell, column in zip(r, self.columns, strict=True)] for r in self.rows]

    def is_number(self, column: int) -> bool:
        """Whether a column holds numbers, which stand to the right; an empty one does if it has a unit."""
        cells = [row[column] for row in self.rows if row[column] is not None]
        return all(isinstance(cell, int | float) for cell in cells) if cells else bool(self.columns[column].unit)

    def csv_text(self) -> str:
        """The table as CSV: names of the columns, seven digits, nothing where there is nothing."""
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow([column.name for column in self.columns])
        for row in self.rows:
            writer.writerow([f"{c:.7g}" if isinstance(c, float) else "" if c is None else c for c in row])
        return stream.getvalue()

    def as_dict(self) -> dict[str, Any]:
        """The table as JSON-ready values."""
        names = [column.name for column in self.columns]
        columns = [{"name": column.name, "title": column.title, "unit": column.unit} for column in self.columns]
        rows = [dict(zip(names, row, strict=True)) for row in self.rows]
        return {"caption": self.caption, "columns": columns, "rows": rows, "note": self.note or None}


@dataclass(frozen=True)
class Picture:
    """A figure inside the page.

    Attributes
    ----------
    data
        Content of a PNG or SVG file.
    caption
        Below it; empty where the next picture's says it.
    alternative
        What it shows, for who cannot see it.
    suffix
        ".png" or ".svg".
    """

    data: bytes
    caption: str
    alternative: str
    suffix: str = ".png"
    kind: str = field(default="picture", init=False)

    @classmethod
    def of(cls, figure: Figure, caption: str, alternative: str, suffix: str = ".svg") -> Picture:
        """A picture of a matplotlib figure."""
        return cls(figure_bytes(figure, suffix), caption, alternative, suffix)

    @property
    def address(self) -> str:
        """The picture as a `data:` address."""
        return f"data:{_MEDIA_TYPES[self.suffix]};base64,{base64.b64encode(self.data).decode()}"


@dataclass(frozen=True)
class Text:
    """A paragraph, or a list where there is more than one; `plain` keeps line ends, for records."""

    paragraphs: tuple[str, ...]
    style: str = "paragraph"
    kind: str = field(default="text", init=False)

    def __post_init__(self) -> None:
        if self.style not in ("paragraph", "list", "numbered", "record"):
            raise InputError(f"A text is a paragraph, list, numbered or record, found {self.style}.")


Block = ReportTable | Picture | Text


@dataclass(frozen=True)
class ReportSection:
    """A heading and what is below it; `new_page` begins a page in print, an `appendix` comes after the signatures."""

    heading: str
    blocks: tuple[Block, ...]
    new_page: bool = False
    appendix: bool = False


@dataclass(frozen=True)
class Report:
    """The whole document.

    Attributes
    ----------
    title, subtitle
        At its head.
    created
        When, ISO 8601: the only part that differs between two reports of the same results.
    warnings
        What a reader must know first: where each comes from and what it says.
    facts
        Patient and study: name and value.
    sections
        In their order.
    signatures
        Who signs, in words.
    running_head
        At the top of every printed page: whose report it is.
    """

    title: str
    subtitle: str
    created: str
    warnings: tuple[tuple[str, str], ...]
    facts: tuple[tuple[str, str], ...]
    sections: tuple[ReportSection, ...]
    signatures: tuple[str, ...] = ("Computed by", "Checked by")
    running_head: str = ""
    version: str = __version__

    @property
    def tables(self) -> tuple[ReportTable, ...]:
        """All tables."""
        return tuple(block for section in self.sections for block in section.blocks if isinstance(block, ReportTable))

    def tables_dict(self) -> dict[str, Any]:
        """All tables, facts and warnings as JSON-ready values."""
        return {
            "title": self.title,
            "created": self.created,
            "version": self.version,
            "warnings": [{"from": source, "text": text} for source, text in self.warnings],
            "facts": dict(self.facts),
            "tables": {table.name: table.as_dict() for table in self.tables},
        }


def render_html(report: Report) -> str:
    """The report as one HTML file: style and pictures inside, no script, nothing fetched.

    Raises
    ------
    MissingDependencyError
        jinja2 is not installed.
    """
    try:
        from jinja2 import Environment, StrictUndefined
    except ImportError as error:
        raise MissingDependencyError("A report needs jinja2, which is not installed: `pip install jinja2`.") from error
    source = Path(__file__).with_name("templates") / "report.html.j2"
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["css_string"] = css_string
    environment.globals["long_fact"] = LONG_FACT
    template = environment.from_string(source.read_text(encoding="utf-8"))
    return str(template.render(report=report, language=LANGUAGE))


def cell_text(cell: Any, column: Column) -> str:
    """A cell as printed: words as they are, numbers with the column's digits, a dash for nothing."""
    if cell is None:
        return _DASH
    if isinstance(cell, bool) or not isinstance(cell, int | float):
        return name_text(str(cell)) if column.name in NAMES else str(cell)
    if 0 < cell < column.least:
        return f"< {column.least:g}"
    if column.decimals is not None:
        text = f"{cell:{'+' if column.signed else ''}.{column.decimals}f}"
        return text.replace("-", _MINUS)
    return number_text(cell, column.digits, column.signed)


def name_text(name: str) -> str:
    """A region's or organ's name for readers: "lli_wall" is "LLI wall"."""
    return " ".join(_SHORT_FORMS.get(word, word) for word in name.split("_"))


def css_string(text: str) -> str:
    """A text as a string of a style sheet: all but letters, digits and spaces by number, so that none ends it."""
    return '"' + "".join(c if c.isascii() and (c.isalnum() or c == " ") else f"\\{ord(c):x} " for c in text) + '"'


def number_text(value: float, digits: int = DIGITS, signed: bool = False) -> str:
    """A number with significant digits and no exponent unless it is very large or small.

    Whole numbers are printed in full; 1250.7 with three digits is 1251, not 1.25e3.
    """
    if isinstance(value, int):
        text = f"{value:+d}" if signed else f"{value:d}"
    elif value == 0 or not math.isfinite(value):
        text = f"{value:g}"
    else:
        exponent = math.floor(math.log10(abs(float(f"{value:.{digits - 1}e}"))))
        sign = "+" if signed else ""
        if -4 <= exponent < 7:
            text = f"{value:{sign}.{max(0, digits - 1 - exponent)}f}"
        else:
            text = f"{value:{sign}.{digits - 1}e}"
    return text.replace("-", _MINUS) if text[0] == "-" else text


def table_from_records(
    name: str, caption: str, columns: Sequence[Column], records: Sequence[Mapping[str, Any]], note: str = ""
) -> ReportTable:
    """A table from mappings of column names to cells; what a mapping lacks is None."""
    rows = tuple(tuple(record.get(column.name) for column in columns) for record in records)
    return ReportTable(name, caption, tuple(columns), rows, note)
