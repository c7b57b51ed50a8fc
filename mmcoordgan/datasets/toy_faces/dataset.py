"""ToyFaces: procedural faces with labels and exact canonical coordinates."""

from __future__ import annotations

import numpy as np

from mmcoordgan.registry import DATASETS

from ..base import Pipeline, PipelineDataset
from ..transforms import PackInputs
from .shape import CLASSES, Warp, draw_warp, face_labels, warp_grid
from .texture import Texture, draw_texture, render_image

_STRUCTURE, _TEXTURE = 0, 1  # independent random streams of one seed


@DATASETS.register_module()
class ToyFaces(PipelineDataset):
    """Faces drawn by formula: no download, no disk, and the true correspondence of every pixel.

    One canonical face with nine labelled parts is seen through a random smooth warp (structure)
    and painted with a random palette, light, background and noise (texture). Sample ``i`` is a
    function of ``(seed, i)`` alone; :meth:`render` combines structure and texture of two samples.

    ``get_data_info`` returns ``img`` (size, size, 3) uint8 RGB; ``gt_seg_map`` (size, size) uint8,
    indices into ``metainfo['classes']``; ``gt_coords`` (2, size, size) float32; ``sample_idx``;
    ``img_shape`` and ``ori_shape`` (height, width).

    Convention: ``gt_coords[:, row, column]`` is the point (x, y) of the canonical frame [-1, 1]^2
    that the centre of the pixel shows; x to the right, y downwards; values may leave the frame.
    Pixels form the align-corners grid ``linspace(-1, 1, size)``: the canonical face itself has
    ``gt_coords`` equal to the canonical grid. Labels are ``face_labels(gt_coords)``.

    Args:
        size: Height and width in pixels.
        length: Number of samples.
        seed: Non-negative seed of the whole set.
        pipeline: Default: pack the sample with ``PackInputs``.
        cache: Keep rendered images and labels in memory (4 * size^2 bytes a sample). Each worker
            of a data loader has its own cache, lost at the end of an epoch unless
            ``persistent_workers`` is set.
        warp_strength: 0 shows every face in canonical pose, 1 with full variation.
    """

    METAINFO = {
        'dataset_name': 'toy_faces',
        'classes': CLASSES,
        'palette': [
            *([40, 40, 40], [240, 190, 150], [120, 70, 20], [255, 255, 255], [90, 40, 160]),
            *([250, 140, 60], [220, 30, 60], [250, 220, 60], [40, 120, 220]),
        ],
    }

    def __init__(
        self,
        *,
        size: int = 32,
        length: int = 10000,
        seed: int = 0,
        pipeline: Pipeline | None = None,
        cache: bool = True,
        warp_strength: float = 1.0,
    ) -> None:
        super().__init__(pipeline=[PackInputs()] if pipeline is None else pipeline)
        self.size = size
        self.length = length
        self.seed = seed
        self.warp_strength = warp_strength
        self.data_root = f'ToyFaces, size {size}, seed {seed}, warp_strength {warp_strength}'
        self._cache: dict[int, tuple[np.ndarray, np.ndarray]] | None = {} if cache else None

    def __len__(self) -> int:
        return self.length

    def warp(self, structure_index: int) -> Warp:
        """Pose and shape of a sample; any non-negative index."""
        rng = np.random.default_rng((self.seed, _STRUCTURE, structure_index))
        return draw_warp(rng, self.warp_strength)

    def texture(self, texture_index: int) -> Texture:
        """Colors of a sample; any non-negative index."""
        return draw_texture(np.random.default_rng((self.seed, _TEXTURE, texture_index)))

    def coords(self, structure_index: int) -> np.ndarray:
        """Canonical coordinates of every pixel, (2, size, size) float32, x first."""
        return warp_grid(self.warp(structure_index), np.linspace(-1, 1, self.size))

    def render(self, structure_index: int, texture_index: int) -> dict:
        """``img``, ``gt_seg_map``, ``gt_coords`` of one sample's structure in another's texture."""
        coords = self.coords(structure_index)
        image = render_image(self.warp(structure_index), self.texture(texture_index), self.size)
        return {'img': image, 'gt_seg_map': face_labels(coords), 'gt_coords': coords}

    def get_data_info(self, index: int) -> dict:
        shape = (self.size, self.size)
        info = {'sample_idx': index, 'img_shape': shape, 'ori_shape': shape}
        if self._cache is None:
            return {**self.render(index, index), **info}
        if index not in self._cache:
            sample = self.render(index, index)
            self._cache[index] = (sample['img'], sample['gt_seg_map'])
        image, labels = (values.copy() for values in self._cache[index])
        return dict(img=image, gt_seg_map=labels, gt_coords=self.coords(index), **info)
