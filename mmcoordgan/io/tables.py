"""CSV files whose first line names the columns."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

MAX_BYTES = 2**30  # of a file that is read
FORMULA = ('=', '+', '-', '@', '\t', '\r')
"""Spreadsheet programs run a text that begins like this: in files, a ' stands before it."""


def read_rows(path: str, columns: Sequence[str]) -> Iterator[dict[str, str]]:
    """The rows of a file, as texts by column; missing cells are empty.

    OSError or ValueError: the file cannot be read, or its first line lacks one of ``columns``.
    """
    if not os.path.isfile(path):  # reading a pipe may never end
        raise FileNotFoundError(f'{path} does not exist, or is no regular file')
    if os.path.getsize(path) > MAX_BYTES:
        raise ValueError(f'it takes more than {MAX_BYTES} bytes')
    with open(path, newline='', encoding='utf-8-sig', errors='surrogateescape') as file:
        rows = csv.DictReader(file, restval='', strict=True, skipinitialspace=True)
        try:
            found = rows.fieldnames or ()
            if not set(columns) <= set(found):
                raise ValueError(
                    f'its first line must name the columns {", ".join(columns)}, separated by '
                    f'commas, but names {" | ".join(found) or "nothing"}'
                )
            for row in rows:
                row.pop(None, None)  # more cells than columns
                yield {name: _plain(cell) for name, cell in row.items()}
        except csv.Error as error:
            raise ValueError(f'{error} after line {rows.line_num}') from None


def add_rows(path: str, columns: Sequence[str], rows: Iterable[Iterable], new: bool) -> None:
    """Add rows to a file, or to a ``new`` one in its place."""
    mode = 'w' if new else 'a'
    with open(path, mode, newline='', encoding='utf-8', errors='surrogateescape') as file:
        writer = csv.writer(file)
        if file.tell() == 0:
            writer.writerow(columns)
        writer.writerows([_quoted(cell) for cell in row] for row in rows)


def _quoted(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell


def _plain(cell: str) -> str:
    return cell[1:] if cell[:1] == "'" and cell[1:].startswith(FORMULA) else cell
