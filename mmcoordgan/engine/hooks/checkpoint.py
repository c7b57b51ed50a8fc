"""Checkpoints: exact resume, plain contents, safe files."""

from __future__ import annotations

import glob
import os
import re
from collections import OrderedDict
from typing import Any

from mmengine.dist import all_gather_object, get_rank, get_world_size, is_main_process
from mmengine.hooks import CheckpointHook
from mmengine.runner import BaseLoop

from mmcoordgan.errors import UserError
from mmcoordgan.io.files import AtomicLocalBackend, atomic_file
from mmcoordgan.io.plain import to_history, to_plain
from mmcoordgan.io.work_dir import POINTER, intact_checkpoint
from mmcoordgan.registry import HOOKS
from mmcoordgan.utils.random_state import random_state, set_random_state

from ..fit import READ_ELSEWHERE, TRAINING_ONLY, model_misfits, resume_misfits, steps_on_cpu


@HOOKS.register_module()
class CoordGANCheckpointHook(CheckpointHook):
    """MMEngine's ``CheckpointHook`` with exact resume, plain contents, bounded size, safe files.

    * Checkpoints also hold the random states of every process and the place in the data, for
      :class:`~.ResumableTrainLoop` and :class:`~mmcoordgan.datasets.ResumableSampler`. A resumed
      training ends as if it had never stopped, if as many processes resume as wrote the checkpoint;
      otherwise random states begin afresh, with a warning. Validation leaves them as they were.
    * ``torch.load(weights_only=True)`` reads them.
    * The newest ``max_history`` values of everything that is logged are kept, in memory and in
      checkpoints. The log file has them all.
    * A file gets its name when it is complete. Then ``last_checkpoint`` in the work dir is
      replaced, and only then is the superfluous checkpoint removed.
    * Only files of its own names in its own folder are ever removed, whatever a checkpoint says.
    * A checkpoint that does not fit is refused: for a test, if it leaves weights as they were
      initialised; for resuming, also if optimizers belong to other parameters.

    A checkpoint is also saved when training stops before its end, by :class:`InterruptionHook` or
    MMEngine's ``EarlyStoppingHook``, unless ``save_last=False``.

    Args:
        interval: Iterations between checkpoints. Default: -1, none but the last.
        max_history: Number of values kept, at least the largest window of the log.
        backend_args: Of the file backend. Default: one that writes complete files only.
        kwargs: Of MMEngine's ``CheckpointHook``. ``by_epoch`` must be False.
    """

    # Last, to see what other hooks put into a checkpoint.
    priority = 'LOWEST'
    keep_ckpt_ids: Any

    _default_greater_keys = [
        *('iou', 'pck', 'auc', 'structure_swap'),
        *CheckpointHook._default_greater_keys,
    ]
    _default_less_keys = ['error', 'nme', 'fid', 'swap', *CheckpointHook._default_less_keys]

    def __init__(
        self,
        interval: int = -1,
        by_epoch: bool = False,
        max_history: int = 1000,
        backend_args: dict | None = None,
        **kwargs: Any,
    ) -> None:
        if by_epoch:
            raise UserError(f'{type(self).__name__} counts iterations: set by_epoch=False')
        backend_args = backend_args or dict(backend='mmcoordgan_atomic')
        super().__init__(interval, by_epoch=False, backend_args=backend_args, **kwargs)
        self.max_history = max_history
        self._loaded: dict = {}
        self._resume_state: dict = {}
        self._training_state: dict = {}
        self._saved_at = 0

    # ------------------------------------------------------------------ loading

    def before_run(self, runner: Any) -> None:
        """Find the checkpoint to resume from, if the config leaves that open."""
        if runner._resume and runner._load_from is None:
            runner._load_from, passed_over = intact_checkpoint(runner.work_dir)
            for reason in passed_over:
                runner.logger.warning(reason)

    def after_load_checkpoint(self, runner: Any, checkpoint: dict) -> None:
        """Refuse what does not fit; keep what :meth:`before_train` needs."""
        source = getattr(runner, '_load_from', None) or 'the checkpoint'
        reasons: list[str] = []
        if runner._resume:
            reasons += model_misfits(runner.model, checkpoint, READ_ELSEWHERE)
            reasons += resume_misfits(checkpoint, runner.optim_wrapper, runner.param_schedulers)
        elif not isinstance(runner._train_loop, BaseLoop):  # not a training that starts from it
            reasons += model_misfits(runner.model, checkpoint, TRAINING_ONLY)
        if reasons:
            model = type(getattr(runner.model, 'module', runner.model)).__name__
            raise UserError(
                f'{source} does not fit the model {model} of the config: {"; ".join(reasons)}'
            )
        if runner._resume and 'optimizer' not in checkpoint:
            runner.logger.warning(f'{source} holds no optimizers: they start afresh')
        steps_on_cpu(checkpoint.get('optimizer'))
        meta, hub = checkpoint.get('meta'), checkpoint.get('message_hub')
        # MMEngine would run this text as a config, to compare numbers of GPUs.
        if isinstance(meta, dict) and meta.pop('config', None) is not None:
            runner.logger.warning(f'meta.config of the checkpoint {source} is ignored')
        if isinstance(hub, dict) and isinstance(hub.get('log_scalars'), dict):
            scalars = hub['log_scalars'].items()
            hub['log_scalars'] = OrderedDict((name, to_history(value)) for name, value in scalars)
        self._loaded = {k: checkpoint[k] for k in ('random_states', 'data') if k in checkpoint}

    def before_train(self, runner: Any) -> None:
        """Remove unfinished files; restore the place in the data and the random states."""
        self._check_claims(runner)
        super().before_train(runner)
        if runner.iter > 0:
            self._restore(runner)
        self._loaded, self._saved_at = {}, runner.iter
        if is_main_process():
            pattern = re.sub(r'\{[^}]*\}', '*', self.filename_tmpl)
            for folder, name in ((str(self.out_dir), pattern), (runner.work_dir, POINTER)):
                for path in glob.glob(os.path.join(glob.escape(folder), f'{name}.*.part')):
                    AtomicLocalBackend().remove(path)

    def _check_claims(self, runner: Any) -> None:
        """Believe the names of older files in a checkpoint only of its own folder."""
        info = runner.message_hub.runtime_info
        folder = os.path.dirname(os.path.abspath(os.path.expanduser(str(runner._load_from))))
        own = folder == os.path.abspath(runner.work_dir)
        for name in [n for n in info if n == 'keep_ckpt_ids' or n.startswith('best_')]:
            value = info.pop(name)
            if own and name == 'keep_ckpt_ids':
                info[name] = [step for step in value if type(step) is int]
            elif name.startswith('best_score') and isinstance(value, (int, float)):
                info[name] = value
            elif own and os.path.basename(str(value)).startswith('best_'):
                path = os.path.join(folder, os.path.basename(str(value)))
                if os.path.isfile(path):
                    info[name] = path

    def _restore(self, runner: Any) -> None:
        states = self._loaded.get('random_states', [])
        data = self._loaded.get('data', {})
        try:
            if data and hasattr(runner.train_loop, 'go_to'):
                if any(type(place) is not int or place < 0 for place in data.values()):
                    raise ValueError(data)
                runner.train_loop.go_to(**data)
            # Last, because a data loader draws when it starts.
            if len(states) == get_world_size() and 'python_gauss' not in states[0]:  # as of old
                set_random_state(states[get_rank()])
                return
        except Exception as error:  # malformed states can raise anything
            raise UserError(
                f'{runner._load_from} has invalid random states or an invalid place in the data '
                f'({type(error).__name__}: {error})'
            ) from error
        runner.logger.warning(
            f'The checkpoint holds random states of {len(states)} processes, and '
            f'{get_world_size()} resume: they begin afresh, and the resume is not exact.'
        )

    # ------------------------------------------------------------------ saving

    def after_train_iter(self, runner: Any, *_: Any, **__: Any) -> None:
        for history in runner.message_hub.log_scalars.values():
            history.max_length = min(history.max_length, self.max_history)
        regular = self.every_n_train_iters(runner, self.interval, self.save_begin)
        if regular or (self.save_last and self.is_last_train_iter(runner)):
            self._save(runner, runner.iter + 1)

    def before_val(self, runner: Any) -> None:
        self._training_state = random_state()

    def after_val(self, runner: Any) -> None:
        set_random_state(self._training_state)
        self._training_state = {}

    def after_train_epoch(self, runner: Any) -> None:
        """Save what has not been saved yet, where a signal or a validation stops the training."""
        if self.save_last and runner.iter > self._saved_at:
            self._save(runner, runner.iter)

    def before_save_checkpoint(self, runner: Any, checkpoint: dict) -> None:
        """Add the states of all processes, and make everything plain."""
        checkpoint.update(self._resume_state)
        self._resume_state = {}
        if 'param_schedulers' in checkpoint:
            checkpoint['param_schedulers'] = _without_functions(checkpoint['param_schedulers'])
        for key, value in checkpoint.items():
            checkpoint[key] = to_plain(value, f'checkpoint[{key!r}]')

    def _save(self, runner: Any, iteration: int) -> None:
        runner.logger.info(f'Saving checkpoint at {iteration} iterations')
        self._save_checkpoint_with_step(runner, iteration, dict(epoch=runner.epoch, iter=iteration))

    def _save_checkpoint_with_step(self, runner: Any, step: int, meta: dict) -> None:
        self.last_ckpt = self._path(step)
        kept = list(getattr(self, 'keep_ckpt_ids', ()))
        if self.max_keep_ckpts > 0:
            if step not in kept:
                kept.append(step)
            runner.message_hub.update_info('keep_ckpt_ids', kept)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        # Of all processes; only the first one saves.
        states = all_gather_object(self._training_state or random_state())
        self._resume_state = {'random_states': states}
        if hasattr(runner.train_loop, 'data_state'):
            self._resume_state['data'] = runner.train_loop.data_state(step)
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
                with atomic_file(os.path.join(runner.work_dir, POINTER)) as file:
                    file.write(os.path.relpath(self.last_ckpt, runner.work_dir).encode())
        except OSError as error:
            raise UserError(
                f'checkpoint {self.last_ckpt} cannot be written ({error.strerror or error}). '
                'Older checkpoints are intact: free some space and use --resume',
                exit_code=1,
            ) from error
        self._saved_at = step
        if self.max_keep_ckpts > 0:
            for old in kept[: -self.max_keep_ckpts]:
                if is_main_process() and self.file_backend.isfile(self._path(old)):
                    self.file_backend.remove(self._path(old))
            self.keep_ckpt_ids = kept[-self.max_keep_ckpts :]

    def _path(self, step: int) -> str:
        return str(self.file_backend.join_path(self.out_dir, self.filename_tmpl.format(step)))


def _without_functions(states: Any) -> Any:
    """Leave functions, which a new scheduler has anyway, out of the states of schedulers."""
    if isinstance(states, dict):
        return {k: _without_functions(v) for k, v in states.items() if not callable(v)}
    return [_without_functions(s) for s in states] if isinstance(states, list) else states
