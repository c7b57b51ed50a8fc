"""Equivariance: a warped image has the warped map."""

from types import SimpleNamespace

import pytest
import torch
from tiny_inversion import STAGE2

from mmcoordgan.geometry import RandomWarps, canonical_grid, sample_image
from mmcoordgan.models.losses import EquivarianceLoss, equivariance, map_distance
from mmcoordgan.models.networks import Encoding
from mmcoordgan.registry import MODELS

DENSE = dict(type='DenseEncoder', input_size=16, texture_width=5, channels=(4, 6, 8))


def test_map_distance_by_hand():
    grid = canonical_grid(2, 2)[None]
    moved = grid + torch.tensor([0.3, -0.4]).view(1, 2, 1, 1)
    assert map_distance(moved, grid) == pytest.approx(0.5, abs=1e-5)
    with pytest.raises(ValueError, match='coords and target must have one shape'):
        map_distance(grid, grid[..., :1])


def test_focus_by_hand():
    target = torch.tensor([[0.0, 1.0], [0.0, 0.0]]).view(1, 2, 1, 2)  # the centre, and an edge
    coords = target + torch.tensor([[0.1, 0.4], [0.0, 0.0]]).view(1, 2, 1, 2)
    centre, edge = 0.15 + 1.0, 0.15 + 2.718281828**-4.0
    expected = (0.1 * centre + 0.4 * edge) / (centre + edge)
    assert map_distance(coords, target, focus=0.5) == pytest.approx(expected, abs=1e-4)


def taught_by(loss: EquivarianceLoss, teach, iteration: int = 10, size: int = 16) -> torch.Tensor:
    real = torch.arange(size).expand(2, 3, size, size).float()
    return loss._taught(SimpleNamespace(real=real, iteration=iteration, teach=teach))


def test_aligned_images_are_first_taught_the_grid_and_then_maps_around_it():
    grid = canonical_grid(16, 16)
    shrunk = 0.8 * grid.expand(2, -1, -1, -1) + 0.1
    wanted = torch.stack([grid + 0.05, grid - 0.05])
    loss = EquivarianceLoss(on='real', aligned=5)
    assert torch.equal(taught_by(loss, lambda x: shrunk, iteration=4)[0], grid)
    for _ in range(1000):
        taught = taught_by(loss, lambda x: 0.8 * wanted + 0.1)
    # The mean of the maps is the grid again, what tells images apart is kept.
    assert (taught.mean(0) - grid).abs()[:, 1:-1, 1:-1].max() < 0.02
    assert torch.allclose(taught[0] - taught[1], torch.full_like(grid, 0.08), atol=1e-5)
    free = EquivarianceLoss(on='real')
    assert torch.equal(taught_by(free, lambda x: shrunk), shrunk)


def test_symmetric_objects_are_taught_by_both_sides():
    # A teacher that is wrong by .1 to the right, whatever it sees: the errors cancel.
    grid = canonical_grid(16, 16)
    wrong = (grid + torch.tensor([0.1, 0.0]).view(2, 1, 1)).expand(2, -1, -1, -1)
    taught = taught_by(EquivarianceLoss(on='real', mirror=True), lambda x: wrong)
    assert torch.allclose(taught[0], grid, atol=1e-6)


@pytest.mark.parametrize('on', ['real', 'synthesized'])
def test_zero_for_an_encoder_that_reads_the_map_off_the_image(on, monkeypatch):
    monkeypatch.setattr(equivariance, 'photometric_noise', lambda images: images)
    grid = canonical_grid(16, 16).expand(2, -1, -1, -1)
    images = torch.cat([grid, grid[:, :1]], 1)

    def view(shift: float) -> SimpleNamespace:
        return SimpleNamespace(
            real=images,
            synthesized=images,
            iteration=0,
            teach=lambda x: grid,
            truth=Encoding(None, grid[:, :1], grid),
            generator=None,
            encoder=lambda x: Encoding(None, x, x[:, :2] + shift),
        )

    loss = EquivarianceLoss(on=on, warps=dict(bend=0.1))
    assert loss(view(0.0)) < 2e-3
    assert loss(view(0.1)) == pytest.approx(0.1 * 2**0.5, abs=1e-3)


def test_an_encoder_that_ignores_the_image_pays_for_the_warp(monkeypatch):
    grid = canonical_grid(16, 16).expand(2, -1, -1, -1)
    view = SimpleNamespace(
        real=torch.zeros(2, 3, 16, 16),
        iteration=0,
        teach=lambda x: grid,
        generator=None,
        encoder=lambda x: Encoding(None, x, grid),
    )
    torch.manual_seed(3)
    loss = EquivarianceLoss(on='real')(view)
    torch.manual_seed(3)
    warp = RandomWarps().draw(2, 16)
    assert loss == pytest.approx(float(map_distance(grid, sample_image(grid, warp))), rel=1e-5)


def inversion(**settings):
    config = dict(STAGE2, encoder=DENSE, refinement=None, perceptual=None, **settings)
    torch.manual_seed(0)
    return MODELS.build(config)


def test_the_average_teaches_and_predicts():
    losses = dict(equivariance=dict(type='EquivarianceLoss'))
    with pytest.raises(ValueError, match='equivariance needs the network teacher'):
        inversion(losses=losses)
    model = inversion(losses=losses, ema_decay=0.5)
    weight, average = model.encoder.to_map.weight, model.encoder_ema.to_map.weight
    images = torch.randn(2, 3, 16, 16)
    model.loss(images)
    with torch.no_grad():
        weight.fill_(1.0)  # as an optimizer would
    model.loss(images)  # iteration 1: decay 1 / 11
    assert torch.allclose(average, torch.full_like(average, 10 / 11))
    with torch.no_grad():
        weight.fill_(0.0)
    for _ in range(2, 30):  # decays i / (i + 10), at most 0.5
        model.loss(images)
    expected = 10 / 11
    for iteration in range(2, 30):
        expected *= min(0.5, iteration / (iteration + 10))
    assert torch.allclose(average, torch.full_like(average, expected), rtol=1e-4)
    model.train()
    assert not model.encoder_ema.training and model.encoder.training
    with torch.no_grad():
        average.fill_(0.1)
    model.eval()
    assert torch.equal(model.encode(images).coords, model.encoder_ema(images).coords)
    assert not torch.equal(model.encode(images).coords, model.encoder(images).coords)


def test_a_teacher_is_renewed_at_intervals():
    losses = dict(equivariance=dict(type='EquivarianceLoss'))
    with pytest.raises(ValueError, match='teacher_interval needs ema_decay'):
        inversion(losses={}, teacher_interval=3)
    model = inversion(losses=losses, ema_decay=0.5, teacher_interval=3)
    averages = []
    for iteration in range(5):
        model.loss(torch.randn(2, 3, 16, 16))
        averages.append(model.encoder_ema.to_map.weight.clone())
        copied = model.encoder_teacher.to_map.weight
        assert torch.equal(copied, averages[iteration // 3 * 3]), iteration
        with torch.no_grad():
            model.encoder.to_map.weight.add_(1.0)  # as an optimizer would
    assert model.view(torch.zeros(2, 3, 16, 16)).teacher is model.encoder_teacher
    assert not torch.equal(averages[4], averages[3])
    # Published models hold the average alone, as the encoder.
    state = {k: v for k, v in model.state_dict().items() if not k.startswith('encoder_')}
    model.load_state_dict(state)
    assert torch.equal(model.encoder_teacher.to_map.weight, model.encoder.to_map.weight)


def test_gradients_reach_the_encoder_alone():
    losses = dict(
        equivariance=dict(type='EquivarianceLoss'), warped_coords=dict(type='EquivarianceLoss')
    )
    model = inversion(losses=losses, ema_decay=0.9)
    values = model.loss(torch.randn(2, 3, 16, 16))
    assert set(values) == {'loss_equivariance', 'loss_warped_coords'}
    sum(values.values()).backward()
    with_gradient = {n.split('.')[0] for n, p in model.named_parameters() if p.grad is not None}
    assert with_gradient == {'encoder'}
