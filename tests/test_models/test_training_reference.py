"""The training step against the reference: loss terms, their gradients, and its training loop."""

import numpy as np
import pytest
import reference
import tiny_inversion
import torch
from mmengine.optim import OptimWrapperDict
from reference import (
    check_gradients,
    crops,
    image,
    numbers,
    published_losses,
    relative_error,
    rnd,
    stored_beside,
)

from mmcoordgan.io.official_names import official_names
from mmcoordgan.models import CoordGAN
from mmcoordgan.models.losses import DetachedFakes, Fakes

REFERENCE_NAMES = dict(  # ours -> theirs
    g_gan='G.g_gan',
    g_patch='G.g_patch',
    g_texture_swap='G.g_perc',
    g_chamfer='G.g_cham',
    g_warp='G.g_rgb',
    d_gan='D.d_gan',
    d_patch='D.d_patch',
    d_r1='D.d_r1_scaled',
    d_patch_r1='D.d_patch_r1_scaled',
)
FULL_STRENGTH = 32_000  # every term is active with its full weight, the lazy ones included


@pytest.fixture
def model(lpips) -> CoordGAN:
    """CoordGAN with the reference's small networks; codes and crops are injected by the tests."""
    generator = reference.small_generator()
    generator.noise = 'zero'  # the reference's numbers were made without noise
    return CoordGAN(
        generator=generator,
        discriminator=reference.small_discriminator(),
        patch_discriminator=reference.small_patch_discriminator(),
        perceptual=lpips,
        losses=published_losses('celeba_128'),
    )


def inject_crops(model: CoordGAN, tags: list[str]) -> None:
    """Let the patch discriminator's next calls cut these rectangles."""
    queue = iter(tags)
    model.patch_discriminator.sample_rectangles = lambda n, device: crops(next(queue), 8 * n)


def terms(model: CoordGAN) -> dict[str, torch.Tensor]:
    """All nine weighted terms on the reference's inputs."""
    real = image('real', (4, 3, 32, 32))
    fakes = Fakes(model.generator, rnd('z_struc', (4, 32)), rnd('z_style', (4, 32)))
    inject_crops(model, ['D_real', 'D_target', 'D_mix', 'R1_real', 'R1_target', 'G_real', 'G_mix'])
    losses, detached = {}, DetachedFakes(fakes)
    for step, images in (
        ('discriminator', detached),
        ('regularization', detached),
        ('generator', fakes),
    ):
        losses.update(model.losses.compute(step, model.view(real, images), FULL_STRENGTH))
    return losses


@pytest.mark.parametrize('name', list(REFERENCE_NAMES))
def test_terms_and_gradients(model, name):
    theirs = REFERENCE_NAMES[name]
    loss = terms(model)[name]
    assert loss.item() == pytest.approx(numbers('small_values.json')[theirs], rel=1e-4)
    loss.backward()
    network, key = model.generator, 'g'
    if name.startswith('d_'):
        key = 'd_patch' if 'patch' in name else 'd'
        network = model.patch_discriminator if 'patch' in name else model.discriminator
    # Rounding decides the kinks of ReLU and max-pooling: in g_patch a single neuron differs.
    tolerance = 5e-3 if name in ('g_texture_swap', 'g_warp', 'g_patch') else 1e-3
    assert check_gradients(network, key, theirs, tolerance) > 10


def optimizers(model: CoordGAN) -> OptimWrapperDict:
    intervals = {'generator': 4, 'discriminator': 16}
    settings = {name: dict(regularization_interval=i) for name, i in intervals.items()}
    return tiny_inversion.optimizers(model, lr=0.002, **settings)


def test_two_iterations_of_the_reference_loop(model):
    expected = numbers('small_values.json')['train.early_i4000']
    names = {'d_gan': 'd_gan', 'g_gan': 'g_gan', 'g_texture_swap': 'g_perc'}
    names.update({'g_chamfer': 'g_cham', 'g_warp': 'g_rgb'})
    model.iteration.fill_(4000)
    wrapper = optimizers(model)
    for offset in range(2):
        i = 4000 + offset
        codes = iter(
            [(rnd(f'it{i}_{k}_struc', (4, 32)), rnd(f'it{i}_{k}_style', (4, 32))) for k in 'dg']
        )
        model.sample_codes = lambda batch, codes=codes: next(codes)
        log = model.train_step({'inputs': image(f'it{i}_real', (4, 3, 32, 32))}, wrapper)
        for ours, theirs in names.items():
            assert log[ours].item() == pytest.approx(expected[offset][theirs], rel=1e-3), ours
        if offset == 0:
            assert log['d_r1'].item() == pytest.approx(80 * expected[0]['r1'], rel=1e-3)
        assert 'd_patch' not in log and 'g_patch' not in log
        assert ('d_r1' in log) == (offset == 0)

    stored = numbers('small_train_early_i4000')
    for key, network in (('g', model.generator), ('d', model.discriminator)):
        state = network.state_dict()
        names = official_names(key, state, base_resolution=32)
        pairs = list(stored_beside(stored, key, names, state))
        assert len(pairs) > 10
        for official, found, after in pairs:
            assert np.abs(found - after).mean() < 1e-4 + 1e-3 * np.abs(after).mean(), official


def test_averaged_generator_follows(model):
    before = model.generator_ema.state_dict()['stem.bias'].clone()
    wrapper = optimizers(model)
    inject_crops(model, [])
    model.train_step({'inputs': image('real', (4, 3, 32, 32))}, wrapper)
    current = model.generator.state_dict()['stem.bias']
    decay = 0.5 ** (32 / 10_000)
    expected = decay * before + (1 - decay) * current
    assert relative_error(model.generator_ema.state_dict()['stem.bias'], expected.numpy()) < 1e-5
    assert (current - before).abs().max() > 1e-4
    assert int(model.iteration) == 1
