"""The training loop: resumes at any iteration without reading earlier data."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress
from typing import Any

import torch
from mmengine.dist import all_reduce, barrier, get_world_size
from mmengine.optim import OptimWrapperDict
from mmengine.runner import IterBasedTrainLoop

from mmcoordgan.datasets import ResumableSampler
from mmcoordgan.models.finite import NonFiniteError
from mmcoordgan.registry import LOOPS


class WaitInterrupted(Exception):
    """Raised by a signal while the training waits for data."""


def outlive_signals(worker_id: int, trainer: int) -> None:
    """Let a worker of the data loader ignore signals that are not from the process ``trainer``.

    Slurm and terminals signal every process, and a worker that dies ends the training unsaved.
    """

    def obey() -> None:
        while signal.sigwaitinfo([signal.SIGTERM]).si_pid != trainer:
            pass
        os._exit(0)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, 'sigwaitinfo'):  # not on macOS
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        threading.Thread(target=obey, daemon=True).start()


@LOOPS.register_module()
class ResumableTrainLoop(IterBasedTrainLoop):
    """MMEngine's ``IterBasedTrainLoop``, with its arguments, that resumes exactly, and at once.

    With :class:`~.ResumableSampler`, a resumed run begins to load where it was interrupted, and
    random augmentations are seeded for each sample (:class:`~.SeededDataset`, unless the data
    loader is built already). With another sampler it reads through the data again.

    A loss or gradient that is not finite, where the model does not skip it, ends the training
    after the weights have been saved as ``nonfinite_iter_<iteration>.pth`` in the work dir, which
    ``--resume`` does not pick up.
    """

    dataloader_iterator: Any
    waiting = False  # Whether the training waits for data
    received = 0  # The signal that this process received
    interrupted = 0  # The signal that ends the training, on all processes

    def __init__(self, runner: Any, dataloader: Any, max_iters: int, **kwargs: Any) -> None:
        if isinstance(dataloader, dict):
            wrapped = dict(type='mmcoordgan.SeededDataset', dataset=dataloader['dataset'])
            dataloader = {**dataloader, 'dataset': wrapped}
            if dataloader.get('num_workers'):
                obedient = dict(type=outlive_signals, trainer=os.getpid())
                dataloader.setdefault('worker_init_fn', obedient)
        super().__init__(runner, dataloader, max_iters, **kwargs)
        self._origin = 0, 0  # an iteration, and the position that its samples begin at

    def data_state(self, iteration: int) -> dict[str, int]:
        """Where the data of ``iteration`` begins, for a checkpoint; empty for other samplers."""
        sampler = self.dataloader.sampler
        if not isinstance(sampler, ResumableSampler):
            return {}
        first, position = self._origin
        samples = self.dataloader.batch_sampler.batch_size * get_world_size()
        return {'seed': sampler.seed, 'position': position + (iteration - first) * samples}

    def go_to(self, seed: int, position: int) -> None:
        """Let the current iteration be the one whose data begins at ``position``."""
        sampler = self.dataloader.sampler
        if not isinstance(sampler, ResumableSampler):
            return
        sampler.seed, sampler.start = seed, position
        self._origin = self._iter, position
        self.dataloader_iterator = None  # ends the workers that have begun elsewhere
        self.dataloader_iterator = iter(self.dataloader)

    def run(self) -> Any:
        """Train; the workers of the data loader end with it."""
        runner = self.runner
        runner.call_hook('before_train')
        runner.call_hook('before_train_epoch')
        if self._iter > 0 and self._origin[0] != self._iter:
            runner.logger.warning(f'Reading through the data of {self._iter} iterations again')
            for _ in range(self._iter):
                next(self.dataloader_iterator)
        while self._iter < self._max_iters and not self.stop_training:
            runner.model.train()
            data_batch = self._next_batch()
            self._agree(data_batch is None)
            if self.stop_training:
                break
            self.run_iter(data_batch)
            self._agree(self.complete or self._iter >= self._max_iters)
            self._decide_current_val_interval()
            due = self._iter % self.val_interval == 0 or self._iter == self._max_iters
            if runner.val_loop and due and self._iter >= self.val_begin and not self.stop_training:
                runner.val_loop.run()
        runner.call_hook('after_train_epoch')
        runner.call_hook('after_train')
        self.dataloader_iterator = self.dataloader._iterator = None  # also persistent workers
        return runner.model

    @property
    def complete(self) -> bool:
        """Whether the gradients of all iterations so far have been applied."""
        wrapper = self.runner.optim_wrapper
        wrappers = wrapper.values() if isinstance(wrapper, OptimWrapperDict) else [wrapper]
        return not any(self._iter % getattr(w, '_accumulative_counts', 1) for w in wrappers)

    def _next_batch(self) -> Any:
        """The next batch, or None if a signal came first."""
        with suppress(WaitInterrupted):
            self.waiting = True
            # A signal during a validation, or while processes agree, has interrupted no wait.
            batch = None if self.received and self.complete else next(self.dataloader_iterator)
            self.waiting = False
            return batch

    def _agree(self, ready: bool) -> None:
        """End the training on all processes if one that is ``ready`` received a signal."""
        received = torch.tensor(self.received if ready else 0)
        all_reduce(received, 'max')
        if received:
            self.interrupted, self.stop_training = int(received), True
            name = signal.Signals(self.interrupted).name
            self.runner.logger.warning(f'{name}: ending after iteration {self._iter}')

    def run_iter(self, data_batch: Any) -> None:
        """One iteration; NonFiniteError names the checkpoint that was saved."""
        try:
            super().run_iter(data_batch)
        except NonFiniteError as error:
            name, folder = f'nonfinite_iter_{self._iter}.pth', self.runner.work_dir
            atomic = dict(backend='mmcoordgan_atomic')
            self.runner.save_checkpoint(folder, name, by_epoch=False, backend_args=atomic)
            barrier()  # the first process to end may end the others
            raise NonFiniteError(
                f'{error} The weights as they were before that step are in {folder}/{name}, which '
                '--resume does not pick up.'
            ) from None
