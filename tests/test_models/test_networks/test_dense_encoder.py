"""The dense encoder: images to maps."""

import pytest
import torch

from mmcoordgan.geometry import canonical_grid
from mmcoordgan.models.networks import DenseEncoder


def tiny(**settings) -> DenseEncoder:
    torch.manual_seed(0)
    return DenseEncoder(
        **dict(dict(input_size=16, texture_width=5, channels=(4, 6, 8)), **settings)
    )


@pytest.mark.parametrize('work_size', [16, 8])
def test_maps_start_at_the_canonical_grid(work_size):
    found = tiny(work_size=work_size)(torch.randn(2, 3, 16, 16))
    assert found.structure_w is None and found.texture_w.shape == (2, 5)
    assert torch.equal(found.coords, canonical_grid(16, 16).expand(2, -1, -1, -1))


def test_every_parameter_is_used_and_other_sizes_are_resized():
    encoder = tiny()
    torch.nn.init.normal_(encoder.to_map.weight)
    found = encoder(torch.randn(2, 3, 30, 20))
    assert found.coords.shape == (2, 2, 16, 16)
    (found.coords.square().sum() + found.texture_w.square().sum()).backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_images_do_not_influence_each_other_in_evaluation():
    encoder = tiny().eval()
    torch.nn.init.normal_(encoder.to_map.weight)
    images = torch.randn(3, 3, 16, 16)
    assert torch.allclose(encoder(images).coords[1:2], encoder(images[1:2]).coords, atol=1e-5)


def test_bad_arguments():
    with pytest.raises(ValueError, match='work_size must be 16 or 8'):
        tiny(work_size=4)
    with pytest.raises(ValueError, match='input_size'):
        tiny(input_size=20)
