"""What a page must keep to be valid and readable by everybody, as far as a program can tell."""

from __future__ import annotations

import re
from html.parser import HTMLParser

_VOID = {"meta", "link", "img", "br", "hr", "input", "col", "source", "wbr"}
_LEAST_CONTRAST = 4.5
"""WCAG 2.1, success criterion 1.4.3 (AA)."""


class Page(HTMLParser):
    """A page read strictly: every element closed in its order, attributes once each."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.problems: list[str] = []
        self.open: list[str] = []
        self.headings: list[int] = []
        self.ids: list[str] = []
        self.references: list[str] = []
        self.tables: list[dict[str, int]] = []
        self.images: list[dict[str, str | None]] = []
        self.title = ""
        self.style = ""
        self.language: str | None = None
        if not text.startswith("<!DOCTYPE html>"):
            self.problems.append("no doctype")
        self.feed(text)
        self.close()
        self.problems += [f"<{tag}> is never closed" for tag in self.open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        values = dict(attrs)
        if len(set(names)) < len(names):
            self.problems.append(f"<{tag}> has an attribute twice")
        if tag not in _VOID:
            self.open.append(tag)
        if tag == "html":
            self.language = values.get("lang")
        if tag in ("script", "iframe", "object", "link"):
            self.problems.append(f"<{tag}> in a page that should need nothing")
        for name in ("src", "href"):
            address = values.get(name) or ""
            if re.match(r"(https?:)?//", address):
                self.problems.append(f"<{tag}> fetches {address}")
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if values.get("id"):
            self.ids.append(str(values["id"]))
        self.references += (values.get("aria-labelledby") or "").split()
        if tag == "table":
            self.tables.append({"caption": 0, "col": 0, "row": 0, "bare": 0})
        if tag == "caption":
            self.tables[-1]["caption"] += 1
        if tag == "th":
            self.tables[-1][values.get("scope") or "bare"] += 1
        if tag == "img":
            self.images.append(values)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open[-1] != tag:
            self.problems.append(f"</{tag}> closes <{self.open[-1] if self.open else 'nothing'}>")
        else:
            self.open.pop()

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "title":
            self.title += data
        if self.open and self.open[-1] == "style":
            self.style += data


def accessibility_problems(text: str) -> list[str]:
    """Everything that a reader with other eyes, ears or a printer would stumble over; empty if there is nothing."""
    page = Page(text)
    found = list(page.problems)
    if not page.language:
        found.append("the page does not say its language")
    if not page.title.strip():
        found.append("the page has no title")
    if page.headings.count(1) != 1 or page.headings[0] != 1:
        found.append(f"expected one h1, first: {page.headings}")
    steps = zip(page.headings, page.headings[1:], strict=False)
    found += [f"a heading jumps from h{one} to h{two}" for one, two in steps if two > one + 1]
    found += [f"the id {name} is given twice" for name in {n for n in page.ids if page.ids.count(n) > 1}]
    found += [f"nothing has the id {name}" for name in page.references if name not in page.ids]
    for number, table in enumerate(page.tables, start=1):
        if table["caption"] != 1 or not table["col"] or table["bare"]:
            found.append(f"table {number} lacks a caption, column headers or scopes: {table}")
    for image in page.images:
        if len((image.get("alt") or "").split()) < 4:
            found.append(f"an image has the alternative text {image.get('alt')!r}")
        if not str(image.get("src")).startswith("data:image/"):
            found.append(f"an image is not inside the page: {str(image.get('src'))[:60]}")
    return found + _contrast_problems(page.style)


def _contrast_problems(style: str) -> list[str]:
    """Colours of text against white and against the backgrounds of their own rules."""
    found = []
    for selector, rules in re.findall(r"([^{}]+)\{([^{}]*)\}", style):
        colour = re.search(r"(?<![-\w])color:\s*(#[0-9a-fA-F]{3,6})", rules)
        background = re.search(r"background:\s*(#[0-9a-fA-F]{3,6})", rules)
        text = colour.group(1) if colour else "#1b1b1b"
        paper = background.group(1) if background else "#fff8ec" if "warnings" in selector else "#ffffff"
        ratio = contrast(text, paper)
        if ratio < _LEAST_CONTRAST:
            found.append(f"{selector.strip()}: {text} on {paper} has a contrast of {ratio:.1f}")
    return found


def contrast(first: str, second: str) -> float:
    """Contrast of two colours by WCAG 2.1, 1 to 21."""
    light, dark = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    digits = colour.lstrip("#")
    digits = "".join(2 * digit for digit in digits) if len(digits) == 3 else digits
    channels = [int(digits[start : start + 2], 16) / 255 for start in (0, 2, 4)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
