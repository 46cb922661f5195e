"""Charts as SVG made here: no script, no picture, the page's own font, and everything in words for who does not see them.

Positions along the page are percentages and those down it are pixels, so that letters keep their size on a telephone. Colour and size are
said here, too, for what reads no style sheet inside a drawing (WeasyPrint).
"""

from collections.abc import Sequence

from markupsafe import Markup, escape

_ROW, _BAR = 44, 16
_HEIGHT, _FOOT = 120, 40
LABEL = 34
"""Letters of a label that fit beside nothing on a telephone; the whole stands in the table."""


def bars(name: str, title: str, description: str, rows: Sequence[tuple[str, int, str]]) -> Markup:
    """Horizontal bars. `name`: of the chart in the page's ids; `rows`: label, value (0 or more), the value as people read it."""
    most = max((value for _, value, _ in rows), default=0) or 1
    lines: list[Markup] = []
    for number, (label, value, shown) in enumerate(rows):
        top = number * _ROW
        short = label if len(label) <= LABEL else f"{label[: LABEL - 1].rstrip()}…"
        width = max(0.5, 82 * value / most)
        lines.append(
            Markup(
                '<text x="0" y="{}" class="label" font-size="14">{}</text><rect fill="#1f4e79" x="0" y="{}" width="{:.2f}%" height="{}"/>'
                '<text x="{:.2f}%" y="{}" dx="6" class="value" font-size="12">{}</text>'
            ).format(top + 14, escape(short), top + 20, width, _BAR, width, top + 33, escape(shown))
        )
    return _svg(name, title, description, max(1, len(rows)) * _ROW, lines)


def columns(name: str, title: str, description: str, rows: Sequence[tuple[str, int, str]]) -> Markup:
    """Columns along the time. `rows` as in `bars`; labels of at most four letters."""
    most = max((value for _, value, _ in rows), default=0) or 1
    step = 100 / max(1, len(rows))
    lines: list[Markup] = []
    for number, (label, value, shown) in enumerate(rows):
        high = max(1.0, (_HEIGHT - 20) * value / most)
        # Every second one makes room on a telephone; the newest stays.
        other = " other" if (len(rows) - number) % 2 == 0 else ""
        left, middle = number * step + step * 0.15, number * step + step / 2
        lines.append(
            Markup(
                '<rect fill="#1f4e79" x="{:.2f}%" y="{:.1f}" width="{:.2f}%" height="{:.1f}"/>'
                '<text x="{:.2f}%" y="{:.1f}" text-anchor="middle" class="value{}" font-size="12">{}</text>'
                '<text x="{:.2f}%" y="{}" text-anchor="middle" class="tick{}" font-size="12">{}</text>'
            ).format(
                left,
                _HEIGHT - high,
                step * 0.7,
                high,
                middle,
                _HEIGHT - high - 4,
                other,
                escape(shown),
                middle,
                _HEIGHT + 18,
                other,
                escape(label),
            )
        )
    return _svg(name, title, description, _HEIGHT + _FOOT - 14, lines)


def _svg(name: str, title: str, description: str, height: int, lines: Sequence[Markup]) -> Markup:
    return Markup(
        '<svg class="chart" role="img" width="100%" height="{height}" aria-labelledby="{name}-title {name}-text" '
        'xmlns="http://www.w3.org/2000/svg"><title id="{name}-title">{title}</title><desc id="{name}-text">{text}</desc>{lines}</svg>'
    ).format(
        height=height, name=escape(name), title=escape(title), text=escape(description), lines=Markup("").join(lines)
    )
