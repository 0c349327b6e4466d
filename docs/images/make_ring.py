"""Draws ring.svg: where one key lives on a ring of three servers. ``python docs/images/make_ring.py``."""

from __future__ import annotations

import math
from pathlib import Path

_COLOURS = {"A": "#2b6cb0", "B": "#c05621", "C": "#2f855a"}
#: Some virtual nodes, by angle in degrees clockwise from the top; a real ring has 2,000 of each server.
_POINTS = [
    (8, "A"),
    (52, "B"),
    (78, "A"),
    (118, "C"),
    (160, "B"),
    (205, "C"),
    (236, "A"),
    (282, "B"),
    (325, "C"),
]
_KEY = 95
_CENTRE, _RADIUS = 210, 150


def _at(angle: float, radius: float) -> tuple[float, float]:
    radians = math.radians(angle - 90)
    return _CENTRE + radius * math.cos(radians), _CENTRE + radius * math.sin(radians)


def _text(angle: float, radius: float, words: str, style: str = "") -> str:
    x, y = _at(angle, radius)
    return f'<text x="{x:.0f}" y="{y + 5:.0f}" text-anchor="middle" {style}>{words}</text>'


def _dot(angle: float, size: int, colour: str) -> str:
    x, y = _at(angle, _RADIUS)
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size}" fill="{colour}"/>'


def _arc(start: float, end: float, radius: float, colour: str) -> str:
    (x1, y1), (x2, y2) = _at(start, radius), _at(end, radius)
    return (
        f'<path d="M{x1:.1f},{y1:.1f} A{radius},{radius} 0 0 1 {x2:.1f},{y2:.1f}" fill="none" '
        f'stroke="{colour}" stroke-width="3" marker-end="url(#tip)"/>'
    )


def picture() -> str:
    """The drawing."""
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 420" '
        'font-family="sans-serif" font-size="15">',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="6" refY="4" markerWidth="5" markerHeight="5" '
        'orient="auto"><path d="M0,0 L8,4 L0,8 z" fill="#444"/></marker></defs>',
        '<rect width="720" height="420" fill="white"/>',
        f'<circle cx="{_CENTRE}" cy="{_CENTRE}" r="{_RADIUS}" fill="none" stroke="#aaa" stroke-width="2"/>',
        *(_dot(angle, 9, _COLOURS[name]) for angle, name in _POINTS),
        *(
            _text(angle, _RADIUS + 26, name, f'fill="{_COLOURS[name]}" font-weight="bold"')
            for angle, name in _POINTS
        ),
        _arc(_KEY, 115, _RADIUS - 22, "#444"),
        _arc(118, 157, _RADIUS - 34, "#444"),
        _dot(_KEY, 5, "black"),
        _text(_KEY, _RADIUS - 75, "price:A-1234"),
    ]
    lines = [
        "A key and every virtual node have a point on the ring.",
        "Clockwise from the key, the first server is C: it is asked first.",
        "The next server that is not C is B: it has the second copy.",
        "",
        "write: to C, which gives the version; then to B with it",
        "read: C; if C is away or lacks the key, B, and C is repaired",
        "delete: a tombstone with a version, on C and B",
    ]
    parts += [
        f'<text x="405" y="{130 + 24 * n}" font-size="11.5">{line}</text>' for n, line in enumerate(lines)
    ]
    return "\n".join([*parts, "</svg>"]) + "\n"


if __name__ == "__main__":
    Path(__file__).with_name("ring.svg").write_text(picture(), encoding="utf-8")
