"""Progress bars on standard error, which leave standard output alone."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from rich.console import Console
from rich.progress import track

Item = TypeVar('Item')
PATIENCE = 0.5
"""Seconds that an item may take without a bar."""


def progress(items: Iterable[Item], show: bool = True, title: str = 'Inference') -> Iterator[Item]:
    """The items, with a progress bar if ``show``. It ends at 100 %, also if items are left out."""
    return iter(track(items, title, console=Console(stderr=True)) if show else items)


def patient_progress(items: Sequence[Item], title: str) -> Iterator[Item]:
    """The items, with a progress bar if the first one takes long."""
    start = time.monotonic()
    yield from items[:1]
    slow = time.monotonic() - start > PATIENCE
    yield from progress(items[1:], slow, title=title)
