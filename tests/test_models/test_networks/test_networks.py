"""What the networks promise beyond the reference: determinism, sizes, forms, clear errors."""

import pytest
import torch
from tiny_inversion import GENERATOR

from mmcoordgan.geometry import canonical_grid
from mmcoordgan.models.networks import (
    CoordGANDiscriminator,
    CoordGANGenerator,
    CoordGANPatchDiscriminator,
    CropRectangles,
)
from mmcoordgan.models.networks.discriminator import minibatch_stddev
from mmcoordgan.models.networks.patch_discriminator import crop_images
from mmcoordgan.models.networks.styled import ModulatedConv2d, SideChannels
from mmcoordgan.registry import MODELS


def tiny_generator(**changes) -> CoordGANGenerator:
    return MODELS.build({**GENERATOR, 'kernel_size': 3, **changes})


@torch.no_grad()
def test_evaluation_is_repeatable_and_training_noise_is_not():
    generator = tiny_generator()
    for name, parameter in generator.named_parameters():
        if name.endswith('noise_strength'):
            torch.nn.init.constant_(parameter, 0.5)
    z = torch.randn(2, 4), torch.randn(2, 4)
    generator.eval()
    torch.testing.assert_close(generator(*z), generator(*z), atol=0, rtol=0)
    torch.testing.assert_close(generator(*z)[:1], generator(z[0][:1], z[1][:1]))
    generator.train()
    assert (generator(*z) - generator(*z)).abs().max() > 1e-3
    coords, w = generator.warp(generator.map_structure(z[0])), generator.map_texture(z[1])
    const = generator.synthesize(coords, w, noise='const')
    zero = generator.synthesize(coords, w, noise='zero')
    assert (const - zero).abs().max() > 1e-3
    torch.testing.assert_close(const, generator.synthesize(coords, w, noise='const'))


@torch.no_grad()
def test_residual_warp_starts_as_the_identity():
    generator = tiny_generator()
    for parameter in generator.warp_net.last.parameters():
        parameter.zero_()
    coords = generator.warp(torch.randn(1, 6))
    torch.testing.assert_close(coords[0], 0.9 * canonical_grid(16, 16), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(('size', 'upsample'), [(3, False), (3, True), (1, False)])
def test_modulated_convolution_by_its_definition(size, upsample):
    layer = ModulatedConv2d(4, 6, size, 5, sees_coords=False, upsample=upsample, gain=3).double()
    x, style = torch.randn(2, 4, 8, 8).double(), torch.randn(2, 5).double()
    noise, weights = torch.randn(2, 1, 8, 8).double(), torch.randn(6, 2).double()
    sides = SideChannels(torch.randn(2, 2, 8, 8).double(), 8)(noise)
    scale = layer.modulation(style)
    expected = []
    for sample, s in zip(x, scale):
        scaled = (sample * s[:, None, None])[None]
        weight = layer.weight * layer.scale
        if upsample:
            out = torch.nn.functional.conv_transpose2d(scaled, weight.transpose(0, 1), stride=2)
            out, weights = layer.blur(out), torch.zeros_like(weights)
        else:
            out = torch.nn.functional.conv2d(scaled, weight, padding=size // 2)
        norm = (weight * s[:, None, None]).square().sum(dim=(1, 2, 3)).add(1e-8).sqrt()
        expected.append(3 * out / norm[:, None, None])
    if not upsample:
        for sample, n in zip(expected, noise):
            sample += 3 * (weights[:, :1, None] * n + weights[:, 1:, None])
    found = layer(torch.cat([x, sides], 1), style, weights)
    torch.testing.assert_close(found, torch.cat(expected))


@torch.no_grad()
def test_minibatch_stddev_by_hand():
    # Two groups that interleave: images 0, 2 and 1, 3.
    x = torch.tensor([1.0, 10.0, 3.0, 10.0]).view(4, 1, 1, 1)
    expected = torch.tensor([1.0, 1e-4, 1.0, 1e-4])
    torch.testing.assert_close(minibatch_stddev(x, 2).flatten(), expected)
    # 6 is no multiple of 4: groups of 3
    x = torch.tensor([0.0, 5.0, 3.0, 5.0, 6.0, 5.0]).view(6, 1, 1, 1)
    expected = torch.tensor([6.0**0.5, 1e-4] * 3)
    torch.testing.assert_close(minibatch_stddev(x, 4).flatten(), expected)


@torch.no_grad()
def test_discriminator_takes_any_batch_and_its_input_sizes_only():
    network = CoordGANDiscriminator(image_size=16, input_sizes=(8, 16, 32), channels=8)
    for batch, size in ((1, 16), (6, 16), (5, 8)):
        assert network(torch.randn(batch, 3, size, size)).shape == (batch, 1)
    with pytest.raises(ValueError, match=r'with S in \[8, 16\], but got \(2, 3, 32, 32\)'):
        network(torch.randn(2, 3, 32, 32))


@torch.no_grad()
def test_crops_show_what_the_rectangles_say():
    # A horizontal ramp: the sampled value is the x coordinate itself.
    width = 64
    ramp = ((torch.arange(width) + 0.5) / width * 2 - 1).expand(1, 3, width, width)
    rectangles = CropRectangles(
        flip=torch.tensor([1.0, -1.0]),
        scale=torch.tensor([[0.25, 0.125], [0.125, 0.25]]),
        offset=torch.tensor([[0.5, 0.0], [-0.25, 0.3]]),
    )
    crops = crop_images(ramp, rectangles, 5)
    assert crops.shape == (1, 2, 3, 5, 5)
    line = torch.linspace(-1, 1, 5)
    torch.testing.assert_close(crops[0, 0, 0], (0.5 + 0.25 * line).expand(5, 5))
    torch.testing.assert_close(crops[0, 1, 2], (-0.25 - 0.125 * line).expand(5, 5))


def test_random_rectangles_lie_inside_and_crops_are_differentiable():
    network = CoordGANPatchDiscriminator(channels=8, channel_base=128)
    rectangles = network.sample_rectangles(200, None)
    assert rectangles.scale.min() >= 1 / 8 and rectangles.scale.max() <= 1 / 4
    assert (rectangles.offset.abs() + rectangles.scale).max() <= 1 + 1e-6
    assert 0.4 < (rectangles.flip < 0).float().mean() < 0.6
    images = torch.randn(2, 3, 16, 16, dtype=torch.float64, requires_grad=True)
    some = CropRectangles(*(part[:4].double() for part in rectangles))
    assert torch.autograd.gradcheck(lambda x: crop_images(x, some, 3), [images])


def test_bad_arguments():
    with pytest.raises(ValueError, match=r'image_size must be a power of two .* got 48'):
        tiny_generator(image_size=48)
    with pytest.raises(ValueError, match=r"noise must be one of .* but got 'none'"):
        tiny_generator(noise='none')(torch.zeros(1, 4), torch.zeros(1, 4))
    with pytest.raises(ValueError, match='16 times a power of two of at most 1, but got 32'):
        tiny_generator().synthesize(torch.zeros(2, 2, 16, 16), torch.zeros(2, 5), image_size=32)
