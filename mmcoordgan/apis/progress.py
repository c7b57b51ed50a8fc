"""A progress bar that leaves standard output alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

from rich.console import Console
from rich.progress import track

Item = TypeVar('Item')


def progress(items: Iterable[Item], show: bool = True, total: int | None = None) -> Iterator[Item]:
    """The items, with a bar on standard error, which looks like that of MMEngine's inferencers."""
    if not show:
        return iter(items)
    if total is None and isinstance(items, Sized):
        total = len(items)
    return iter(track(items, 'Inference', total=total, console=Console(stderr=True)))
