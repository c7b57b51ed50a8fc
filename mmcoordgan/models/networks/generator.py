"""CoordGAN's generator: structure warps the canonical frame, texture paints it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mmcoordgan.registry import MODELS

from .layers import MappingNetwork, check_power_of_two
from .styled import SideChannels, StyledConv, ToRGB
from .warp import ExactConv1x1, WarpNetwork

NOISE_MODES = ('random', 'const', 'zero')
SIDE_CHANNELS = 16  # convolutions are fastest, on CPUs by far, with multiples of 16 channels


class FourierFeatures(nn.Module):
    """Sines of random projections of the coordinates: ``sin(W c + b)``, W ~ U(-scale, scale)."""

    def __init__(self, channels: int, scale: float):
        super().__init__()
        self.conv = ExactConv1x1(2, channels)
        nn.init.uniform_(self.conv.weight, -scale, scale)

    def forward(self, coords: Tensor) -> Tensor:  # (B, 2, H, W) -> (B, channels, H, W)
        with torch.autocast(coords.device.type, enabled=False):  # frequencies multiply rounding
            return torch.sin(self.conv(coords.to(self.conv.weight.dtype)))


@MODELS.register_module()
class CoordGANGenerator(nn.Module):
    """The generator of CoordGAN (arXiv:2203.16521); defaults are the published ones.

    A :class:`~.networks.Generator`. All spatial information passes through the correspondence map.

    Args:
        image_size: Side of the square image, a power of two >= ``base_resolution``.
        base_resolution: Side of the square correspondence map, a power of two >= 8. The network
            works at this size throughout and doubles it only to reach ``image_size``.
        structure_dim: Length of the structure latent z.
        texture_dim: Length of the texture latent z.
        structure_width: Length of the structure code w. Default: ``structure_dim``.
        texture_width: Length of the texture code w. Default: ``texture_dim``.
        mapping_layers: Depth of both mapping networks.
        mapping_lr_multiplier: Factor on their learning rate.
        channels: Channels at the base resolution.
        channel_base: At a resolution r above the base there are ``channel_base // r`` channels,
            at most ``channels``.
        num_levels: Pairs of styled convolutions at the base resolution. Default:
            log2(base_resolution) - 2.
        kernel_size: Side of the kernels at the base resolution; 1 makes every pixel independent
            of its neighbours, so that maps of any size can be painted.
        fourier_channels: Number of Fourier features. Default: ``channels``.
        fourier_scale: Range of their frequencies.
        warp_channels: Hidden channels of the warp network.
        warp_residual: Form of the warp network, see :class:`~.WarpNetwork`.
        noise: Noise that ``synthesize`` adds while training: 'random', 'const' or 'zero'.
        eval_noise: The same in evaluation mode. 'const': the same fixed maps for every image.
            The published FID has 'random'.
    """

    def __init__(
        self,
        *,
        image_size: int = 128,
        base_resolution: int = 128,
        structure_dim: int = 512,
        texture_dim: int = 512,
        structure_width: int | None = None,
        texture_width: int | None = None,
        mapping_layers: int = 8,
        mapping_lr_multiplier: float = 0.01,
        channels: int = 512,
        channel_base: int = 32768,
        num_levels: int | None = None,
        kernel_size: int = 3,
        fourier_channels: int | None = None,
        fourier_scale: float = math.sqrt(9 / 2),
        warp_channels: int = 512,
        warp_residual: bool = False,
        noise: str = 'random',
        eval_noise: str = 'const',
    ):
        super().__init__()
        check_power_of_two('base_resolution', base_resolution, 8)
        check_power_of_two('image_size', image_size, base_resolution)
        self.image_size = image_size
        self.base_resolution = base_resolution
        self.structure_dim = structure_dim
        self.texture_dim = texture_dim
        self.structure_width = structure_width or structure_dim
        self.texture_width = texture_width or texture_dim
        self.noise = noise
        self.eval_noise = eval_noise
        self.noise_maps = NoiseMaps()
        self.side_channels = 4 if kernel_size == 1 else SIDE_CHANNELS
        fourier_channels = fourier_channels or channels
        levels = num_levels or int(math.log2(base_resolution)) - 2

        depth: dict[str, Any] = dict(num_layers=mapping_layers, lr_multiplier=mapping_lr_multiplier)
        self.structure_mapping = MappingNetwork(structure_dim, self.structure_width, **depth)
        self.texture_mapping = MappingNetwork(texture_dim, self.texture_width, **depth)
        self.warp_net = WarpNetwork(
            structure_width=self.structure_width, hidden=warp_channels, residual=warp_residual
        )
        self.fourier = FourierFeatures(fourier_channels, fourier_scale)

        width = self.texture_width
        self.stem = StyledConv(fourier_channels, channels, kernel_size, width, sees_coords=False)
        self.stem_to_rgb = ToRGB(channels, width)
        self.levels = nn.ModuleList(
            SynthesisLevel(channels, kernel_size, width, last=index == levels - 1)
            for index in range(levels)
        )
        resolution, in_channels = base_resolution, channels
        while resolution < image_size:
            first = resolution == base_resolution
            resolution *= 2
            out_channels = min(channels, channel_base // resolution)
            self.levels.append(UpsamplingLevel(in_channels, out_channels, width, first))
            in_channels = out_channels

    @property
    def num_texture_codes(self) -> int:
        """Number of texture codes of W+: one per styled convolution, and one for the last RGB."""
        return 2 * len(self.levels) + 2

    def map_structure(self, z: Tensor) -> Tensor:
        """Latents (B, structure_dim) -> codes (B, structure_width)."""
        return self.structure_mapping(z)

    def map_texture(self, z: Tensor) -> Tensor:
        """Latents (B, texture_dim) -> codes (B, texture_width)."""
        return self.texture_mapping(z)

    def warp(self, structure_w: Tensor, resolution: int | None = None) -> Tensor:
        """Codes (B, structure_width) -> correspondence maps (B, 2, R, R) in (-1, 1).

        Convention: channel 0 is x; the value at a pixel is its place in the canonical frame. Pixels
        are treated alone, so that any ``resolution`` R works.
        """
        return self.warp_net(structure_w, resolution or self.base_resolution)

    def synthesize(
        self,
        coords: Tensor,
        texture_w: Tensor,
        noise: str | None = None,
        image_size: int | None = None,
    ) -> Tensor:
        """Paint correspondence maps with textures.

        Args:
            coords: (B, 2, H, W), in the frame; H = W = ``base_resolution``, or any size where
                ``kernel_size`` is 1.
            texture_w: (B, texture_width), or one code per layer (W+),
                (B, ``num_texture_codes``, texture_width).
            noise: 'random', 'const' or 'zero'. Default: the constructor's.
            image_size: Stop at this size, a power of two times the map's. Default: the network's.

        Returns:
            RGB images (B, 3, S, S), S = H * image_size / base_resolution, in about [-1, 1].
        """
        if texture_w.dim() == 2:
            texture_w = texture_w[:, None].expand(-1, self.num_texture_codes, -1)
        codes = texture_w.unbind(1)
        image_size = image_size or self.image_size * coords.shape[-1] // self.base_resolution
        mode = noise or (self.noise if self.training else self.eval_noise)
        noise_maps = self.noise_maps
        noise_maps.start(mode, coords)
        sides = SideChannels(coords, self.side_channels)
        x = torch.cat([self.fourier(coords), sides(noise_maps(coords))], dim=1)
        x = self.stem(x, codes[0], sides(noise_maps(coords)))
        rgb = self.stem_to_rgb(x, codes[1], None)
        for index, level in enumerate(self.levels):
            if level.scale * rgb.shape[-1] > image_size:
                break
            x, rgb = level(x, sides, rgb, codes[2 * index + 1 : 2 * index + 4], noise_maps)
        if rgb.shape[-1] != image_size:
            raise ValueError(
                f'image_size must be {coords.shape[-1]} times a power of two of at most '
                f'{self.image_size // self.base_resolution}, but got {image_size}'
            )
        return rgb.to(coords.dtype)

    def forward(self, structure_z: Tensor, texture_z: Tensor) -> Tensor:
        """Latents (B, structure_dim), (B, texture_dim) -> RGB images (B, 3, S, S)."""
        coords = self.warp(self.map_structure(structure_z))
        return self.synthesize(coords, self.map_texture(texture_z))


class SynthesisLevel(nn.Module):
    """Two styled convolutions that see the coordinates, and an image made from them.

    Features come with the noise of the first convolution and leave with that of the next level,
    unless this one is the last.
    """

    scale = 1

    def __init__(self, channels: int, kernel_size: int, style_dim: int, last: bool):
        super().__init__()
        self.last = last
        self.conv1 = StyledConv(channels, channels, kernel_size, style_dim)
        self.conv2 = StyledConv(channels, channels, kernel_size, style_dim)
        self.to_rgb = ToRGB(channels, style_dim)

    def forward(
        self, x: Tensor, sides: SideChannels, rgb: Tensor, codes: Sequence[Tensor], noise: NoiseMaps
    ) -> tuple[Tensor, Tensor]:
        x = self.conv1(x, codes[0], sides(noise(x)))
        x = self.conv2(x, codes[1], sides(None if self.last else noise(x)))
        return x, self.to_rgb(x, codes[2], rgb)


class UpsamplingLevel(nn.Module):
    """Two styled convolutions, the first of which doubles the size.

    Only the first level after the base resolution sees the coordinates, in its first convolution.
    """

    scale = 2

    def __init__(self, in_channels: int, out_channels: int, style_dim: int, sees_coords: bool):
        super().__init__()
        self.conv1 = StyledConv(
            in_channels, out_channels, 3, style_dim, sees_coords=sees_coords, upsample=True
        )
        self.conv2 = StyledConv(out_channels, out_channels, 3, style_dim, sees_coords=False)
        self.to_rgb = ToRGB(out_channels, style_dim, sees_coords=False, upsample=True)

    def forward(
        self, x: Tensor, sides: SideChannels, rgb: Tensor, codes: Sequence[Tensor], noise: NoiseMaps
    ) -> tuple[Tensor, Tensor]:
        coords = sides.coords.new_zeros(len(x), 2, 2 * x.shape[2], 2 * x.shape[3])
        sides = SideChannels(coords, SIDE_CHANNELS)
        own = noise(coords)
        x = self.conv1(x, codes[0], sides(noise(coords)), own)
        x = self.conv2(x, codes[1], sides(None))
        return x, self.to_rgb(x, codes[2], rgb)


class NoiseMaps:
    """The noise of a synthesis: a map for every layer, one after the other.

    'random': new maps for every image; 'const': the same maps every time, shared by the batch;
    'zero': none. Constant maps are drawn on the CPU from a generator of their own, so that all
    devices see the same ones. Those of one size of the coordinate map are kept on the device.
    """

    def __init__(self) -> None:
        self.key: Any = None
        self.constant: list[Tensor] = []
        self.source = torch.Generator()

    def start(self, mode: str, coords: Tensor) -> None:
        """Begin a synthesis from these coordinates."""
        if mode not in NOISE_MODES:
            raise ValueError(f'noise must be one of {NOISE_MODES}, but got {mode!r}')
        self.mode, self.count = mode, 0
        key = coords.device, coords.shape[2:]
        if key != self.key:
            self.key, self.constant = key, []
            self.source.manual_seed(0)

    def __call__(self, x: Tensor) -> Tensor | None:
        """The next map (B or 1, 1, H, W), for features (B, ?, H, W) of this size."""
        if self.mode == 'zero':
            return None
        if self.mode == 'random':
            return x.new_empty(x.shape[0], 1, *x.shape[2:]).normal_()
        if self.count == len(self.constant):
            with torch.inference_mode(False):  # training may come after
                drawn = torch.randn(1, 1, *x.shape[2:], generator=self.source)
                self.constant.append(drawn.to(x.device))
        self.count += 1
        return self.constant[self.count - 1].to(x.dtype)

    def __deepcopy__(self, memo: dict) -> NoiseMaps:
        return NoiseMaps()
