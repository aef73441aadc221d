"""Draws the extension's icon: Resources/RadioDosimetry.svg, and the PNG of it that the Extensions Index shows.

    QT_QPA_PLATFORM=offscreen python Resources/Sources/draw_icon.py

A torso with isodose rings around two kidneys and a lesion, and a time–activity curve below. Needs the extra `test`
(PySide6) for the PNG.
"""

from __future__ import annotations

import math
from pathlib import Path

SIZE = 128
"""Width and height [px]; the Extensions Manager shows icons of 128 × 128."""

COLOURS = ("#4b1d6b", "#9c2f7f", "#e8593b", "#ffb02e", "#fff3b0")
"""Of the isodose rings, outside to inside."""

SOURCES = ((46.0, 62.0, 15.0, 20.0), (82.0, 62.0, 15.0, 20.0), (66.0, 33.0, 9.0, 8.0))
"""Centre x, y and radii of the outermost ring of each source [px]."""

TORSO = "M64 8 C 92 8 108 22 107 48 C 106 66 102 82 98 92 L 30 92 C 26 82 22 66 21 48 C 20 22 36 8 64 8 Z"


def icon_svg() -> str:
    """The icon as SVG."""
    shapes = [
        f'<rect x="2" y="2" width="{SIZE - 4}" height="{SIZE - 4}" rx="20" fill="#101a30"/>',
        f'<path d="{TORSO}" fill="#26344f" stroke="#b9c6de" stroke-width="2.5"/>',
        *(_ring(source, step) for step in range(len(COLOURS)) for source in SOURCES),
        f'<path d="{_curve()}" fill="none" stroke="#7fd4ff" stroke-width="4" stroke-linecap="round"/>',
        *(f'<circle cx="{x:.1f}" cy="{_height(x):.1f}" r="4" fill="#ffffff"/>' for x in (24.0, 38.0, 64.0, 98.0)),
    ]
    body = "\n ".join(shapes)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{SIZE}" height="{SIZE}" viewBox="0 0 {SIZE} {SIZE}">\n'
        f" <title>RadioDosimetry</title>\n {body}\n</svg>\n"
    )


def _ring(source: tuple[float, float, float, float], step: int) -> str:
    x, y, width, height = source
    share = 1.0 - step / len(COLOURS)
    return f'<ellipse cx="{x:g}" cy="{y:g}" rx="{share * width:.2f}" ry="{share * height:.2f}" fill="{COLOURS[step]}"/>'


def _height(x: float) -> float:
    """The curve at x [px]: uptake, then exponential clearance."""
    time = (x - 18.0) / 22.0
    return 121.0 - 36.0 * (math.exp(-0.45 * time) - math.exp(-3.0 * time))


def _curve() -> str:
    points = [18.0 + step for step in range(0, 95, 2)]
    return "M" + " L".join(f"{x:.1f} {_height(x):.1f}" for x in points)


def write_png(svg: Path, png: Path) -> None:
    """Rasterise an SVG at `SIZE`."""
    from PySide6.QtCore import Qt
    from PySide6.QtGui import QGuiApplication, QImage, QPainter
    from PySide6.QtSvg import QSvgRenderer

    application = QGuiApplication.instance() or QGuiApplication([])
    image = QImage(SIZE, SIZE, QImage.Format.Format_ARGB32)
    image.fill(Qt.GlobalColor.transparent)
    painter = QPainter(image)
    QSvgRenderer(str(svg)).render(painter)
    painter.end()
    if not image.save(str(png)):
        raise OSError(f"{png} could not be written.")
    del application


def main() -> None:
    """Write both files."""
    folder = Path(__file__).resolve().parents[1]
    svg = folder / "RadioDosimetry.svg"
    svg.write_text(icon_svg(), encoding="utf-8")
    write_png(svg, folder / "RadioDosimetry.png")


if __name__ == "__main__":
    main()
