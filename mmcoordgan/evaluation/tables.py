"""Numbers as plain text."""

from __future__ import annotations

from collections.abc import Sequence


def format_table(
    header: Sequence[str], labels: Sequence[str], rows: Sequence[Sequence[float]], digits: int = 2
) -> str:
    """Right-aligned columns of numbers behind a column of labels.

    Args:
        header: Title of the labels' column, then of each column of numbers.
        labels: One for each row.
        rows: Numbers, one less than ``header`` in each row.
        digits: Behind the decimal point.
    """
    cells = [[label, *(f'{v:.{digits}f}' for v in row)] for label, row in zip(labels, rows)]
    lines = [list(header), *cells]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    return '\n'.join(
        '  '.join(
            [line[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(line[1:], widths[1:]))]
        ).rstrip()
        for line in lines
    )
