"""The frontiers as a picture. Pure."""

from collections.abc import Mapping, Sequence

WIDTH, HEIGHT = 640, 400
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 16, 44
LONGEST_S, LARGEST = 1.6, 0.9
COLOURS = ("#0b6e4f", "#c8553d", "#6b7280")


def draw(frontiers: Mapping[str, Sequence[tuple[float, float, str]]]) -> str:
    """An SVG: mean dead air to the right, share of false cut-offs upwards; lower left is better."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
    ]
    for tenth in range(0, 17, 2):
        x = _x(tenth / 10)
        parts.append(_line(x, TOP, x, HEIGHT - BOTTOM))
        parts.append(_text(x, HEIGHT - BOTTOM + 16, f"{tenth / 10:.1f}", "middle"))
    for tenth in range(10):
        y = _y(tenth / 10)
        parts.append(_line(LEFT, y, WIDTH - RIGHT, y))
        parts.append(_text(LEFT - 6, y + 4, f"{tenth * 10} %", "end"))
    parts.append(_text((LEFT + WIDTH) / 2, HEIGHT - 8, "mean dead air, seconds", "middle"))
    for row, ((name, points), colour) in enumerate(zip(frontiers.items(), COLOURS, strict=False)):
        shown = [(x, y) for x, y, _ in points if x <= LONGEST_S and y <= LARGEST]
        path = " ".join(f"{_x(x):.1f},{_y(y):.1f}" for x, y in shown)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        at = TOP + 18 + 18 * row
        parts.append(
            f'<rect x="{WIDTH - 220}" y="{at - 9}" width="14" height="4" fill="{colour}"/>'
        )
        parts.append(_text(WIDTH - 200, at, name, "start"))
    parts.append(_text(WIDTH - 200, TOP + 18 + 18 * 3, "share of pauses cut off", "start"))
    return "\n".join([*parts, "</svg>", ""])


def _x(seconds: float) -> float:
    return LEFT + seconds / LONGEST_S * (WIDTH - LEFT - RIGHT)


def _y(share: float) -> float:
    return HEIGHT - BOTTOM - share / LARGEST * (HEIGHT - TOP - BOTTOM)


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="#e5e7eb"/>'


def _text(x: float, y: float, words: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="#111827">{words}</text>'
