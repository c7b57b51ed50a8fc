"""StyleGAN2's layers that a style modulates (arXiv:1912.04958)."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .filters import Blur, UpsampleRGB
from .layers import GAIN, EqualizedLinear


class SideChannels:
    """``number`` >= 4 channels beside features: x, y, noise, ones, then zeros to fill up.

    Convolutions that see them add coordinates, noise and bias without touching their output again.
    """

    def __init__(self, coords: Tensor, number: int):
        self.coords = coords
        self.none = torch.zeros_like(coords[:, :1])
        self.rest = F.pad(torch.ones_like(self.none), (0, 0, 0, 0, 0, number - 4))

    def __call__(self, noise: Tensor | None) -> Tensor:
        """(B, number, H, W), with this noise (B or 1, 1, H, W)."""
        noise = self.none if noise is None else noise.expand_as(self.none)
        return torch.cat([self.coords, noise, self.rest], dim=1)


class Activation(torch.autograd.Function):
    """Leaky ReLU, written where the side channels of the next layer are: (B, C + S, H, W)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, sides: Tensor) -> Tensor:
        batch, channels, *size = x.shape
        out = x.new_empty(batch, channels + sides.shape[1], *size)
        torch.ops.aten.leaky_relu.out(x, 0.2, out=out[:, :channels])
        out[:, channels:] = sides
        ctx.save_for_backward(out)
        ctx.channels = channels
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        split = ctx.channels
        (out,) = ctx.saved_tensors
        inner = torch.ops.aten.leaky_relu_backward(grad[:, :split], out[:, :split], 0.2, True)
        return inner, grad[:, split:]


class ModulatedConv2d(nn.Module):
    """Convolution with weights of its own for every image, made by a style (StyleGAN2, 2.2).

    The style scales input channels. Scaling the weights rather than the images keeps no scaled
    copy of every feature map for the backward pass. One grouped convolution takes the whole batch.

    ``sees_coords``: coordinates are channels like the ``in_channels`` features; ``demodulate``:
    outputs have unit expected variance; ``upsample``: twice the height and width; ``gain``: factor
    on the output.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        style_dim: int,
        *,
        sees_coords: bool,
        demodulate: bool = True,
        upsample: bool = False,
        gain: float = 1.0,
    ):
        super().__init__()
        self.sees_coords = sees_coords
        in_channels += 2 * sees_coords
        shape = (out_channels, in_channels, kernel_size, kernel_size)
        self.weight = nn.Parameter(torch.randn(shape))
        self.modulation = EqualizedLinear(style_dim, in_channels, bias_init=1.0)
        self.scale = 1 / math.sqrt(in_channels * kernel_size**2)
        self.gain = gain
        self.demodulate = demodulate
        # A stride-2 transposed convolution leaves one extra row and column for the filter.
        self.blur = Blur((1, 3, 3, 1), (1, 1), gain=4.0) if upsample else None

    def forward(self, x: Tensor, style: Tensor, noise_and_bias: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, out_channels, H, W), or twice the size; may be written over.

        ``x`` holds ``in_channels`` features and :class:`SideChannels`; ``style`` is (B, style_dim),
        ``noise_and_bias`` (out_channels, 2): weights of the channels that hold noise and ones.
        """
        with torch.autocast(style.device.type, enabled=False):
            weights = self._weights(style.to(self.weight.dtype), noise_and_bias, x)
        size = self.weight.shape[-1]
        if size == 1:
            return torch.bmm(weights.flatten(2), x.flatten(2)).unflatten(2, x.shape[2:])
        batch, together = len(x), x.reshape(1, -1, *x.shape[2:])
        if self.blur is None:
            weights = weights.flatten(0, 1)
            out = F.conv2d(together, weights, padding=size // 2, groups=batch)
            return out.view(batch, -1, *out.shape[2:])
        weights = weights.transpose(1, 2).flatten(0, 1)
        out = F.conv_transpose2d(together, weights, stride=2, groups=batch)
        return self.blur(out.view(batch, -1, *out.shape[2:]))

    def _weights(self, style: Tensor, noise_and_bias: Tensor, x: Tensor) -> Tensor:
        """(B, O, C, k, k), in the features' precision."""
        factor = self.modulation(style)[:, None] * self.scale  # (B, 1, I)
        gain: float | Tensor = self.gain
        if self.demodulate:
            squares = torch.linalg.vector_norm(self.weight, dim=(2, 3)).square()  # (O, I)
            power = factor[:, 0].square() @ squares.t()  # (B, O)
            gain = gain * torch.rsqrt(power + 1e-8)[:, :, None]
        sides = x.shape[1] - factor.shape[2]
        factor = F.pad(gain * factor, (0, sides), value=self.gain)  # (B, O or 1, C)
        front, p = 0 if self.sees_coords else 2, self.weight.shape[-1] // 2
        around = (p, p, p, p, front, sides - front - 2)
        beside = F.pad(noise_and_bias[:, :, None, None], around)  # (O, sides, k, k)
        weight = torch.cat([self.weight, beside], dim=1).to(x.dtype)
        return factor.to(x.dtype)[:, :, :, None, None] * weight


class StyledConv(nn.Module):
    """:class:`ModulatedConv2d`, noise of a learned strength, bias and activation."""

    def __init__(self, *sizes: int, sees_coords: bool = True, upsample: bool = False):
        super().__init__()
        options = dict(sees_coords=sees_coords, upsample=upsample)
        self.conv = ModulatedConv2d(*sizes, gain=GAIN, **options)
        self.upsample = upsample
        self.noise_strength = nn.Parameter(torch.zeros(()))
        self.bias = nn.Parameter(torch.zeros(len(self.conv.weight)))

    def forward(
        self, x: Tensor, style: Tensor, sides: Tensor, noise: Tensor | None = None
    ) -> Tensor:
        """Features with side channels (B, C + S, H, W) -> the same, or of twice the size.

        The noise of this layer is a side channel of ``x``. A layer that upsamples takes it as
        ``noise``, in the output's size. ``style`` is (B, style_dim); ``sides`` are the side
        channels of the output.
        """
        noise_and_bias = torch.stack([self.noise_strength.expand_as(self.bias), self.bias], 1)
        if not self.upsample:
            return Activation.apply(self.conv(x, style, noise_and_bias), sides)
        out = self.conv(x, style, torch.zeros_like(noise_and_bias))
        out.add_((GAIN * self.bias)[:, None, None])
        if noise is not None:
            out.add_(GAIN * self.noise_strength * noise)
        return Activation.apply(out, sides)


class ToRGB(nn.Module):
    """Modulated 1x1 convolution to three channels, added to the upsampled image so far."""

    def __init__(
        self, channels: int, style_dim: int, sees_coords: bool = True, upsample: bool = False
    ):
        super().__init__()
        options = dict(sees_coords=sees_coords, demodulate=False)
        self.conv = ModulatedConv2d(channels, 3, 1, style_dim, **options)
        self.bias = nn.Parameter(torch.zeros(3))
        self.upsample = UpsampleRGB() if upsample else None

    def forward(self, x: Tensor, style: Tensor, skip: Tensor | None) -> Tensor:
        out = self.conv(x, style, F.pad(self.bias[:, None], (1, 0)))
        if skip is None:
            return out
        return out + (skip if self.upsample is None else self.upsample(skip))
