"""Pictures of what a test carries from references to queries."""

from __future__ import annotations

import os.path as osp
from collections.abc import Sequence
from typing import Any

import cv2
import mmengine
import numpy as np
import torch
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.structures import BaseDataElement

from mmcoordgan.evaluation.examples import read_example, sample_index
from mmcoordgan.evaluation.transfer_metric import temperature_at
from mmcoordgan.registry import HOOKS
from mmcoordgan.visualization import (
    TransferPicture,
    arrange_cells,
    images_to_uint8,
    transfer_row,
)


@HOOKS.register_module()
class TransferVisualizationHook(Hook):
    """Draw a row of pictures for each query of a test.

    Each row (see :func:`mmcoordgan.visualization.transfer_row`) is written to
    ``<out_dir>/<sample_idx>.png``, on the main process only; with several processes, for the
    main process's share of the queries. The n-th query drawn takes reference n modulo
    ``num_references``. Pictures come from the dataloader's ``inputs``: uint8 RGB, or float in
    [-1, 1].

    The model and the data set must be as for :class:`~mmcoordgan.evaluation.SegTransferIoU`, and
    arguments of the same name mean the same. Queries need no ground truth, references no labels:
    what is missing is not drawn.

    Args:
        max_pictures: Draw at most so many queries.
        out_dir: Default: ``<work_dir>/pictures/transfer``.
        num_references: How many samples at the start of the data set are references.
        mode: 'soft' or 'hard'.
        temperature: Of the soft transfer.
        reference_size: Width of the maps that ``temperature`` belongs to.
        coords_key: Which map of the predictions to use.

    Raises:
        ValueError: ``max_pictures`` or ``num_references`` is smaller than 1, or ``mode`` unknown.
    """

    priority = 'NORMAL'

    def __init__(
        self,
        max_pictures: int = 20,
        out_dir: str | None = None,
        num_references: int = 5,
        mode: str = 'soft',
        temperature: float = 0.01,
        reference_size: int | None = None,
        coords_key: str = 'coords',
    ) -> None:
        counts = dict(max_pictures=max_pictures, num_references=num_references)
        for name, value in counts.items():
            if value < 1:
                raise ValueError(f'{type(self).__name__}: {name} must be at least 1, got {value}')
        if mode not in ('soft', 'hard'):
            raise ValueError(f"{type(self).__name__}: mode must be 'soft' or 'hard', got {mode!r}")
        self.max_pictures = max_pictures
        self.out_dir = out_dir
        self.num_references = num_references
        self.mode = mode
        self.temperature = temperature
        self.reference_size = reference_size
        self.coords_key = coords_key
        self._references: dict[int, TransferPicture] = {}
        self._drawn = 0

    def before_test_epoch(self, runner: Any) -> None:
        """Start afresh."""
        self._references, self._drawn = {}, 0

    def after_test_iter(
        self,
        runner: Any,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Sequence[BaseDataElement] | None = None,
    ) -> None:
        """Keep the references and draw the queries of a batch.

        Raises:
            ValueError: A query came before all references.
        """
        if outputs is None or self._drawn >= self.max_pictures or not is_main_process():
            return
        meta = getattr(runner.test_dataloader.dataset, 'metainfo', None) or {}
        queries = []
        for image, output in zip(data_batch['inputs'], outputs):
            sample = output.to_dict()
            index, picture = sample_index(sample), self._picture(image, sample, meta)
            if index < self.num_references:
                self._references[index] = picture
            else:
                queries.append((index, picture))
        for index, query in queries[: self.max_pictures - self._drawn]:
            self._draw(runner, index, query, meta.get('palette'))

    def _picture(self, image: torch.Tensor, sample: dict, meta: dict) -> TransferPicture:
        classes = meta.get('classes') if meta.get('palette') else None
        num_classes = len(classes) if classes else None
        example = read_example(sample, coords_key=self.coords_key, num_classes=num_classes)
        return TransferPicture(_to_uint8(image), example.coords, example.labels)

    def _draw(
        self, runner: Any, index: int, query: TransferPicture, palette: Sequence | None
    ) -> None:
        reference = self._references.get(self._drawn % self.num_references)
        if reference is None:
            raise ValueError(
                f'{type(self).__name__}: query {index} came before all {self.num_references} '
                "references: use sampler=dict(type='ReferenceSampler', "
                f'num_references={self.num_references}) in test_dataloader'
            )
        temperature = temperature_at(
            query.coords.shape[-1], self.mode, self.temperature, self.reference_size
        )
        cells = transfer_row(reference, query, palette, temperature)
        folder = self.out_dir or osp.join(runner.work_dir, 'pictures', 'transfer')
        mmengine.mkdir_or_exist(folder)
        path = osp.join(folder, f'{index:05d}.png')
        if not cv2.imwrite(path, cv2.cvtColor(arrange_cells([cells]), cv2.COLOR_RGB2BGR)):
            raise OSError(f'{type(self).__name__} cannot write {path}')
        self._drawn += 1


def _to_uint8(image: torch.Tensor) -> np.ndarray:
    """A picture of the dataloader, (3, H, W), as (H, W, 3) uint8 RGB."""
    if image.dtype == torch.uint8:
        return image.permute(1, 2, 0).contiguous().cpu().numpy()
    return images_to_uint8(image)
