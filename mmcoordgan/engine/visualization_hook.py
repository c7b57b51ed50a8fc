"""Pictures of the same samples all through the training."""

from __future__ import annotations

import os.path as osp
from typing import Any

import cv2
import mmengine
import numpy as np
import torch
from mmengine.dist import master_only
from mmengine.hooks import Hook
from torch import nn

from mmcoordgan.registry import HOOKS
from mmcoordgan.visualization import plain_grid, sample_grid

from .unwrap import unwrap


@HOOKS.register_module()
class CoordGANVisualizationHook(Hook):
    """Draw a grid of structures and textures every ``interval`` iterations.

    Pictures are drawn before the first iteration, every ``interval`` iterations and after the
    last one, on the main process only, always from the same codes (also after resuming). Each is
    written to ``<work_dir>/pictures/iter_000500.png`` and handed to the Runner's visualizer as
    ``samples``, for TensorBoard and the like. See :func:`mmcoordgan.visualization.sample_grid`
    for what they show; other generators, such as MMagic's StyleGAN2, show one sample per cell
    (:func:`mmcoordgan.visualization.plain_grid`). A generator of CoordGAN's must draw RGB; others
    draw in the order of ``model.data_preprocessor.output_channel_order``, where MMagic's
    preprocessors have it (None is BGR there), and RGB elsewhere. Training is the same with and
    without this hook: it leaves the random state and the modules' modes as they were.

    Args:
        interval: Iterations between pictures, at least 1.
        num_structures: Rows of the grid.
        num_textures: Columns of the grid.
        seed: Seed of the codes.
        use_ema: Draw ``model.generator_ema`` rather than ``model.generator``.

    Raises:
        ValueError: ``interval``, ``num_structures`` or ``num_textures`` is smaller than 1.
    """

    priority = 'NORMAL'

    def __init__(
        self,
        interval: int,
        num_structures: int = 4,
        num_textures: int = 6,
        seed: int = 0,
        use_ema: bool = True,
    ) -> None:
        counts = dict(interval=interval, num_structures=num_structures, num_textures=num_textures)
        for name, value in counts.items():
            if value < 1:
                raise ValueError(f'{type(self).__name__}: {name} must be at least 1, got {value}')
        self.interval = interval
        self.num_structures = num_structures
        self.num_textures = num_textures
        self.seed = seed
        self.use_ema = use_ema
        self.last_drawn: int | None = None

    def before_train(self, runner: Any) -> None:
        """Draw what training starts from."""
        self._draw(runner, runner.iter)

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: dict | None = None
    ) -> None:
        """Draw every ``interval`` iterations."""
        if self.every_n_train_iters(runner, self.interval):
            self._draw(runner, runner.iter + 1)

    def after_train(self, runner: Any) -> None:
        """Draw the result."""
        if runner.iter != self.last_drawn:
            self._draw(runner, runner.iter)

    @master_only
    def _draw(self, runner: Any, iteration: int) -> None:
        generator = self._generator(runner.model)
        device = next(generator.parameters()).device
        # A generator that draws noise while it renders must not shift the training's.
        with torch.random.fork_rng([device] if device.type == 'cuda' else []):
            picture = self._picture(generator, _channel_order(runner.model))
        folder = osp.join(runner.work_dir, 'pictures')
        mmengine.mkdir_or_exist(folder)
        path = osp.join(folder, f'iter_{iteration:06d}.png')
        if not cv2.imwrite(path, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)):
            raise OSError(f'{type(self).__name__} cannot write {path}')
        runner.visualizer.add_image('samples', picture, step=iteration)
        self.last_drawn = iteration

    def _picture(self, generator: Any, order: str) -> np.ndarray:
        source = torch.Generator().manual_seed(self.seed)
        rows, columns = self.num_structures, self.num_textures
        if hasattr(generator, 'map_structure'):
            structure_z = torch.randn(rows, generator.structure_dim, generator=source)
            texture_z = torch.randn(columns, generator.texture_dim, generator=source)
            return sample_grid(generator, structure_z, texture_z)
        size = getattr(generator, 'noise_size', None) or getattr(generator, 'style_channels', None)
        if size is None:
            raise AttributeError(
                f'{type(self).__name__} cannot draw samples of {type(generator).__name__}: it has '
                'neither map_structure nor noise_size nor style_channels. Take the hook out of the '
                'config'
            )
        picture = plain_grid(generator, torch.randn(rows, columns, size, generator=source))
        return picture if order == 'RGB' else cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)

    def _generator(self, model: nn.Module) -> Any:
        model = unwrap(model)
        name = 'generator_ema' if self.use_ema else 'generator'
        generator = getattr(model, name, None)
        if generator is None:
            raise AttributeError(
                f'{type(self).__name__} draws samples of model.{name}, which '
                f'{type(model).__name__} lacks: set use_ema={not self.use_ema}, or take the hook '
                'out of the config'
            )
        return unwrap(generator)


def _channel_order(model: nn.Module) -> str:
    preprocessor = getattr(unwrap(model), 'data_preprocessor', None)
    return getattr(preprocessor, 'output_channel_order', 'RGB') or 'BGR'
