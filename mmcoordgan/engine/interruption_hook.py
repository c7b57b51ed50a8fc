"""Signals that ask a training to end: save, and end."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

import torch
from mmengine.dist import all_reduce, barrier
from mmengine.hooks import Hook

from mmcoordgan.random_state import random_state, set_random_state
from mmcoordgan.registry import HOOKS

SIGNALS = (signal.SIGTERM, signal.SIGINT)


@HOOKS.register_module()
class InterruptionHook(Hook):
    """On SIGTERM or SIGINT, finish the iteration, save a checkpoint and exit.

    Job schedulers send SIGTERM before they take a machine back; SIGINT is Ctrl-C. Processes of one
    training agree after every iteration, so that a signal to any of them ends all of them, after
    the same iteration. :class:`ResumableCheckpointHook` then saves. The exit code is 128 plus the
    signal's number: 143 for SIGTERM, 130 for SIGINT. A second SIGINT interrupts at once, without
    saving.

    Validation between iterations leaves the training's random states alone, so that a run that was
    interrupted before it goes on like one that was not.
    """

    # Before CheckpointHook, which is VERY_LOW.
    priority = 'LOW'

    def __init__(self) -> None:
        self.received = 0
        self._owner = 0
        self._before: dict[signal.Signals, Any] = {}
        self._training_state: dict = {}

    def before_train(self, runner: Any) -> None:
        """Take over the signals; only the main thread of a process may."""
        self.received, self._owner = 0, os.getpid()
        if threading.current_thread() is threading.main_thread():
            self._before = {name: signal.signal(name, self._receive) for name in SIGNALS}

    def _receive(self, number: int, frame: Any) -> None:
        if os.getpid() != self._owner:  # a process that was forked from this one
            return
        if number == signal.SIGINT and self.received == number:
            raise KeyboardInterrupt
        self.received = number

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: dict | None = None
    ) -> None:
        """Stop where any process received a signal."""
        received = torch.tensor(self.received)
        all_reduce(received, 'max')
        self.received = max(self.received, int(received))
        if self.received:
            name = signal.Signals(self.received).name
            runner.logger.warning(f'{name}: saving and ending after iteration {runner.iter + 1}')
            runner.train_loop.stop_training = True

    def before_val(self, runner: Any) -> None:
        """Note the random states that training goes on with."""
        self._training_state = random_state()

    def after_val(self, runner: Any) -> None:
        """Go on with them."""
        set_random_state(self._training_state)

    def after_run(self, runner: Any) -> None:
        """Give the signals back, and exit if there was one.

        Raises:
            SystemExit: A signal was received; with its exit code.
        """
        for name, handler in self._before.items():
            signal.signal(name, handler)
        self._before = {}
        if self.received:
            barrier()  # launchers end the others when the first process exits
            raise SystemExit(128 + self.received)
