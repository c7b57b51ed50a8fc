"""Requests for samples: what a CoordGAN and its data preprocessor make of them."""

import pytest
import torch
from mmengine.structures import BaseDataElement
from tiny_inversion import GENERATOR, STAGE1

from mmcoordgan.datasets import SwapSeeds
from mmcoordgan.integrations.joint_latent import JointLatentGenerator
from mmcoordgan.models import CoordGAN, GANDataPreprocessor
from mmcoordgan.models.networks import CoordGANGenerator
from mmcoordgan.registry import MODELS

SIZES = {**GENERATOR, 'texture_dim': 6}
SIZES.pop('type')


def build() -> CoordGAN:
    settings = dict(generator=CoordGANGenerator(**SIZES), losses={})
    return MODELS.build({**STAGE1, **settings, 'data_preprocessor': GANDataPreprocessor()}).eval()


def test_swap_seeds_exchange_one_code():
    model = build()
    (sample,) = model.test_step({'inputs': {'swap_seed': [7]}})
    source = torch.Generator().manual_seed(7)
    (s, other_s), (t, other_t) = (torch.randn(2, d, generator=source) for d in (4, 6))
    for name, structure, texture in (
        ('fake_img', s, t),
        ('texture_swap_img', s, other_t),
        ('structure_swap_img', other_s, t),
    ):
        image = model.sample(structure[None], texture[None])[0][0]
        assert torch.equal(getattr(sample, name), image), name
    assert torch.equal(sample.coords, model.sample(s[None], t[None])[1][0])
    assert (sample.fake_img - sample.texture_swap_img).abs().max() > 1e-3
    model.generator.fourier.conv.weight.data.add_(1)  # the average stays
    image = model({'swap_seed': [7], 'sample_model': 'ema/orig'}, mode='tensor')
    assert torch.equal(image[0], sample.fake_img)


def test_swap_seeds_data_set():
    first, again, other = SwapSeeds(length=3, seed=1), SwapSeeds(length=5, seed=1), SwapSeeds()
    seeds = [first[i]['inputs']['swap_seed'] for i in range(3)]
    assert len(set(seeds)) == 3 and all(0 <= seed < 2**63 for seed in seeds)
    assert seeds == [again[i]['inputs']['swap_seed'] for i in range(3)]
    assert seeds[0] != other[0]['inputs']['swap_seed']
    assert first[-1]['data_samples'].sample_idx == 2 and len(other) == 1000
    with pytest.raises(IndexError, match='out of range'):
        first[3]


@pytest.mark.parametrize(
    ('request_', 'message'),
    [
        ({'num_batch': 3}, "knows the keys structure_z, .* got {'num_batch': 3}"),
        ({'num_batches': 2, 'sample_kwargs': {'a': 1}}, 'knows the keys'),
        ({'num_batches': 2, 'sample_model': 'avg'}, "sample_model being one of .*'avg'"),
    ],
)
def test_requests_that_cannot_be_met(request_, message):
    with pytest.raises(ValueError, match=message):
        build()(request_, mode='predict')


def test_images_and_data_samples_count_only():
    model = build()
    images = [torch.zeros(3, 5, 5, dtype=torch.uint8)] * 3
    samples = [BaseDataElement(metainfo={'sample_idx': i}) for i in range(3)]
    found = model.test_step({'inputs': images, 'data_samples': samples})
    assert [sample.sample_idx for sample in found] == [0, 1, 2]
    assert len(model({'img': images}, mode='tensor')) == 3
    assert len(model({}, samples, mode='predict')) == 3


def test_preprocessor_normalizes_images_and_passes_requests():
    preprocessor = GANDataPreprocessor()
    image = torch.tensor([0, 255, 51], dtype=torch.uint8)[:, None, None].expand(3, 2, 2)
    inputs = preprocessor({'inputs': [image]}, training=True)['inputs']
    torch.testing.assert_close(inputs[0, :, 0, 0], torch.tensor([-1.0, 1.0, -0.6]))
    request = {'num_batches': 2, 'sample_model': 'ema', 'structure_z': torch.ones(2, 4)}
    assert preprocessor({'inputs': request})['inputs'].keys() == request.keys()
    assert preprocessor({'inputs': request}, training=True)['inputs']['sample_model'] == 'ema'


def test_joint_latent_generator_equals_its_parent():
    parent = CoordGANGenerator(**SIZES).eval()
    joint = JointLatentGenerator(**SIZES).eval()
    joint.load_state_dict(parent.state_dict())
    assert joint.noise_size == joint.style_channels == 10
    noise = torch.randn(2, 10)
    expected = parent(noise[:, :4], noise[:, 4:])
    torch.testing.assert_close(joint(noise, return_noise=False), expected)
    found = joint(noise, return_latents=True)
    torch.testing.assert_close(found['fake_img'], expected)
    assert torch.equal(found['noise_batch'], noise)
    codes = torch.cat([parent.map_structure(noise[:, :4]), parent.map_texture(noise[:, 4:])], 1)
    assert torch.equal(found['latent'], codes[:, None])
    # What path length regularization needs: gradients of images with respect to the codes.
    (gradient,) = torch.autograd.grad(found['fake_img'].sum(), found['latent'])
    assert (gradient[..., :6] != 0).any() and (gradient[..., 6:] != 0).any()
    assert joint(None, num_batches=3).shape == (3, 3, 16, 16)
