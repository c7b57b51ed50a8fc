"""Networks against the outputs of the reference implementation."""

import numpy as np
import pytest
import reference
import torch
from reference import crops, image, numbers, relative_error, rnd

from mmcoordgan.models.networks import (
    CoordGANDiscriminator,
    CoordGANGenerator,
    CoordGANPatchDiscriminator,
)

TOLERANCE = 1e-4


@torch.no_grad()
def check_generator(network, expected, plain, latent, size, texture_codes):
    """Both codes, their map and image; and with one texture code for each layer."""
    structure_z, texture_z = rnd('z_struc', size), rnd('z_style', size)
    structure_w, texture_w = network.map_structure(structure_z), network.map_texture(texture_z)
    coords, latent_coords = network.warp(structure_w), network.warp(rnd('w_struc', size))
    texture_codes = rnd('w_style', (size[0], texture_codes, size[1]))
    for name, found in {
        f'{plain}struc_w': structure_w,
        f'{plain}style_w': texture_w,
        f'{plain}warp': coords,
        f'{plain}image': network(structure_z, texture_z),
        f'{latent}warp': latent_coords,
        f'{latent}image': network.synthesize(latent_coords, texture_codes),
    }.items():
        assert relative_error(found, expected[name]) < TOLERANCE, name


def test_small_generator_matches_reference():
    expected = numbers('small_s32_forward')
    check_generator(reference.small_generator(), expected, 'g/', 'g_latent/', (4, 32), 8)


@torch.no_grad()
@pytest.mark.parametrize('size', [32, 64, 128])
def test_upsampling_levels_match_reference(size):
    expected = numbers('small_s32_forward')[f'g_x4/image_cur{size}']
    network = reference.small_generator(image_size=128)
    coords = network.warp(network.map_structure(rnd('z_struc', (4, 32))[:2]))
    texture_w = network.map_texture(rnd('z_style', (4, 32))[:2])
    image = network.synthesize(coords, texture_w, image_size=size)
    assert relative_error(image, expected) < TOLERANCE


@torch.no_grad()
@pytest.mark.parametrize(
    ('image_size', 'batch', 'size', 'name'),
    [(32, batch, 32, f'd/logits_b{batch}') for batch in (1, 2, 4, 8)]
    + [(128, 2, size, f'd_x4/logits_cur{size}_b2') for size in (32, 64, 128)],
)
def test_small_discriminators_match_reference(image_size, batch, size, name):
    network = reference.small_discriminator(image_size)
    logits = network(image('real', (batch, 3, size, size)))
    assert relative_error(logits, numbers('small_s32_forward')[name]) < TOLERANCE


@torch.no_grad()
def test_small_patch_discriminator_matches_reference():
    expected = numbers('small_s32_forward')
    network = reference.small_patch_discriminator()
    images = image('real', (2, 3, 32, 32))
    reference_crops = network.crop(images, crops('ref', 16))
    target_crops = network.crop(images, crops('tgt', 16))
    assert relative_error(reference_crops, expected['patch/crops_ref']) < TOLERANCE
    assert relative_error(target_crops, expected['patch/crops_tgt']) < TOLERANCE
    features = network.aggregate(network.features(reference_crops)).flatten(0, 1)
    assert relative_error(features, expected['patch/feat_ref_agg']) < TOLERANCE
    logits = network(reference_crops, target_crops)
    assert relative_error(logits, expected['patch/logits']) < TOLERANCE


@pytest.mark.slow
def test_published_generator_matches_reference():
    network = reference.fill(CoordGANGenerator(), 'g', 'celebA_128', base_resolution=128)
    check_generator(network, numbers('full_g128'), '', 'latent_', (2, 512), 12)


@pytest.mark.slow
@torch.no_grad()
def test_published_discriminators_match_reference():
    expected = numbers('full_d')
    sizes = (128, 256, 512)
    for image_size, kind in ((128, 'celebA_128'), (512, 'celebA_512')):
        network = CoordGANDiscriminator(image_size=image_size, input_sizes=sizes)
        reference.fill(network, 'd', kind, base_resolution=128)
        if image_size == 128:
            logits = {f'd128_b{b}': network(image('real', (b, 3, 128, 128))) for b in (2, 4)}
        else:
            logits = {
                'd512_b2': network(image('real', (2, 3, 512, 512))),
                'd512_cur128_b4': network(image('real', (4, 3, 128, 128))),
            }
        for name, value in logits.items():
            assert relative_error(value, expected[name]) < TOLERANCE, name


@pytest.mark.slow
@torch.no_grad()
def test_published_patch_discriminator_matches_reference():
    expected = numbers('full_patch')
    network = CoordGANPatchDiscriminator()
    reference.fill(network, 'd_patch', 'celebA_128', base_resolution=128)
    images = image('real', (2, 3, 128, 128))
    found = {name: network.crop(images, crops(name, 16)) for name in ('ref', 'tgt')}
    for name, value in found.items():
        chosen = value.flatten().numpy()[expected[f'crops_{name}#idx']]
        assert np.abs(chosen - expected[f'crops_{name}#val']).max() < TOLERANCE
    features = network.features(found['tgt']).flatten(0, 1)
    assert relative_error(features, expected['feat_tgt']) < TOLERANCE
    assert relative_error(network(found['ref'], found['tgt']), expected['logits']) < TOLERANCE
