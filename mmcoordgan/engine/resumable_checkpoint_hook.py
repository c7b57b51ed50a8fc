"""Checkpoints from which a training goes on exactly, and which an interruption cannot spoil."""

from __future__ import annotations

import glob
import os
from typing import Any

from mmengine.dist import all_gather, get_rank, get_world_size, is_main_process
from mmengine.hooks import CheckpointHook

from mmcoordgan.random_state import random_state, set_random_state
from mmcoordgan.registry import HOOKS

from .checkpoint_files import atomic_file


class CheckpointWriteError(OSError):
    """A checkpoint that could not be written."""


@HOOKS.register_module()
class ResumableCheckpointHook(CheckpointHook):
    """MMEngine's ``CheckpointHook``, whose checkpoints hold all that an exact resume needs.

    They also hold, as tensors, the random states of every process and the place in the data (the
    latter of :class:`~.ResumableTrainLoop`). Training resumed from one goes on as if it had never
    stopped, if as many processes resume as wrote it; if not, or if an older checkpoint lacks
    random states, a warning says so, and random states begin afresh.

    The order of writing is: the checkpoint (with ``backend='mmcoordgan_atomic'`` under another
    name first), then ``last_checkpoint``, which is replaced as a whole, and only then is the
    checkpoint removed that is one too many for ``max_keep_ckpts``. Whatever moment a run is
    killed at, and also where the disk is full, ``last_checkpoint`` names a complete file.
    What an interrupted write left behind is removed when the next run starts.

    A checkpoint is also saved whenever the training stops before its end, for example by
    :class:`InterruptionHook`.

    Args:
        kwargs: Of ``CheckpointHook``; ``by_epoch`` must be False.

    Raises:
        ValueError: ``by_epoch`` is not False.
    """

    keep_ckpt_ids: Any

    def __init__(self, by_epoch: bool = False, **kwargs: Any) -> None:
        if by_epoch:
            raise ValueError(
                f'{type(self).__name__} counts iterations: set by_epoch=False, or use '
                'CheckpointHook'
            )
        super().__init__(by_epoch=False, **kwargs)
        self._loaded: dict = {}
        self._resume_state: dict = {}

    # ------------------------------------------------------------------ resuming

    def after_load_checkpoint(self, runner: Any, checkpoint: dict) -> None:
        """Keep what :meth:`before_train` needs."""
        self._loaded = {k: checkpoint[k] for k in ('random_states', 'data') if k in checkpoint}

    def before_train(self, runner: Any) -> None:
        """Remove unfinished files; go on with the data and the random states of the checkpoint."""
        super().before_train(runner)
        if is_main_process():
            checkpoints = os.path.join(glob.escape(self.out_dir), self.filename_tmpl.format('*'))
            for name in (checkpoints, glob.escape(_pointer(runner))):
                for path in glob.glob(f'{name}.*.part'):
                    os.unlink(path)
        if runner.iter > 0:
            self._go_on(runner)
        self._loaded = {}

    def _go_on(self, runner: Any) -> None:
        data = self._loaded.get('data')
        if data and hasattr(runner.train_loop, 'go_to'):
            runner.train_loop.go_to(**data)
        states = self._loaded.get('random_states', [])
        # Last, because a data loader draws when it starts.
        if len(states) == get_world_size():
            set_random_state(states[get_rank()])
            return
        runner.logger.warning(
            f'The checkpoint holds random states of {len(states)} processes, and '
            f'{get_world_size()} resume: they begin afresh. Training goes on, but not exactly as '
            'it would have without the interruption.'
        )

    # ------------------------------------------------------------------ saving

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: dict | None = None
    ) -> None:
        """Save every ``interval`` iterations, after the last one, and where training stops."""
        regular = self.every_n_train_iters(runner, self.interval, self.save_begin)
        last = self.save_last and self.is_last_train_iter(runner)
        if regular or last or runner.train_loop.stop_training:
            runner.logger.info(f'Saving checkpoint at {runner.iter + 1} iterations')
            self._save_checkpoint(runner)

    def before_save_checkpoint(self, runner: Any, checkpoint: dict) -> None:
        """Add what was collected for this checkpoint."""
        checkpoint.update(self._resume_state)

    def _save_checkpoint_with_step(self, runner: Any, step: int, meta: dict) -> None:
        self.last_ckpt = self.file_backend.join_path(self.out_dir, self.filename_tmpl.format(step))
        info = {'last_ckpt': self.last_ckpt}
        kept = list(getattr(self, 'keep_ckpt_ids', ()))
        if self.max_keep_ckpts > 0:
            if step not in kept:
                kept.append(step)
            info['keep_ckpt_ids'] = kept
        runner.message_hub.update_info_dict(info)
        self._resume_state = _collect(runner, step)
        try:
            self._write(runner, step, meta)
        finally:
            self._resume_state = {}
        if self.max_keep_ckpts > 0:
            for old in kept[: -self.max_keep_ckpts]:
                self._remove(old)
            self.keep_ckpt_ids = kept[-self.max_keep_ckpts :]

    def _write(self, runner: Any, step: int, meta: dict) -> None:
        try:
            runner.save_checkpoint(
                self.out_dir,
                self.filename_tmpl.format(step),
                self.file_client_args,
                save_optimizer=self.save_optimizer,
                save_param_scheduler=self.save_param_scheduler,
                meta=meta,
                by_epoch=False,
                backend_args=self.backend_args,
                **self.args,
            )
            if is_main_process():
                with atomic_file(_pointer(runner)) as file:
                    file.write(str(self.last_ckpt).encode())
        except OSError as error:
            raise CheckpointWriteError(
                error.errno,
                f'checkpoint {self.last_ckpt} cannot be written ({error.strerror or error}). '
                'Those before it are as they were: make room, and go on with --resume',
            ) from error

    def _remove(self, step: int) -> None:
        path = self.file_backend.join_path(self.out_dir, self.filename_tmpl.format(step))
        if is_main_process() and self.file_backend.isfile(path):
            self.file_backend.remove(path)


def _pointer(runner: Any) -> str:
    """The file that names the last checkpoint."""
    return os.path.join(runner.work_dir, 'last_checkpoint')


def _collect(runner: Any, iteration: int) -> dict[str, Any]:
    """What the processes must know to go on at ``iteration``; a collective operation."""
    columns = {name: all_gather(value) for name, value in random_state().items()}
    states = [dict(zip(columns, row)) for row in zip(*columns.values())]
    collected: dict[str, Any] = {
        'random_states': [{k: v.cpu() for k, v in s.items()} for s in states]
    }
    if hasattr(runner.train_loop, 'data_state'):
        data = runner.train_loop.data_state(iteration)
        if data:
            collected['data'] = data
    return collected
