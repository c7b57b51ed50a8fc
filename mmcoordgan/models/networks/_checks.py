"""The argument check that the networks share."""

from __future__ import annotations


def check_power_of_two(name: str, value: int, minimum: int) -> None:
    """Raise ValueError unless ``value`` is a power of two of at least ``minimum``."""
    if value < minimum or value & (value - 1):
        raise ValueError(f'{name} must be a power of two of at least {minimum}, but got {value}')
