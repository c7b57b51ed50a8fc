"""Signals that ask a training to end: save, and end."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from typing import Any

from mmengine.dist import barrier, is_main_process
from mmengine.hooks import Hook

from mmcoordgan.registry import HOOKS

from ..loop import ResumableTrainLoop, WaitInterrupted

SIGNALS = (signal.SIGTERM, signal.SIGINT)


@HOOKS.register_module()
class InterruptionHook(Hook):
    """On SIGTERM or SIGINT, finish the iteration, save a checkpoint and exit.

    Job schedulers send SIGTERM before they take a machine back; SIGINT is Ctrl-C.
    :class:`~mmcoordgan.engine.ResumableTrainLoop`, which this hook needs, ends all processes after
    the same iteration and no longer waits for data; :class:`CoordGANCheckpointHook` saves. The exit
    code is 143 for SIGTERM and 130 for SIGINT. A second SIGINT interrupts at once, without saving.
    """

    def __init__(self) -> None:
        self._owner = 0
        self._loop: Any = None
        self._before: dict[signal.Signals, Any] = {}

    def before_train(self, runner: Any) -> None:
        """Take over the signals; only the main thread of a process may."""
        self._owner, self._loop = os.getpid(), runner.train_loop
        in_main = threading.current_thread() is threading.main_thread()
        if in_main and isinstance(self._loop, ResumableTrainLoop):
            self._before = {name: signal.signal(name, self._receive) for name in SIGNALS}

    def _receive(self, number: int, frame: Any) -> None:
        if os.getpid() != self._owner:  # a process that was forked from this one
            return
        loop = self._loop
        again = loop.received == number
        loop.received = number
        if again and number == signal.SIGINT:
            raise KeyboardInterrupt
        if not again and is_main_process():
            text = f'{signal.Signals(number).name}: finishing this iteration, then saving'
            os.write(2, f'\n{text}; Ctrl-C once more quits at once\n'.encode())
        # Wait for gradients that are still being accumulated, unless the signal comes again.
        if loop.waiting and (again or loop.complete):
            loop.waiting = False
            raise WaitInterrupted

    def after_run(self, runner: Any) -> None:
        """Give the signals back, and exit if there was one."""
        for name, handler in self._before.items():
            signal.signal(name, handler)
        self._before = {}
        if number := getattr(self._loop, 'interrupted', 0):
            barrier()  # launchers end the others when the first process exits
            for worker in multiprocessing.active_children():  # a frozen one would block the exit
                worker.kill()
            raise SystemExit(128 + number)
