"""Read images and find their codes and correspondence maps."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Callable, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from mmcoordgan.datasets import BrokenImageError
from mmcoordgan.models.images import from_bytes
from mmcoordgan.models.losses import LPIPSLoss, PerceptualDistance, StructureTensorLoss
from mmcoordgan.models.losses.lpips import VGG16_WEIGHTS
from mmcoordgan.models.refinement import Refinement, refine_codes
from mmcoordgan.registry import type_name
from mmcoordgan.utils.progress import progress

from .checkpoint import TrainedNetworks
from .cropping import Cropper
from .domain import Domain, HeldOut, map_error
from .images import OnBroken, Source, Sources, SquareImage, iter_sources, name_of, read_square
from .results import Encoding

DEFAULT = Refinement(steps=50, lr=0.05)
MAX_STEPS, MAX_SCALES = 10_000, 16
"""The most that a user, or the config of a checkpoint, may ask for."""


class Codes(NamedTuple):
    """What is found in an image, as in :class:`Encoding`: tensors of batch size 1."""

    structure_w: Tensor | None
    texture_w: Tensor
    coords: Tensor
    map_error: Tensor | None = None
    """(1, 1, h, w): see :func:`~mmcoordgan.apis.domain.map_error`; None if that was not asked."""
    domain: Domain | None = None


@dataclasses.dataclass
class ImageEncoder:
    """Finds codes and maps of images for :class:`CoordGANInferencer`; renders nothing."""

    networks: TrainedNetworks
    device: str
    show_progress: bool
    vgg_weights: str | None
    held_out: HeldOut | None
    """Tells images that the model knows from others; None: nobody asked."""
    cropper: Cropper | None
    on_domain: Callable[[str, Domain], Any] = lambda name, domain: None
    """Called with name and domain of every image that is read."""
    _perceptual: Any = None

    def __post_init__(self) -> None:
        if isinstance(self.networks.encoder, nn.Module):  # faster on CPUs
            self.networks.encoder.to(memory_format=torch.channels_last)

    def read(self, source: Source, name: str) -> SquareImage:
        """One image, as a square of the encoder's input size, or of the generator's if larger."""
        encoder = self.networks.require_encoder()
        size = max(encoder.input_size, self.networks.generator.image_size)
        return read_square(source, size, name, self.cropper)

    def find_all(
        self,
        inputs: Sources,
        batch_size: int = 8,
        refine: bool | int = False,
        on_broken: OnBroken | None = None,
        kind: str = 'image',
    ) -> Iterator[tuple[SquareImage, Codes]]:
        """Images with their codes; checks its arguments now, reads images when asked for them.

        Arguments are those of :class:`CoordGANInferencer`; ``kind`` and a number name arrays.
        """
        if batch_size < 1:
            raise ValueError(f'batch_size must be at least 1, but got {batch_size}')
        self.networks.require_encoder()
        self._refinement(refine)
        sources: Iterable[Source] = iter_sources(inputs)
        if isinstance(inputs, (str, os.PathLike, np.ndarray, list, tuple)):
            sources = list(sources)  # their number is known
        images = self._read_all(progress(sources, self.show_progress), on_broken, kind)

        def find_in_batches() -> Iterator[tuple[SquareImage, Codes]]:
            while batch := list(islice(images, batch_size)):
                yield from zip(batch, self.find(batch, refine))

        return find_in_batches()

    def _read_all(
        self, sources: Iterable[Source], on_broken: OnBroken | None, kind: str
    ) -> Iterator[SquareImage]:
        for number, source in enumerate(sources):
            name = name_of(source, f'{kind} {number}')
            try:
                yield self.read(source, name)
            except BrokenImageError as error:
                if on_broken is None:
                    raise
                on_broken(name, error)

    @torch.no_grad()
    def find(self, images: Sequence[SquareImage], refine: bool | int = False) -> list[Codes]:
        """Codes and maps of each image."""
        stacked = torch.from_numpy(np.stack([image.image for image in images]))
        pixels = from_bytes(stacked.to(self.device))
        structure_w, texture_w, coords = self.networks.invert(pixels)
        assert coords is not None
        errors: Sequence[Any] = [None] * len(images)
        domains: Sequence[Any] = errors
        if self.held_out is not None:
            errors = map_error(self.networks, pixels, coords).split(1)
            domains = [self.held_out.domain(error.mean().item()) for error in errors]
            for image, domain in zip(images, domains):
                self.on_domain(image.name, domain)
        refinement = self._refinement(refine)
        if refinement is not None:
            assert structure_w is not None
            generator = self.networks.generator
            structure_w, texture_w = refine_codes(
                generator, self._perceptual, pixels, structure_w, texture_w, refinement
            )
            coords = generator.warp(structure_w)
        structures = [None] * len(images) if structure_w is None else structure_w.split(1)
        return list(map(Codes, structures, texture_w.split(1), coords.split(1), errors, domains))

    def _refinement(self, refine: bool | int) -> Refinement | None:
        """What ``refine`` means, with the perceptual distance that it needs."""
        chosen = self.networks.refinement or DEFAULT
        steps = (chosen.steps or DEFAULT.steps) if refine is True else refine
        if steps > MAX_STEPS:
            raise ValueError(f'refinement takes 0..{MAX_STEPS} steps, but got {steps}')
        if not steps:
            return None
        if self.networks.require_encoder().structure_width is None:
            raise ValueError('this model has no structure codes: leave out refine (--refine)')
        chosen = dataclasses.replace(chosen, steps=steps)
        if chosen.perceptual_weight > 0 and self._perceptual is None:
            self._perceptual = build_perceptual(self.networks, self.vgg_weights).to(self.device)
        return chosen


def encoding_of(image: SquareImage, codes: Codes) -> Encoding:
    """What was found, as arrays."""
    return Encoding(
        name=image.name,
        shape=image.crop.shape,
        structure_w=None if codes.structure_w is None else as_array(codes.structure_w[0]),
        texture_w=as_array(codes.texture_w[0]),
        coords=as_array(codes.coords[0]),
        image=image.image,
        domain=codes.domain,
        map_error=None if codes.map_error is None else as_array(codes.map_error[0, 0]),
        crop=image.crop.matrix,
    )


def as_array(values: Tensor) -> np.ndarray:
    """A tensor as a float32 array."""
    return values.float().cpu().numpy()


def build_perceptual(networks: TrainedNetworks, vgg_weights: str | None) -> PerceptualDistance:
    """The perceptual distance that the config names: StructureTensorLoss or LPIPSLoss, no other.

    Opens no path or address that the checkpoint names, other than the published one of VGG16's
    weights. ``vgg_weights`` is the user's path or URL of them, for LPIPS.
    """
    config: Any = networks.perceptual if isinstance(networks.perceptual, dict) else {}
    kind = type_name(config.get('type'))
    begin = f'{networks.source} compares images by {kind}'
    if kind == 'StructureTensorLoss':
        if vgg_weights is not None:
            raise ValueError(f'{begin}, without VGG16: drop vgg_weights (--vgg-weights)')
        scales = config.get('num_scales', 3)
        if not isinstance(scales, int) or not 1 <= scales <= MAX_SCALES:
            raise ValueError(f'num_scales of {networks.source} must be 1..16, but is {scales!r}')
        return StructureTensorLoss(num_scales=scales)
    if kind != 'LPIPSLoss':
        raise ValueError(f'{begin}, by which codes cannot be refined')
    named = config.get('vgg_weights', VGG16_WEIGHTS)
    if vgg_weights is None and named != VGG16_WEIGHTS:
        raise ValueError(
            f'{begin} with VGG16 weights from {named!r}, which a checkpoint may not choose: give '
            "vgg_weights (--vgg-weights), the path of torchvision's vgg16-397923af.pth"
        )
    return LPIPSLoss(vgg_weights=vgg_weights or VGG16_WEIGHTS)
