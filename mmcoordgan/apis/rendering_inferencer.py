"""An inferencer that makes pictures: swaps textures, samples, interpolates."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmcoordgan.visualization import images_to_uint8

from . import codes
from .encoding_inferencer import EncodingInferencer, as_array
from .pictures import OnBroken, Source, Sources, resize_to
from .progress import progress
from .results import Rendering


class RenderingInferencer(EncodingInferencer):
    """Verbs that need the generator alone, or codes of pictures, but no correspondence.

    Arguments and errors: see :class:`~mmcoordgan.apis.CoordGANInferencer`.
    """

    def swap_texture(
        self, structure_from: Sources, texture_from: Sources, **settings: Any
    ) -> list[list[Rendering]]:
        """Every structure in every texture; a row for each structure."""
        return list(self.iter_swap_texture(structure_from, texture_from, **settings))

    def iter_swap_texture(
        self,
        structure_from: Sources,
        texture_from: Sources,
        *,
        batch_size: int = 8,
        refine: bool | int = False,
        on_broken: OnBroken | None = None,
    ) -> Iterator[list[Rendering]]:
        """Paint the structure of each picture with the texture of others.

        Memory does not grow with the number of structures, but with that of textures: their codes
        are kept, and one row of results at a time, at the structure's size.

        Args:
            structure_from: Pictures; one row of results for each.
            texture_from: Pictures, whose codes are all kept; one result in each row.
            batch_size: See :meth:`iter_encode`.
            refine: See :meth:`iter_encode`.
            on_broken: See :meth:`iter_encode`; for ``structure_from`` alone.

        Yields:
            Renderings with the name and at the size of the structure's picture.
        """
        encoded = self._invert_all(texture_from, batch_size, refine, None, 'texture')
        textures = [inversion.texture_w for _, inversion in encoded]
        structures = self._invert_all(structure_from, batch_size, refine, on_broken)
        return (
            [self._render(picture.name, found.coords, w, picture.shape) for w in textures]
            for picture, found in structures
        )

    def sample(self, n: int = 1, seed: int = 0, truncation: Any = 1.0) -> list[Rendering]:
        """Generate ``n`` pictures; see :meth:`iter_sample`."""
        return list(self.iter_sample(n, seed, truncation))

    def iter_sample(
        self, n: int = 1, seed: int = 0, truncation: float | tuple[float, float] = 1.0
    ) -> Iterator[Rendering]:
        """Generate pictures, of checkpoints of either stage.

        Args:
            n: How many, of the seeds ``seed``, ``seed + 1``, ...: a picture depends on its seed
                alone.
            seed: Of the first picture, in 0..2**63 - 1.
            truncation: Codes become ``mean + truncation * (code - mean)``, with the mean of 4096
                codes: 1 samples all that the generator knows, 0 its average, numbers between trade
                variety for quality. One number, or one for structure and one for texture.

        Raises:
            ValueError: An argument is out of its range.
        """
        if n < 1:
            raise ValueError(f'n must be at least 1, but got {n}')
        for number in (seed, seed + n - 1):
            codes.check_seed(number)
        shares = codes.truncation_pair(truncation)
        means = None
        if shares != (1.0, 1.0):
            means = codes.mean_codes(self.networks.generator)

        def render(number: int) -> Rendering:
            structure_w, texture_w = codes.seed_codes(self.networks.generator, number)
            if means is not None:
                structure_w = codes.blend(means[0], structure_w, shares[0])
                texture_w = codes.blend(means[1], texture_w, shares[1])
            return self._render(f'seed {number}', self._warp(structure_w), texture_w)

        return map(render, progress(range(seed, seed + n), self.show_progress))

    def interpolate(
        self, start: Source | int, end: Source | int, frames: int = 16, **settings: Any
    ) -> list[Rendering]:
        """Pictures on the way from one to another; see :meth:`iter_interpolate`."""
        return list(self.iter_interpolate(start, end, frames, **settings))

    def iter_interpolate(
        self,
        start: Source | int,
        end: Source | int,
        frames: int = 16,
        *,
        part: str = 'structure',
        refine: bool | int = False,
    ) -> Iterator[Rendering]:
        """Change the structure or the texture step by step, linearly between two codes.

        Args:
            start: A picture, or the seed of a sample (checkpoints of either stage).
            end: Likewise.
            frames: Number of pictures, both ends included; at least 2.
            part: 'structure' (in the texture of ``start``), 'texture' (on its structure) or 'both'.
            refine: See :meth:`iter_encode`.

        Raises:
            ValueError: An argument is out of its range, or as :meth:`iter_encode`.
        """
        codes.check_way(frames, part)
        ends = [self._codes(start, refine, 'start'), self._codes(end, refine, 'end')]
        (structure, texture), (last_structure, last_texture) = ends

        def render(number: int) -> Rendering:
            share = number / (frames - 1)
            structure_w = codes.blend(structure, last_structure, share * (part != 'texture'))
            texture_w = codes.blend(texture, last_texture, share * (part != 'structure'))
            return self._render(f'frame {number}', self._warp(structure_w), texture_w)

        return map(render, progress(range(frames), self.show_progress))

    # ------------------------------------------------------------------ helpers

    def _codes(self, source: Source | int, refine: bool | int, name: str) -> tuple[Tensor, Tensor]:
        if isinstance(source, (int, np.integer)):
            return codes.seed_codes(self.networks.generator, source)
        inversion = self._invert([self._read_one(source, name)], refine)[0]
        return inversion.structure_w, inversion.texture_w

    @torch.no_grad()
    def _warp(self, structure_w: Tensor) -> Tensor:
        return self.networks.generator.warp(structure_w)

    @torch.no_grad()
    def _render(
        self, name: str, coords: Tensor, texture_w: Tensor, shape: tuple[int, int] | None = None
    ) -> Rendering:
        image = images_to_uint8(self.networks.generator.synthesize(coords, texture_w)[0])
        return Rendering(
            name, image if shape is None else resize_to(image, shape), as_array(coords[0])
        )
