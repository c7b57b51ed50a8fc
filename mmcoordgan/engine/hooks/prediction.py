"""Correspondence maps of a whole test in one file."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
from mmengine.dist import collect_results
from mmengine.hooks import Hook

from mmcoordgan.evaluation.examples import sample_index
from mmcoordgan.io.files import atomic_file
from mmcoordgan.registry import HOOKS


@HOOKS.register_module()
@dataclass(eq=False)
class PredictionHook(Hook):
    """Write the predicted maps of a test to ``path``, a .npz archive without pickled objects.

    The archive holds, ordered by ``sample_idx``: ``sample_idx`` (N,) int64; ``img_path`` (N,)
    text, empty where an image has no file; and ``coords`` and ``refined_coords`` (N, 2, h, w)
    float32, where the model predicts them. Every image appears once.
    """

    path: str

    def before_test_epoch(self, runner: Any) -> None:
        self._rows: list[dict[str, Any]] = []

    def after_test_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        for output in outputs or ():
            path = str(output.metainfo.get('img_path') or '')
            row: dict[str, Any] = dict(sample_idx=sample_index(output.metainfo), img_path=path)
            for key in ('coords', 'refined_coords'):
                if key in output:
                    row[key] = getattr(output, key).detach().float().cpu().numpy()
            self._rows.append(row)

    def after_test_epoch(self, runner: Any, metrics: dict | None = None) -> None:
        """Collect the maps of all processes; the main process writes them."""
        collected = collect_results(self._rows, sys.maxsize, device='cpu')
        if collected is None:
            return
        rows = {row['sample_idx']: row for row in collected}
        samples = len(runner.test_dataloader.dataset)
        if len(rows) < samples:
            runner.logger.warning(
                f'{self.path} holds maps of {len(rows)} of {samples} samples: their sample_idx '
                'repeat, or the test did not see all. Join data sets with mmcoordgan.ConcatDataset'
            )
        ordered = [rows[index] for index in sorted(rows)]
        keys = ordered[0] if ordered else ()
        arrays: Any = {key: np.array([row[key] for row in ordered]) for key in keys}
        os.makedirs(os.path.dirname(os.path.abspath(self.path)), exist_ok=True)
        with atomic_file(self.path) as file:
            np.savez(file, **arrays)
