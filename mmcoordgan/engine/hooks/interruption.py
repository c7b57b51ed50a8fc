"""Signals that ask a training to end: save, and end."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from typing import Any

import torch
from mmengine.dist import all_reduce, barrier, is_main_process
from mmengine.hooks import Hook

from mmcoordgan.registry import HOOKS

from ..loop import WaitInterrupted, accumulates
from .checkpoint import CoordGANCheckpointHook

SIGNALS = (signal.SIGTERM, signal.SIGINT)


@HOOKS.register_module()
class InterruptionHook(Hook):
    """On SIGTERM or SIGINT, finish the iteration, save a checkpoint and exit.

    Job schedulers send SIGTERM before they take a machine back; SIGINT is Ctrl-C. A signal to any
    process ends all of them after the same iteration, and :class:`CoordGANCheckpointHook` saves.
    A process that waits for data does not wait any longer. The exit code is 143 for SIGTERM and
    130 for SIGINT. A second SIGINT interrupts at once, without saving.
    """

    # Before CoordGANCheckpointHook, which is LOWEST.
    priority = 'LOW'

    def __init__(self) -> None:
        self.received = 0
        self.agreed = 0
        self._owner = 0
        self._loop: Any = None
        self._before: dict[signal.Signals, Any] = {}

    def before_train(self, runner: Any) -> None:
        """Take over the signals; only the main thread of a process may."""
        self.received = self.agreed = 0
        self._owner, self._loop = os.getpid(), runner.train_loop
        if threading.current_thread() is threading.main_thread():
            self._before = {name: signal.signal(name, self._receive) for name in SIGNALS}

    def _receive(self, number: int, frame: Any) -> None:
        if os.getpid() != self._owner:  # a process that was forked from this one
            return
        if number == signal.SIGINT and self.received == number:
            raise KeyboardInterrupt
        again, self.received = self.received == number, number
        if not again and is_main_process():
            text = f'{signal.Signals(number).name}: finishing this iteration, then saving'
            os.write(2, f'\n{text}; Ctrl-C once more quits at once\n'.encode())
        self._loop.received = number
        # Gradients that are still being accumulated are worth a wait, but not for ever.
        if getattr(self._loop, 'waiting', False) and (again or self._loop.complete):
            self._loop.waiting = False
            raise WaitInterrupted(number)

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: dict | None = None
    ) -> None:
        """Stop where any process received a signal."""
        # A signal that arrives from here on counts after the next iteration, on all processes.
        received = torch.tensor(self.received)
        all_reduce(received, 'max')
        # Gradients that are still being accumulated are in no checkpoint.
        complete = runner.iter + 1 >= runner.max_iters or not accumulates(runner, runner.iter + 1)
        self.agreed = int(received) if complete else 0
        if self.agreed:
            runner.train_loop.stop_training = True
            saves = any(isinstance(hook, CoordGANCheckpointHook) for hook in runner.hooks)
            runner.logger.warning(
                f'{signal.Signals(self.agreed).name}: ending after iteration {runner.iter + 1}, '
                + ('saved; --resume goes on from there' if saves else 'WITHOUT a checkpoint')
            )

    def after_run(self, runner: Any) -> None:
        """Give the signals back, and exit if there was one."""
        for name, handler in self._before.items():
            signal.signal(name, handler)
        self._before = {}
        number = self.agreed or getattr(self._loop, 'interrupted', 0)
        if number:
            barrier()  # launchers end the others when the first process exits
            for worker in multiprocessing.active_children():  # a frozen one would be waited for
                worker.kill()
            raise SystemExit(128 + number)
