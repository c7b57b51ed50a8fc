"""What the models, the inferencer and the tools expect of a generator and of an encoder."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

from torch import Tensor, nn


class Generator(Protocol):
    """A network that warps the canonical frame by a structure and paints it with a texture.

    :class:`CoordGANGenerator` is one. An ``nn.Module`` with these members can stand in for it.

    Convention: correspondence maps are x first, in (-1, 1); images are RGB in about [-1, 1].
    """

    image_size: int  #: Side S of the square images.
    base_resolution: int  #: Side R of the square correspondence maps.
    structure_dim: int  #: Length of the structure latent z.
    texture_dim: int  #: Length of the texture latent z.
    structure_width: int  #: Length of the structure code w.
    texture_width: int  #: Length of a texture code w.

    @property
    def num_texture_codes(self) -> int:
        """Number of texture codes that ``synthesize`` takes where every layer has its own (W+)."""

    def map_structure(self, z: Tensor) -> Tensor:
        """Latents (B, structure_dim) -> structure codes (B, structure_width)."""

    def map_texture(self, z: Tensor) -> Tensor:
        """Latents (B, texture_dim) -> texture codes (B, texture_width)."""

    def warp(self, structure_w: Tensor) -> Tensor:
        """Structure codes (B, structure_width) -> correspondence maps (B, 2, R, R)."""

    def synthesize(self, coords: Tensor, texture_w: Tensor) -> Tensor:
        """Maps (B, 2, R, R) and texture codes, (B, texture_width) or W+ -> images (B, 3, S, S)."""

    def parameters(self) -> Iterator[nn.Parameter]:
        """Those of ``nn.Module``."""


class Encoding(NamedTuple):
    """What an encoder finds in B images."""

    structure_w: Tensor | None  #: (B, structure_width); None where the encoder gives a map instead.
    texture_w: Tensor  #: (B, num_texture_codes, texture_width); (B, texture_width) for all layers.
    coords: Tensor | None = None
    """(B, 2, H, W): correspondence maps, x first, in (-1, 1). None: the generator's warp network
    makes them from ``structure_w``."""


class Encoder(Protocol):
    """A network that finds structure and texture of images.

    :class:`CoordGANEncoder` gives a structure code. An ``nn.Module`` that gives a map instead, for
    example a U-Net, sets ``structure_width`` to None and fills ``coords``; where these have another
    side than the generator's maps, it also has ``map_size``.
    """

    input_size: int  #: Side of the square image that the network sees; it resizes others.
    structure_width: int | None  #: Length of the structure code; None where there is none.
    texture_width: int  #: Length of a texture code.
    num_texture_codes: int  #: Texture codes per image: the generator's number (W+), or 1.

    def __call__(self, images: Tensor) -> Encoding:
        """RGB images (B, 3, H, W) in [-1, 1] -> :class:`Encoding`."""


def encode(encoder: Encoder, generator: Generator, images: Tensor) -> Encoding:
    """Codes and correspondence maps of RGB images (B, 3, H, W) in [-1, 1]; renders nothing.

    The generator's warp network makes the maps where the encoder gives none.
    """
    encoding = Encoding(*encoder(images))
    if encoding.coords is not None:
        return encoding
    if encoding.structure_w is None:
        raise ValueError(f'{type(encoder).__name__} gives neither structure_w nor coords')
    return encoding._replace(coords=generator.warp(encoding.structure_w))


def render(generator: Generator, encoding: Encoding) -> Tensor:
    """RGB images (B, 3, S, S) in about [-1, 1] of an encoding with ``coords``; differentiable."""
    if encoding.coords is None:
        raise ValueError('the encoding has no coords: encode() fills them in')
    return generator.synthesize(encoding.coords, encoding.texture_w)


def check_codes_fit(encoder: Encoder, generator: Any) -> None:
    """Raise ValueError unless the encoder's codes have the sizes that the generator takes."""
    for name in ('structure_width', 'texture_width'):
        found, needed = getattr(encoder, name), getattr(generator, name)
        if found not in (needed, None):
            raise ValueError(f"encoder.{name} must be the generator's {needed}, but is {found}")
    found, needed = encoder.num_texture_codes, generator.num_texture_codes
    if found not in (1, needed):
        raise ValueError(
            f'encoder.num_texture_codes must be 1 (W) or {needed} (W+, one code for each layer of '
            f'the generator), but is {found}'
        )
