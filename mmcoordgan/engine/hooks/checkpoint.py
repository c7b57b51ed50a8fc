"""Checkpoints that a training goes on from exactly, and that nothing spoils."""

from __future__ import annotations

import glob
import os
import re
from collections import OrderedDict, deque
from typing import Any

from mmengine.dist import all_gather, get_rank, get_world_size, is_main_process
from mmengine.hooks import CheckpointHook
from mmengine.runner import BaseLoop, EpochBasedTrainLoop

from mmcoordgan.errors import UserError
from mmcoordgan.io.files import atomic_file
from mmcoordgan.io.plain import to_history, to_plain
from mmcoordgan.random_state import random_state, set_random_state
from mmcoordgan.registry import HOOKS
from mmcoordgan.work_dir import POINTER, intact_checkpoint

from ..fit import READ_ELSEWHERE, TRAINING_ONLY, model_misfits, resume_misfits, steps_on_cpu


@HOOKS.register_module()
class CoordGANCheckpointHook(CheckpointHook):
    """MMEngine's ``CheckpointHook`` with exact resume, plain contents, bounded size, safe files.

    * Checkpoints also hold, as tensors, the random states of every process and the place in the
      data (the latter of :class:`~.ResumableTrainLoop`). A resumed training goes on as if it had
      never stopped, if as many processes resume as wrote the checkpoint. A warning says where
      random states begin afresh. Validation leaves them as they were.
    * They hold tensors and plain Python values only, so that ``torch.load(weights_only=True)``
      reads them. NumPy arrays become tensors; functions in the state of schedulers are left out.
    * Of everything that is logged, the newest ``max_history`` values are kept in memory and in
      checkpoints. The log file has them all.
    * A file gets its name when it is complete. Then ``last_checkpoint`` in the work dir is
      replaced, and only then is the checkpoint removed that is one too many. Whenever a run is
      killed, and also if the disk is full, ``last_checkpoint`` names a complete file.
    * Only files that this run wrote into its own folder are ever removed, whatever the checkpoint
      says that it goes on from.
    * A checkpoint that does not fit is refused: for a test, if it leaves weights as they were
      initialised; for resuming, also if optimizers belong to other parameters. Resuming from one
      without optimizers warns.

    A checkpoint is also saved when training stops before its end, by :class:`InterruptionHook` or
    MMEngine's ``EarlyStoppingHook``, unless ``save_last=False``.

    Args:
        interval: Iterations between checkpoints. Default: -1, none but the last.
        max_history: Number of values kept of each loss, learning rate and time, at least 1. Raised
            to the largest window of the log.
        backend_args: Of the file backend. Default: one that writes complete files only.
        kwargs: Of MMEngine's ``CheckpointHook``. ``by_epoch`` must be False.

    Raises:
        UserError: ``by_epoch`` is True, or ``max_history`` is smaller than 1.
    """

    # Last, to see what other hooks put into a checkpoint, and whether they stop the training.
    priority = 'LOWEST'
    keep_ckpt_ids: Any

    _default_greater_keys = ['iou', 'pck', 'auc', *CheckpointHook._default_greater_keys]
    _default_less_keys = ['error', 'fid', 'swap', *CheckpointHook._default_less_keys]

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
        if max_history < 1:
            raise UserError(
                f'{type(self).__name__}: max_history must be at least 1, got {max_history}'
            )
        backend_args = backend_args or dict(backend='mmcoordgan_atomic')
        super().__init__(interval, by_epoch=False, backend_args=backend_args, **kwargs)
        self.max_history = max_history
        self._loaded: dict = {}
        self._resume_state: dict = {}
        self._training_state: dict = {}
        self._saved_at = 0

    # ------------------------------------------------------------------ loading

    def before_run(self, runner: Any) -> None:
        """Refuse epochs. Find the checkpoint to resume from, if the config leaves that open."""
        if isinstance(runner._train_loop, EpochBasedTrainLoop):
            raise UserError(
                'training counts iterations, not epochs: use '
                "train_cfg = dict(type='ResumableTrainLoop', max_iters=...)"
            )
        if runner._resume and runner._load_from is None:
            runner._load_from, passed_over = intact_checkpoint(runner.work_dir)
            for reason in passed_over:
                runner.logger.warning(reason)

    def after_load_checkpoint(self, runner: Any, checkpoint: dict) -> None:
        """Refuse what does not fit; keep what :meth:`before_train` needs.

        Raises:
            UserError: The checkpoint belongs to another model or training.
        """
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
        meta = checkpoint.get('meta')
        # MMEngine would run this text as a config, to compare numbers of GPUs.
        if isinstance(meta, dict) and meta.pop('config', None) is not None:
            runner.logger.warning(f'meta.config of the checkpoint {source} is ignored')
        hub = checkpoint.get('message_hub')
        if isinstance(hub, dict) and isinstance(hub.get('log_scalars'), dict):
            scalars = hub['log_scalars'].items()
            hub['log_scalars'] = OrderedDict((name, to_history(value)) for name, value in scalars)
        self._loaded = {k: checkpoint[k] for k in ('random_states', 'data') if k in checkpoint}

    def before_train(self, runner: Any) -> None:
        """Remove unfinished files; go on with the data and the random states of the checkpoint."""
        claims = self._take_claims(runner)
        super().before_train(runner)
        if runner.iter > 0:
            self._take_over(runner, claims)
            self._go_on(runner)
        processor = runner.log_processor
        windows = [processor.window_size, *(c.get('window_size') for c in processor.custom_cfg)]
        self.max_history = max(self.max_history, *(w for w in windows if isinstance(w, int)))
        self._loaded, self._saved_at = {}, runner.iter
        if is_main_process():
            checkpoints = os.path.join(glob.escape(str(self.out_dir)), self._name('*'))
            for name in (checkpoints, glob.escape(_pointer(runner))):
                for path in glob.glob(f'{name}.*.part'):
                    os.unlink(path)

    def _take_claims(self, runner: Any) -> dict[str, Any]:
        """Take what a checkpoint says about files out of the message hub, before it is believed."""
        info = runner.message_hub.runtime_info
        names = [name for name in info if name == 'keep_ckpt_ids' or name.startswith('best_ckpt')]
        return {name: info.pop(name) for name in names}

    def _take_over(self, runner: Any, claims: dict[str, Any]) -> None:
        """Take over the older files of this run, if it goes on in the folder that they are in."""
        source = os.path.abspath(os.path.expanduser(str(runner._load_from)))
        if os.path.dirname(source) != os.path.abspath(self.out_dir):
            return
        kept = claims.get('keep_ckpt_ids')
        if self.max_keep_ckpts > 0 and isinstance(kept, (list, tuple)):
            kept = [step for step in kept if type(step) is int]
            for old in kept[: -self.max_keep_ckpts]:
                self._remove(runner, old)
            self.keep_ckpt_ids = deque(kept[-self.max_keep_ckpts :], self.max_keep_ckpts)
        for name, path in claims.items():
            key = name[len('best_ckpt_') :] or (self.key_indicators[0] if self.save_best else '')
            if not self.save_best or key not in self.key_indicators:
                continue
            own = re.escape(f'best_{key}_'.replace('/', '_')) + self._name(r'\d+', re.escape)
            if re.fullmatch(own, os.path.basename(str(path))):
                path = os.path.join(self.out_dir, os.path.basename(str(path)))
                runner.message_hub.update_info(name, path)
                if len(self.key_indicators) == 1:
                    self.best_ckpt_path = path
                else:
                    self.best_ckpt_path_dict[key] = path

    def _name(self, number: str, escape: Any = glob.escape) -> str:
        """The pattern of checkpoints' names, with a pattern in place of the number."""
        before, after = re.split(r'\{[^}]*\}', self.filename_tmpl, maxsplit=1)
        return f'{escape(before)}{number}{escape(after)}'

    def _go_on(self, runner: Any) -> None:
        states = self._loaded.get('random_states', [])
        try:
            data = self._loaded.get('data')
            if data and hasattr(runner.train_loop, 'go_to'):
                runner.train_loop.go_to(**data)
            # Last, because a data loader draws when it starts.
            if len(states) == get_world_size():
                set_random_state(states[get_rank()])
                return
        except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
            raise UserError(
                f'{runner._load_from}: its random states or its place in the data make no sense '
                f'({type(error).__name__}: {error})'
            ) from error
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
        for history in runner.message_hub.log_scalars.values():
            history.max_length = min(history.max_length, self.max_history)
        regular = self.every_n_train_iters(runner, self.interval, self.save_begin)
        ends = self.is_last_train_iter(runner) or runner.train_loop.stop_training
        if regular or (self.save_last and ends):
            self._save(runner, runner.iter + 1)

    def before_val(self, runner: Any) -> None:
        """Note the random states that training goes on with."""
        self._training_state = random_state()

    def after_val(self, runner: Any) -> None:
        """Go on with them."""
        set_random_state(self._training_state)
        self._training_state = {}

    def after_val_epoch(self, runner: Any, metrics: dict | None = None) -> None:
        """Save the best checkpoint.

        Raises:
            UserError: ``save_best`` names a metric that there is not.
        """
        wanted = self.key_indicators if self.save_best else []
        missing = [key for key in wanted if key != 'auto' and key not in (metrics or {})]
        if missing:
            raise UserError(
                f'{type(self).__name__}: there is no metric {missing[0]} for save_best, only '
                f'{", ".join(metrics or {})}'
            )
        super().after_val_epoch(runner, metrics)

    def after_train(self, runner: Any) -> None:
        """Save what has not been saved yet, as when validation stops the training."""
        if self.save_last and runner.iter > self._saved_at:
            self._save(runner, runner.iter)
        super().after_train(runner)

    def before_save_checkpoint(self, runner: Any, checkpoint: dict) -> None:
        """Add what was collected for this checkpoint, and make it plain.

        Raises:
            TypeError: A value cannot be stored as plain data; the message names its place.
        """
        checkpoint.update(self._resume_state)
        if 'param_schedulers' in checkpoint:
            checkpoint['param_schedulers'] = _without_functions(checkpoint['param_schedulers'])
        for key, value in checkpoint.items():
            checkpoint[key] = to_plain(value, f'checkpoint[{key!r}]')

    def _save(self, runner: Any, iteration: int) -> None:
        runner.logger.info(f'Saving checkpoint at {iteration} iterations')
        self._save_checkpoint_with_step(runner, iteration, dict(epoch=runner.epoch, iter=iteration))

    def _save_checkpoint_with_step(self, runner: Any, step: int, meta: dict) -> None:
        self.last_ckpt = self.file_backend.join_path(self.out_dir, self.filename_tmpl.format(step))
        kept = list(getattr(self, 'keep_ckpt_ids', ()))
        if self.max_keep_ckpts > 0:
            if step not in kept:
                kept.append(step)
            runner.message_hub.update_info('keep_ckpt_ids', kept)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        self._resume_state = self._collect(runner, step)
        try:
            self._write(runner, step, meta)
        finally:
            self._resume_state = {}
        self._saved_at = step
        if self.max_keep_ckpts > 0:
            for old in kept[: -self.max_keep_ckpts]:
                self._remove(runner, old)
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
                pointer = _pointer(runner)
                with atomic_file(pointer) as file:
                    folder = os.path.dirname(os.path.abspath(pointer))
                    file.write(os.path.relpath(str(self.last_ckpt), folder).encode())
        except OSError as error:
            raise UserError(
                f'checkpoint {self.last_ckpt} cannot be written ({error.strerror or error}). '
                'Those before it are as they were: make room, and go on with --resume',
                exit_code=1,
            ) from error

    def _remove(self, runner: Any, step: int) -> None:
        path = self.file_backend.join_path(self.out_dir, self.filename_tmpl.format(step))
        if is_main_process() and self.file_backend.isfile(path):
            try:
                self.file_backend.remove(path)
            except OSError as error:
                runner.logger.warning(f'the old checkpoint {path} cannot be removed: {error}')

    def _collect(self, runner: Any, iteration: int) -> dict[str, Any]:
        """What the processes must know to go on at ``iteration``; a collective operation."""
        state = self._training_state or random_state()
        columns = {name: all_gather(value) for name, value in state.items()}
        states = [dict(zip(columns, row)) for row in zip(*columns.values())]
        collected: dict[str, Any] = {
            'random_states': [{k: v.cpu() for k, v in s.items()} for s in states]
        }
        if hasattr(runner.train_loop, 'data_state'):
            data = runner.train_loop.data_state(iteration)
            if data:
                collected['data'] = data
        return collected


def _pointer(runner: Any) -> str:
    """The file that names the last checkpoint."""
    return os.path.join(runner.work_dir, POINTER)


def _without_functions(states: Any) -> Any:
    """Leave functions, which a new scheduler has anyway, out of the states of schedulers."""
    if isinstance(states, dict):
        return {k: _without_functions(v) for k, v in states.items() if not callable(v)}
    if isinstance(states, list):
        return [_without_functions(state) for state in states]
    return states
