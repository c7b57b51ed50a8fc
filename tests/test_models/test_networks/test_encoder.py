"""Encoders: equal to the reference (test_io does so at a small size), sizes, arguments."""

import pytest
import reference
import torch
import torch.nn.functional as F
from reference import SMALL_ENCODER, image, numbers, relative_error

from mmcoordgan.geometry import canonical_grid
from mmcoordgan.models.networks import CoordGANEncoder, DenseEncoder

TOLERANCE = 1e-5


@pytest.mark.slow
@torch.no_grad()
def test_published_encoder_matches_reference():
    expected = numbers('full_e')
    network = CoordGANEncoder()
    reference.fill(network, 'e', 'celebA_enc', base_resolution=128)
    structure_w, texture_w, _ = network(image('real', (2, 3, 128, 128)))
    assert relative_error(structure_w, expected['struc']) < TOLERANCE
    assert relative_error(texture_w, expected['style']) < TOLERANCE


@torch.no_grad()
def test_larger_images_are_resized_with_antialiasing():
    network = reference.small_encoder()
    large = image('large', (2, 3, 64, 96))
    small = F.interpolate(large, (32, 32), mode='bilinear', antialias=True, align_corners=False)
    for found, expected in zip(network(large)[:2], network(small)[:2]):
        assert torch.equal(found, expected)
    aliased = F.interpolate(large, (32, 32), mode='bilinear', align_corners=False)
    assert (network(large)[0] - network(aliased)[0]).abs().max() > 1e-3


@torch.no_grad()
def test_one_code_for_all_layers():
    """With one code, W+ loses its dimension: what the generator takes as W."""
    network = CoordGANEncoder(**{**SMALL_ENCODER, 'num_texture_codes': 1})
    assert network(torch.zeros(3, 3, 32, 32)).texture_w.shape == (3, 32)


def test_bad_arguments():
    with pytest.raises(ValueError, match='input_size must be a power of two of at least 32, but'):
        CoordGANEncoder(**{**SMALL_ENCODER, 'input_size': 16})
    with pytest.raises(ValueError, match=r'input_size must be .* at least 16, but got 8'):
        CoordGANEncoder(**{**SMALL_ENCODER, 'input_size': 8, 'texture_channels': ()})


def tiny_dense(**settings) -> DenseEncoder:
    torch.manual_seed(0)
    sizes = dict(input_size=16, texture_width=5, channels=(4, 6, 8))
    return DenseEncoder(**{**sizes, **settings})


@pytest.mark.parametrize('work_size', [16, 8])
def test_dense_maps_start_at_the_canonical_grid(work_size):
    found = tiny_dense(work_size=work_size)(torch.randn(2, 3, 16, 16))
    assert found.structure_w is None and found.texture_w.shape == (2, 5)
    assert torch.equal(found.coords, canonical_grid(16, 16).expand(2, -1, -1, -1))


def test_every_parameter_of_a_dense_encoder_is_used_and_other_sizes_are_resized():
    encoder = tiny_dense()
    torch.nn.init.normal_(encoder.to_map.weight)
    found = encoder(torch.randn(2, 3, 30, 20))
    assert found.coords.shape == (2, 2, 16, 16)
    (found.coords.square().sum() + found.texture_w.square().sum()).backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_images_do_not_influence_each_other_in_evaluation():
    encoder = tiny_dense().eval()
    torch.nn.init.normal_(encoder.to_map.weight)
    images = torch.randn(3, 3, 16, 16)
    assert torch.allclose(encoder(images).coords[1:2], encoder(images[1:2]).coords, atol=1e-5)


def test_bad_arguments_of_dense_encoders():
    with pytest.raises(ValueError, match='work_size must be 16 or 8'):
        tiny_dense(work_size=4)
    with pytest.raises(ValueError, match='input_size'):
        tiny_dense(input_size=20)
