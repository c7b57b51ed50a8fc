"""Progress bars on standard error, which leave standard output alone."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence, Sized
from typing import TypeVar

from rich.console import Console
from rich.progress import track

Item = TypeVar('Item')
PATIENCE = 0.5
"""Seconds that an item may take without a bar."""


def progress(
    items: Iterable[Item], show: bool = True, total: int | None = None, title: str = 'Inference'
) -> Iterator[Item]:
    """The items, with a progress bar if ``show``. It ends at 100 %, also if items are left out."""
    if not show:
        return iter(items)
    if total is None and isinstance(items, Sized):
        total = len(items)
    return iter(track(items, title, total=total, console=Console(stderr=True)))


def patient_progress(items: Sequence[Item], title: str) -> Iterator[Item]:
    """The items, with a progress bar if the first one takes long."""
    start = time.monotonic()
    yield from items[:1]
    slow = time.monotonic() - start > PATIENCE
    yield from progress(items[1:], slow, title=title)
