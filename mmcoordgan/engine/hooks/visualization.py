"""Draw samples during training, and transfers during tests."""

from __future__ import annotations

import logging
import os
import os.path as osp
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.visualization import LocalVisBackend as MMEngineBackend
from PIL import Image

from mmcoordgan.evaluation.examples import read_example, sample_index
from mmcoordgan.evaluation.transfer_metric import temperature_at
from mmcoordgan.io.files import atomic_file
from mmcoordgan.registry import HOOKS, VISBACKENDS
from mmcoordgan.visualization import (
    TRANSFER_TITLES,
    TransferPicture,
    arrange_cells,
    sample_grid,
    transfer_row,
)

from ..optim import unwrap

draw_rows = partial(arrange_cells, titles=TRANSFER_TITLES)


@HOOKS.register_module()
@dataclass(eq=False)
class CoordGANVisualizationHook(Hook):
    """Draw a grid of structures and textures every ``interval`` iterations.

    Images (:func:`mmcoordgan.visualization.sample_grid`) are also drawn before the first iteration
    and after the last one, always from the same codes. Each is written to
    ``<work_dir>/pictures/iter_000500.png`` and sent to the Runner's visualizer as ``samples``. The
    hook leaves the random state and the modules' modes as they were.

    ``num_structures`` are the rows, ``num_textures`` the columns of the grid; ``seed`` is that of
    the codes. ``use_ema`` draws ``model.generator_ema`` rather than ``model.generator``.
    """

    interval: int
    num_structures: int = 4
    num_textures: int = 6
    seed: int = 0
    use_ema: bool = True
    last_drawn = -1  # iteration

    def before_train(self, runner: Any) -> None:
        self._draw(runner, runner.iter)

    def after_train_iter(self, runner: Any, *_: Any, **__: Any) -> None:
        if self.every_n_train_iters(runner, self.interval):
            self._draw(runner, runner.iter + 1)

    def after_train(self, runner: Any) -> None:
        if runner.iter != self.last_drawn:
            self._draw(runner, runner.iter)

    @master_only
    def _draw(self, runner: Any, iteration: int) -> None:
        model: Any = unwrap(runner.model)
        generator: Any = unwrap(model.generator_ema if self.use_ema else model.generator)
        device = next(generator.parameters()).device
        # Noise that is drawn while rendering must not shift the training's.
        with torch.random.fork_rng([device] if device.type == 'cuda' else []):
            draw = partial(torch.randn, generator=torch.Generator().manual_seed(self.seed))
            structure_z = draw(self.num_structures, generator.structure_dim)
            texture_z = draw(self.num_textures, generator.texture_dim)
            image = sample_grid(generator, structure_z, texture_z)
        folder = osp.join(runner.work_dir, 'pictures')
        _show(runner, 'samples', image, iteration, folder, {f'iter_{iteration:06d}': image})
        self.last_drawn = iteration


@HOOKS.register_module()
@dataclass(eq=False)
class TransferVisualizationHook(Hook):
    """Draw a row of images for each query of a test or a validation.

    A test writes each row (see :func:`mmcoordgan.visualization.transfer_row`) to
    ``<out_dir>/<sample_idx>.png``, a validation all rows to ``<out_dir>/iter_<iteration>.png``.
    All rows also go to the Runner's visualizer as one image, ``transfer``. The main process draws
    the queries that it sees. The n-th query drawn takes reference n modulo ``num_references``.
    Images are the dataloader's ``inputs``, uint8 RGB.

    At most ``max_pictures`` queries are drawn; ``out_dir`` is ``<work_dir>/pictures/transfer`` by
    default. The other arguments are those of :class:`~mmcoordgan.evaluation.TransferMetric`.
    """

    max_pictures: int = 20
    out_dir: str | None = None
    num_references: int = 5
    mode: str = 'soft'
    temperature: float = 0.01
    reference_size: int | None = None
    coords_key: str = 'coords'

    def before_test_epoch(self, runner: Any) -> None:
        self._references: dict[int, TransferPicture] = {}
        self._rows: dict[int, list[np.ndarray]] = {}

    before_val_epoch = before_test_epoch

    @master_only
    def _after_iter(
        self,
        runner: Any,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Any = None,
        mode: str = 'train',
    ) -> None:
        if mode == 'train' or len(self._rows) >= self.max_pictures:
            return
        meta = getattr(getattr(runner, f'{mode}_dataloader').dataset, 'metainfo', None) or {}
        palette, classes = meta.get('palette'), meta.get('classes')
        num_classes = len(classes) if classes and palette else None
        for image, output in zip(data_batch['inputs'], outputs):
            sample = output.to_dict()
            index = sample_index(sample)
            found = read_example(
                sample,
                coords_key=self.coords_key,
                num_classes=num_classes,
                ignore_index=meta.get('ignore_index'),
            )
            pixels = image.permute(1, 2, 0).cpu().numpy()
            drawn = TransferPicture(pixels, found.coords, found.labels)
            if index < self.num_references:
                self._references[index] = drawn
            elif len(self._rows) < self.max_pictures:
                reference = self._references[len(self._rows) % self.num_references]
                temperature = temperature_at(
                    found.coords.shape[-1], self.mode, self.temperature, self.reference_size
                )
                self._rows[index] = transfer_row(reference, drawn, palette, temperature)

    def after_test_epoch(self, runner: Any, metrics: dict | None = None) -> None:
        files = {f'{index:05d}': draw_rows([row]) for index, row in self._rows.items()}
        self._show_all(runner, 0, files)  # runner.iter would build the data of the training

    def after_val_epoch(self, runner: Any, metrics: dict | None = None) -> None:
        self._show_all(runner, runner.iter)

    def _show_all(self, runner: Any, step: int, files: dict[str, np.ndarray] | None = None) -> None:
        """Show all rows as one image; write it, or the images of ``files``."""
        if self._rows:
            folder = self.out_dir or osp.join(runner.work_dir, 'pictures', 'transfer')
            every = draw_rows(list(self._rows.values()))
            _show(runner, 'transfer', every, step, folder, files or {f'iter_{step:06d}': every})


@VISBACKENDS.register_module()
class LocalVisBackend(MMEngineBackend):
    """MMEngine's ``LocalVisBackend``; numbers that the disk does not take do not end a training."""

    def _dump(self, *args: Any) -> None:
        try:
            super()._dump(*args)
        except OSError as error:
            print_log(f'a line of vis_data is left out: {error}', 'current', logging.WARNING)


def _show(
    runner: Any, name: str, image: np.ndarray, step: int, folder: str, files: dict[str, np.ndarray]
) -> None:
    """Send an image to the visualizer, and write others as PNG files.

    Where the disk does not take them, a warning is enough: no reason to end hours of training.
    """
    try:
        os.makedirs(folder, exist_ok=True)
        for stem, pixels in files.items():
            with atomic_file(osp.join(folder, f'{stem}.png')) as file:
                Image.fromarray(pixels).save(file, 'PNG', compress_level=1)  # 4 times faster
        runner.visualizer.add_image(name, image, step=step)
    except OSError as error:
        runner.logger.warning(f'an image is left out, because it cannot be written: {error}')
