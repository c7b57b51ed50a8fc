"""No memory and no checkpoint that grows with the iterations."""

from __future__ import annotations

from typing import Any

from mmengine.hooks import Hook

from mmcoordgan.registry import HOOKS


@HOOKS.register_module()
class HistoryLimitHook(Hook):
    """Keep only the newest values of everything that is logged.

    MMEngine keeps a million values of every loss, learning rate and time, writes them into every
    checkpoint, and copies them in every iteration to append one. The log needs no more than its
    window (``log_processor.window_size``), and the values themselves are in the log file and in
    ``vis_data/scalars.json``. The limit is raised to the log's largest window; a window 'global'
    covers what is kept.

    Args:
        max_length: Number of values kept of each, at least 1.

    Raises:
        ValueError: ``max_length`` is smaller than 1.
    """

    priority = 'LOW'

    def __init__(self, max_length: int = 1000) -> None:
        if max_length < 1:
            raise ValueError(
                f'{type(self).__name__}: max_length must be at least 1, got {max_length}'
            )
        self.max_length = max_length

    def before_train(self, runner: Any) -> None:
        """Make room for the windows of the log."""
        processor = runner.log_processor
        windows = [processor.window_size, *(c.get('window_size') for c in processor.custom_cfg)]
        self.max_length = max(self.max_length, *(w for w in windows if isinstance(w, int)))

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: dict | None = None
    ) -> None:
        """Limit the histories, old and new; each drops what is too much with its next value."""
        for history in runner.message_hub.log_scalars.values():
            history.max_length = min(history.max_length, self.max_length)
