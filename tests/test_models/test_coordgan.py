"""The CoordGAN model: what its training step does, refuses and returns."""

import copy

import pytest
import tiny_inversion
import torch
from mmengine.optim import OptimWrapperDict
from tiny_inversion import GENERATOR, batch, same, snapshot

from mmcoordgan.geometry import RandomWarps, sample_image
from mmcoordgan.models import CoordGAN
from mmcoordgan.models.images import resize_square
from mmcoordgan.registry import MODELS

TINY = dict(
    type='CoordGAN',
    generator=dict(GENERATOR, warp_residual=False),
    discriminator=dict(type='CoordGANDiscriminator', image_size=16, channels=8),
    patch_discriminator=dict(
        type='CoordGANPatchDiscriminator', crop_size=8, num_crops=2, channels=8, hidden=8
    ),
    perceptual=dict(type='StructureTensorLoss'),
    losses=dict(
        d_gan=dict(type='LogisticLoss'),
        d_patch=dict(type='LogisticLoss', interval=2),
        d_r1=dict(type='R1Loss', interval=4),
        d_patch_r1=dict(type='R1Loss', interval=4),
        g_gan=dict(type='NonsaturatingLoss'),
        g_patch=dict(type='NonsaturatingLoss', interval=2),
        g_texture_swap=dict(type='TextureSwapLoss', start=1),
        g_chamfer=dict(type='ChamferLoss'),
        g_warp=dict(type='WarpLoss', interval=3),
    ),
)


def build(**changes) -> CoordGAN:
    return MODELS.build({**copy.deepcopy(TINY), **changes})


def optimizers(model: CoordGAN) -> OptimWrapperDict:
    return tiny_inversion.optimizers(model, generator={}, discriminator={})


@pytest.mark.parametrize('share_fakes', [False, True])
def test_terms_are_active_by_their_schedules(share_fakes):
    model = build(share_fakes=share_fakes)
    wrapper, calls, warp = optimizers(model), [], model.generator.warp
    model.generator.warp = lambda *a: calls.append(1) or warp(*a)
    always = {'d_gan', 'g_gan', 'g_chamfer'}
    lazy = [
        {'d_patch', 'd_r1', 'd_patch_r1', 'g_patch', 'g_warp'},
        {'g_texture_swap'},
        {'d_patch', 'g_patch', 'g_texture_swap'},
        {'g_texture_swap', 'g_warp'},
        {'d_patch', 'd_r1', 'd_patch_r1', 'g_patch', 'g_texture_swap'},
    ]
    for iteration, expected in enumerate(lazy):
        log = model.train_step(batch(), wrapper)
        # One structure pass, though shared images are rendered with two textures.
        assert not share_fakes or len(calls) == iteration + 1
        assert set(log) == always | expected, iteration
        assert all(torch.isfinite(v) and not v.requires_grad for v in log.values())
    assert int(model.iteration) == 5


@pytest.mark.parametrize('share_fakes', [False, True])
def test_each_step_moves_its_own_networks_only(share_fakes, monkeypatch):
    model = build(share_fakes=share_fakes)
    wrapper = optimizers(model)
    seen = {}
    original = model._step

    def spy(step, *args):
        before = {n: snapshot(getattr(model, n)) for n in ('generator', 'discriminator')}
        log = original(step, *args)
        seen[step] = {n for n, b in before.items() if not same(getattr(model, n), b)}
        return log

    monkeypatch.setattr(model, '_step', spy)
    model.train_step(batch(), wrapper)
    discriminator = {'discriminator'}
    expected = dict(discriminator=discriminator, regularization=discriminator)
    assert seen == {**expected, 'generator': {'generator'}}
    for network in (model.discriminator, model.patch_discriminator):
        # Nothing of the generator's step is left for the discriminators' next one.
        assert all(p.requires_grad and p.grad is None for p in network.parameters())


@torch.no_grad()
def test_autocast_keeps_coordinates_precise():
    generator, z = build().generator, torch.randn(4, 4)
    precise = generator.warp(generator.map_structure(z))
    with torch.autocast('cpu', dtype=torch.bfloat16):
        coords = generator.warp(generator.map_structure(z))
    assert coords.dtype == torch.float32 and (coords - precise).abs().max() < 0.01
    # Only the codes went through bfloat16, which has 256 values in [0.5, 1).
    assert coords.unique().numel() > 0.9 * coords.numel() / 2


@pytest.mark.parametrize('size', [1, 3])
def test_odd_batch_is_refused(size):
    model = build()
    message = f'batch size on every device must be even, not {size}, .*train_dataloader.batch_size'
    with pytest.raises(ValueError, match=message):
        model.train_step(batch(size), optimizers(model))


def test_frozen_modules_stay():
    model = build(frozen=('structure_mapping', 'warp_net'))
    before = snapshot(model.generator)
    model.train_step(batch(), optimizers(model))
    after = model.generator.state_dict()
    moved = {name.split('.')[0] for name in before if not torch.equal(after[name], before[name])}
    assert 'texture_mapping' in moved and not moved & {'structure_mapping', 'warp_net'}


def test_sampling_modes():
    model = build().eval()
    images = model(batch(3)['inputs'], mode='tensor')
    assert images.shape == (3, 3, 16, 16)
    z = torch.randn(2, 4), torch.randn(2, 4)
    request = dict(structure_z=z[0], texture_z=z[1])
    samples = model(request, mode='predict')
    images, coords = model.sample(*z)
    for sample, image, map_ in zip(samples, images, coords):
        assert torch.equal(sample.fake_img, image) and torch.equal(sample.coords, map_)
    torch.nn.init.normal_(model.generator.stem_to_rgb.bias)
    current = model({**request, 'use_ema': False}, mode='tensor')
    assert (current - images).abs().max() > 1e-3
    with pytest.raises(ValueError, match="mode must be 'tensor' or 'predict', but got 'loss'"):
        model(request, mode='loss')


def save(path, model: torch.nn.Module) -> str:
    torch.save({'state_dict': model.state_dict(), 'meta': {}}, path)
    return str(path)


def test_pretrained_generator_gains_upsampling_levels(tmp_path):
    small = build()
    torch.nn.init.normal_(small.generator_ema.stem.bias)
    torch.nn.init.normal_(small.patch_discriminator.decision[1].bias)
    small.iteration.fill_(300_000)
    path = save(tmp_path / 'small.pth', small)
    generator = {**TINY['generator'], 'image_size': 32, 'kernel_size': 1}
    discriminator = dict(type='CoordGANDiscriminator', image_size=32, channels=8)
    large = build(generator=generator, discriminator=discriminator, pretrained_generator=path)
    fresh = snapshot(large.discriminator)
    large.init_weights()
    assert same(large.discriminator, fresh)
    assert int(large.iteration) == 300_000
    assert same(large.patch_discriminator, small.patch_discriminator.state_dict())
    for name in ('generator', 'generator_ema'):
        ours, theirs = getattr(large, name).state_dict(), getattr(small, name).state_dict()
        assert all(torch.equal(ours[k], v) for k, v in theirs.items())
        assert len(ours) > len(theirs)


def test_pretrained_generator_errors(tmp_path):
    model = build(pretrained_generator=str(tmp_path / 'nowhere.pth'))
    with pytest.raises(FileNotFoundError, match=r'nowhere\.pth.*model\.pretrained_generator'):
        model.init_weights()
    torch.save({'state_dict': {'backbone.weight': torch.zeros(1)}}, tmp_path / 'foreign.pth')
    model.pretrained_generator = str(tmp_path / 'foreign.pth')
    with pytest.raises(ValueError, match=r'foreign\.pth.*holds no generator'):
        model.init_weights()


def test_real_images_are_warped_from_the_start_on(monkeypatch):
    model = build(real_warps=dict(start=1, angle=0, scale=1, stretch=0, bend=0, shift=0.5))
    seen = []
    monkeypatch.setattr(model, '_generate', lambda real, grad: seen.append(real) or [])
    monkeypatch.setattr(model, '_step', lambda *args: {})
    images = torch.rand(2, 3, 32, 32)
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        model.train_step(dict(inputs=images), dict(discriminator=None, generator=None))
    small = torch.nn.functional.avg_pool2d(images, 2)
    first, *warped = seen[::2]  # two batches an iteration, without share_fakes
    assert first.shape == (2, 3, 16, 16) and (first - small).abs().max() < 0.3
    torch.manual_seed(0)
    warp = RandomWarps(angle=0, scale=1, stretch=0, bend=0, shift=0.5).draw(2, 32)
    assert torch.equal(warped[0], resize_square(sample_image(images, warp), 16))
    assert not torch.equal(warped[0], warped[1])
