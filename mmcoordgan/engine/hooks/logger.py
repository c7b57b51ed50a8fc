"""The log of a training, also on a full disk."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mmengine.hooks import LoggerHook

from mmcoordgan.registry import HOOKS


@contextmanager
def left_out_on_error(runner: Any, what: str) -> Iterator[None]:
    """Log that ``what`` cannot be written, which is no reason to end hours of training."""
    try:
        yield
    except OSError as error:
        runner.logger.warning(f'{what} is left out, because it cannot be written: {error}')


@HOOKS.register_module()
class CoordGANLoggerHook(LoggerHook):
    """MMEngine's ``LoggerHook`` that survives files of scalars that cannot be written."""

    def after_train_iter(self, runner: Any, *args: Any, **kwargs: Any) -> None:
        """Log every ``interval`` iterations."""
        with left_out_on_error(runner, 'a line of scalars'):
            super().after_train_iter(runner, *args, **kwargs)

    def after_val_epoch(self, runner: Any, *args: Any, **kwargs: Any) -> None:
        """Log the metrics of a validation."""
        with left_out_on_error(runner, 'a line of metrics'):
            super().after_val_epoch(runner, *args, **kwargs)

    def after_test_epoch(self, runner: Any, *args: Any, **kwargs: Any) -> None:
        """Log the metrics of a test."""
        with left_out_on_error(runner, 'the file of metrics'):
            super().after_test_epoch(runner, *args, **kwargs)

    def after_run(self, runner: Any) -> None:
        """Close what was written to."""
        with left_out_on_error(runner, 'the end of the log'):
            super().after_run(runner)
