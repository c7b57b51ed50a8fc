"""Correspondence maps of a whole test in one file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import IO, Any

import mmengine
import numpy as np
from mmengine.dist import barrier, get_dist_info
from mmengine.hooks import Hook
from mmengine.structures import BaseDataElement

from mmcoordgan.evaluation.examples import sample_index
from mmcoordgan.io.files import atomic_file
from mmcoordgan.registry import HOOKS


@HOOKS.register_module()
class PredictionHook(Hook):
    """Write the predicted maps of a test to a NumPy archive, without pickled objects.

    The archive holds, ordered by ``sample_idx``: ``sample_idx`` (N,) int64; ``img_path`` (N,)
    text, empty where an image has no file; and for each of ``keys`` that the model predicts, an
    array (N, ...) float32. Every image appears once, whatever the number of processes. Processes
    exchange their parts through files beside ``path``, which therefore must lie on a file system
    that all of them see. The parts go when the archive is complete; until then an archive of before
    stays.

    Args:
        path: A file whose name ends in ``.npz``.
        keys: Tensors of the predictions to keep.

    Raises:
        ValueError: ``path`` does not end in ``.npz``.
    """

    def __init__(self, path: str, keys: Sequence[str] = ('coords', 'refined_coords')) -> None:
        if not str(path).endswith('.npz'):
            raise ValueError(f'{type(self).__name__}: path must end in .npz, got {path}')
        self.path = str(path)
        self.keys = tuple(keys)
        self._rows: list[dict[str, Any]] = []

    def before_test_epoch(self, runner: Any) -> None:
        """Start afresh."""
        self._rows = []

    def after_test_iter(
        self,
        runner: Any,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Sequence[BaseDataElement] | None = None,
    ) -> None:
        """Keep the maps of a batch."""
        for output in outputs or ():
            row: dict[str, Any] = {'sample_idx': sample_index(output.metainfo)}
            row['img_path'] = str(output.metainfo.get('img_path') or '')
            for key in self.keys:
                if key in output:
                    row[key] = getattr(output, key).detach().float().cpu().numpy()
            self._rows.append(row)

    def after_test_epoch(self, runner: Any, metrics: dict | None = None) -> None:
        """Write this process's part; the main process puts the parts together."""
        rank, world_size = get_dist_info()
        mmengine.mkdir_or_exist(os.path.dirname(os.path.abspath(self.path)))
        with open(self._part(rank), 'wb') as file:
            _save(file, _columns(self._rows))
        self._rows = []
        barrier()
        if rank != 0:
            return
        parts = []
        for other in range(world_size):
            with np.load(self._part(other), allow_pickle=False) as part:
                parts.append(dict(part))
        joined = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
        _, first = np.unique(joined['sample_idx'], return_index=True)  # sorted
        samples = len(runner.test_dataloader.dataset)
        if len(first) < samples:
            runner.logger.warning(
                f'{self.path} holds maps of {len(first)} of {samples} samples: their sample_idx '
                'repeat, or the test did not see all. Join data sets with mmcoordgan.ConcatDataset'
            )
        with atomic_file(self.path) as file:
            _save(file, {key: values[first] for key, values in joined.items()})
        for other in range(world_size):
            os.unlink(self._part(other))

    def _part(self, rank: int) -> str:
        return f'{self.path}.rank{rank}.part'


def _columns(rows: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    return {key: np.array([row[key] for row in rows]) for key in (rows[0] if rows else ())}


def _save(file: IO[bytes], arrays: dict[str, np.ndarray]) -> None:
    np.savez(file, **arrays)  # type: ignore[arg-type]
