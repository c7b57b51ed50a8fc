"""What loss terms see of an iteration: images, maps and networks, computed on first use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from mmcoordgan.models.networks.protocols import Encoder, Encoding, Generator, encode, render
from mmcoordgan.models.pairs import swap_partners

from .perceptual import PerceptualDistance


@dataclass(eq=False)
class Fakes:
    """Generated images of a micro-batch; images 2k and 2k + 1 are partners."""

    generator: Generator
    structure_z: Tensor  # (B, structure_dim), B even
    texture_z: Tensor  # (B, texture_dim)
    grad: bool = True  # Whether images are differentiable in the generator's parameters
    both: bool = False  # images and swapped are both needed, and rendered in one pass

    @cached_property
    def coords(self) -> Tensor:
        """(B, 2, H, W): correspondence maps."""
        with torch.set_grad_enabled(self.grad):
            return self.generator.warp(self.generator.map_structure(self.structure_z))

    @cached_property
    def texture_w(self) -> Tensor:
        """(B, texture_width)."""
        with torch.set_grad_enabled(self.grad):
            return self.generator.map_texture(self.texture_z)

    @cached_property
    def images(self) -> Tensor:
        """(B, 3, S, S): structure k with texture k."""
        return self._pair[0] if self.both else self._render(self.texture_w)[0]

    @cached_property
    def swapped(self) -> Tensor:
        """(B, 3, S, S): structure k with its partner's texture."""
        return self._pair[1] if self.both else self._render(swap_partners(self.texture_w))[0]

    @property
    def twins(self) -> Tensor:
        """(B, 3, S, S): texture k on its partner's structure."""
        return swap_partners(self.swapped)

    @cached_property
    def _pair(self) -> tuple[Tensor, ...]:
        return self._render(self.texture_w, swap_partners(self.texture_w))

    def _render(self, *textures: Tensor) -> tuple[Tensor, ...]:
        """The structures with each of these textures (B, texture_width), in one pass."""
        with torch.set_grad_enabled(self.grad):
            coords = self.coords.repeat(len(textures), 1, 1, 1)
            return self.generator.synthesize(coords, torch.cat(textures)).chunk(len(textures))


class DetachedFakes(Fakes):
    """The same images, through which no gradient reaches the generator."""

    def __init__(self, fakes: Fakes):
        self._fakes = fakes

    coords = property(lambda self: self._fakes.coords.detach())
    texture_w = property(lambda self: self._fakes.texture_w.detach())
    images = property(lambda self: self._fakes.images.detach())
    swapped = property(lambda self: self._fakes.swapped.detach())


@dataclass
class Stage1View:
    """What loss terms of :class:`~mmcoordgan.models.CoordGAN` see of a micro-batch."""

    real: Tensor  # (B, 3, S, S): real images in [-1, 1]
    fakes: Fakes  # Generated images; detached in the discriminator and the regularization step
    iteration: int  # Counted from 0
    generator: Generator
    discriminator: Any
    patch_discriminator: Any  # None where the config has none
    perceptual: PerceptualDistance  # None where the config has none

    @cached_property
    def features(self) -> list[Tensor]:
        """Perceptual features of ``fakes.images``."""
        return self.perceptual.features(self.fakes.images)

    @cached_property
    def swapped_features(self) -> list[Tensor]:
        """Perceptual features of ``fakes.swapped``; those of ``fakes.images`` in the same pass."""
        images = torch.cat([self.fakes.images, self.fakes.swapped])
        pairs = [feature.chunk(2) for feature in self.perceptual.features(images)]
        self.features = [pair[0] for pair in pairs]
        return [pair[1] for pair in pairs]


@dataclass
class Stage2View:
    """What loss terms of :class:`~mmcoordgan.models.CoordGANInversion` see of a micro-batch."""

    real: Tensor  # (B, 3, S, S): real images in [-1, 1], of the generator's size
    iteration: int  # Counted from 0
    generator: Generator  # Frozen
    encoder: Encoder
    perceptual: PerceptualDistance  # None where the config has none
    sample_codes: Callable[[int], tuple[Tensor, Tensor]]  # Batch size -> latents
    teacher: Encoder | None = None  # The encoder's averaged weights, where the config keeps them

    @cached_property
    def found(self) -> Encoding:
        """Codes and maps that the encoder finds in the real images."""
        return encode(self.encoder, self.generator, self.real)

    @cached_property
    def reconstruction(self) -> Tensor:
        """(B, 3, S, S): ``found``, rendered."""
        return render(self.generator, self.found)

    @cached_property
    def swapped(self) -> Tensor:
        """(B, 3, S, S): the structures of ``found`` with their partners' textures."""
        texture_w = swap_partners(self.found.texture_w)
        return render(self.generator, self.found._replace(texture_w=texture_w))

    @cached_property
    def features(self) -> list[Tensor]:
        """Perceptual features of the real images."""
        return self.perceptual.features(self.real)

    @torch.no_grad()
    def teach(self, images: Tensor) -> Tensor:
        """(B, 2, H, W): maps that the teacher finds in images."""
        teacher: Any = self.teacher
        coords: Any = encode(teacher, self.generator, images).coords
        return coords.float()

    @cached_property
    def truth(self) -> Encoding:
        """True codes and maps of the synthesized images; one texture code for all layers."""
        structure_z, texture_z = self.sample_codes(len(self.real))
        structure_w = self.generator.map_structure(structure_z)
        texture_w = self.generator.map_texture(texture_z)
        return Encoding(structure_w, texture_w, self.generator.warp(structure_w))

    @cached_property
    def synthesized(self) -> Tensor:
        """(B, 3, S, S): ``truth``, rendered."""
        return render(self.generator, self.truth)

    @cached_property
    def recovered(self) -> Encoding:
        """Codes and maps that the encoder finds in the synthesized images."""
        return encode(self.encoder, self.generator, self.synthesized)
