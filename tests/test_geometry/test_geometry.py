"""Coordinate functions against brute force, gradcheck and hand-counted values."""

import math

import cv2
import pytest
import torch
from test_locality import dense_transfer
from torch import Tensor

from mmcoordgan.geometry import (
    _near,
    canonical_grid,
    chamfer_to_grid,
    hard_transfer,
    mean_of_sides,
    move_to_template,
    resize_map,
    soft_transfer,
)


@pytest.fixture(params=['one chunk', 'many chunks'])
def chunks(request, monkeypatch):
    """Run a test with everything in one chunk, and with one block of pixels in each."""
    if request.param == 'many chunks':
        monkeypatch.setitem(_near.MAX_PAIRS, 'cpu', 1)


def maps(*sizes: tuple[int, int], batch: int = 2) -> list[Tensor]:
    return [torch.rand(batch, 2, *size, dtype=torch.float64) * 2 - 1 for size in sizes]


def test_grid_convention():
    grid = canonical_grid(2, 3)
    assert grid.tolist() == [[[-1, 0, 1], [-1, 0, 1]], [[-1, -1, -1], [1, 1, 1]]]
    assert canonical_grid(1, 1, dtype=torch.float64).dtype == torch.float64
    torch.testing.assert_close(resize_map(grid[None], (5, 7))[0], canonical_grid(5, 7))


@pytest.mark.parametrize('batch', [1, 3])
def test_soft_transfer_is_its_definition(chunks, batch):
    source, target = maps((4, 3), (2, 5), batch=batch)
    values = torch.randn(batch, 3, 4, 3, dtype=torch.float64)
    found = soft_transfer(values, source, target, temperature=0.3)
    torch.testing.assert_close(found, dense_transfer(values, source, target, 0.3))


def test_soft_transfer_goes_from_source_to_target():
    # The target is the source moved one pixel to the left: each pixel shows its right neighbour.
    grid = canonical_grid(4, 4)[None]
    moved = grid + torch.tensor([2 / 3, 0])[:, None, None]
    values = torch.arange(16.0).view(1, 1, 4, 4)
    found = soft_transfer(values, grid, moved)
    torch.testing.assert_close(found[..., :3], values[..., 1:], atol=1e-4, rtol=0)
    assert hard_transfer(values, grid, moved).equal(values[..., [1, 2, 3, 3]])


def test_gradcheck(chunks):
    source, target = maps((3, 4), (2, 3))
    values = torch.randn(2, 2, 3, 4, dtype=torch.float64)
    inputs = [x.requires_grad_() for x in (values, source, target)]
    assert torch.autograd.gradcheck(
        lambda *x: soft_transfer(*x, temperature=0.3), inputs, fast_mode=True
    )
    assert torch.autograd.gradcheck(chamfer_to_grid, [source], fast_mode=True)
    assert torch.autograd.gradcheck(lambda v: hard_transfer(v, source, target), [values])


def test_soft_transfer_keeps_dtype_and_stays_finite_far_outside():
    source, target = maps((4, 4), (4, 4))
    values = torch.randn(2, 1, 4, 4, dtype=torch.float16)
    out = soft_transfer(values, source.half(), 50 * target.half(), temperature=1e-3)
    assert out.dtype == torch.float16 and out.isfinite().all()


@pytest.mark.parametrize('dtype', [torch.int64, torch.uint8, torch.bool])
def test_values_that_are_not_floating_point_are_carried_in_float32(dtype):
    source, target = maps((4, 4), (3, 3), batch=1)
    labels = torch.randint(0, 3, (1, 4, 4))
    one_hot = torch.nn.functional.one_hot(labels, 3).permute(0, 3, 1, 2)
    found = soft_transfer(one_hot.to(dtype), source, target, 0.3)
    assert found.dtype == torch.float32
    expected = dense_transfer(one_hot.double(), source, target, 0.3)
    torch.testing.assert_close(found.double(), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize('temperature', [1e-11, 1e-30])
@pytest.mark.parametrize('scale', [1, 1e11])
def test_small_temperatures_and_large_coordinates(temperature, scale):
    source, target = (scale * x.float() for x in maps((5, 5), (5, 5)))
    values = torch.randn(2, 2, 5, 5)
    source.requires_grad_()
    found = soft_transfer(values, source, target, temperature)
    torch.testing.assert_close(found, hard_transfer(values, source, target))
    found.sum().backward()
    assert source.grad.isfinite().all()


@pytest.mark.parametrize('value', [math.nan, math.inf, 1e15])
def test_maps_that_are_not_finite(value):
    """Hard transfer refuses them; soft transfer shows NaN, which a training looks for."""
    good, bad = canonical_grid(4, 4)[None], canonical_grid(4, 4)[None]
    bad[0, 0, 1, 2] = value
    values = torch.rand(1, 1, 4, 4)
    for name, pair in (('source_coords', (bad, good)), ('target_coords', (good, bad))):
        with pytest.raises(ValueError, match=rf'{name} must be finite, and within \+-1e\+12'):
            hard_transfer(values, *pair)
    found = soft_transfer(values, good, bad)
    assert found.isnan().nonzero().tolist() == [[0, 0, 1, 2]]
    assert soft_transfer(values, bad, good).isnan().all()  # all sums have this source


@pytest.mark.parametrize('loss', [Tensor.sum, lambda out: out.square().sum()])
def test_second_derivatives_are_refused(loss):
    source, target = maps((3, 3), (3, 3), batch=1)
    values = torch.rand(1, 2, 3, 3, dtype=torch.float64)
    source.requires_grad_()
    out = soft_transfer(values, source, target, 0.3)
    (grad,) = torch.autograd.grad(loss(out), source, create_graph=True)
    source.sum().backward(retain_graph=True)  # terms beside it are not affected
    with pytest.raises(RuntimeError, match='soft_transfer has no second derivative'):
        (grad.square().sum() + source.sum()).backward()


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'source_coords': torch.zeros(2, 3, 4, 4)}, r'source_coords must have shape \(B, 2, H, W'),
        ({'target_coords': torch.zeros(3, 2, 4, 4)}, 'must have the same batch size, or 1'),
        ({'values': torch.zeros(2, 1, 3, 4)}, r'height and width of .* are \(2, 1, 3, 4\), '),
        ({'values': torch.zeros(())}, r'values must be \(B, C, H, W\)'),
        ({'temperature': 0.0}, 'temperature must be positive, but got 0.0'),
    ],
)
def test_bad_arguments(arguments, message):
    good = dict(values=torch.zeros(2, 1, 4, 4), source_coords=torch.zeros(2, 2, 4, 4))
    good['target_coords'] = torch.zeros(2, 2, 4, 4)
    with pytest.raises(ValueError, match=message):
        soft_transfer(**{**good, **arguments})


def test_mean_of_sides_by_hand():
    coords = torch.tensor([[[[-1.0, 0.5]], [[0.2, 0.4]]]])  # (1, 2, 1, 2)
    mirrored = torch.tensor([[[[-0.7, 0.8]], [[0.6, 0.0]]]])
    # Mirrored back: x is -0.8 and 0.7, y is 0 and 0.6.
    expected = torch.tensor([[[[-0.9, 0.6]], [[0.1, 0.5]]]])
    assert torch.allclose(mean_of_sides(coords, mirrored), expected)


def test_maps_are_smoothed_before_they_are_moved_to_a_template():
    """Features that say nothing leave what OpenCV's Gaussian of a 32nd of the side leaves."""
    offsets = 0.1 * torch.randn(2, 64, 64)
    coords = (canonical_grid(64, 64) + offsets)[None]
    (found,) = move_to_template(torch.zeros(1, 3, 16, 16), torch.zeros(3, 8, 8), coords)
    for moved, offset in zip(found - canonical_grid(64, 64), offsets):
        expected = cv2.GaussianBlur(offset.numpy(), (13, 13), 2)
        assert torch.allclose(moved, torch.from_numpy(expected), atol=1e-6)


def test_moves_are_found_from_coarse_to_fine():
    """Stripes that are 0.4 of a period away: together, neighbors see in which direction."""
    template = (10 * canonical_grid(64, 64) * 63 / 64).sin()  # at the centers of cells
    grid = canonical_grid(32, 32)[None]
    truth = grid + torch.tensor([0.27, -0.27]).view(1, 2, 1, 1)
    moved = move_to_template((10 * truth).sin(), template, grid, 100, 0.3, window=0.5)
    assert (moved - truth)[..., 8:24, 8:24].norm(dim=1).max() < 0.02  # it was 0.38
