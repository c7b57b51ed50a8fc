"""The transfer looks at near pixels only: same result as over all pixels, at a fraction of work."""

import math
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mmcoordgan.geometry import (
    IndexedCoords,
    _device,
    _near,
    canonical_grid,
    chamfer_to_grid,
    hard_transfer,
    soft_transfer,
)

TEMPERATURE = 0.04  # as 0.01 at 128 x 128
SIZE = (33, 30)  # fills no block exactly


def warped(seed: int, size: tuple[int, int] = SIZE, batch: int = 1) -> Tensor:
    """Canonical grids under smooth random displacements, as generators make them."""
    generator = torch.Generator().manual_seed(seed)
    coarse = 0.1 * torch.randn(batch, 2, 4, 4, generator=generator)
    shift = F.interpolate(coarse, size, mode='bicubic', align_corners=True)
    return 0.9 * (canonical_grid(*size) + shift)


def collapsed() -> Tensor:
    """All pixels but one at a distance that makes each of them alone negligible."""
    coords = torch.zeros(1, 2, *SIZE)
    coords[:, 0] += 13 * TEMPERATURE
    coords[0, :, 5, 5] = 0
    return coords


def quantized() -> Tensor:
    """Many pixels at the same points."""
    return (warped(3) * 8).round() / 8


MAPS = {
    'smooth': lambda: warped(0),
    'another': lambda: warped(1),
    'coincident points': quantized,
    'constant': lambda: torch.full((1, 2, *SIZE), 0.25),
    'one pixel apart': collapsed,
    'outside the frame': lambda: 3 * warped(2) + 2,
    'random': lambda: torch.rand(1, 2, *SIZE, generator=torch.Generator().manual_seed(4)) * 2 - 1,
    'one row': lambda: warped(5)[:, :, :1],
    'folded': lambda: warped(6).abs(),
}
PAIRS = [
    ('smooth', 'another'),
    ('random', 'smooth'),
    ('coincident points', 'coincident points'),
    ('constant', 'smooth'),
    ('smooth', 'constant'),
    ('constant', 'constant'),
    ('one pixel apart', 'one pixel apart'),
    ('outside the frame', 'smooth'),
    ('smooth', 'outside the frame'),
    ('one row', 'random'),
    ('folded', 'one row'),
]


def dense_transfer(values: Tensor, source: Tensor, target: Tensor, temperature: float) -> Tensor:
    """The definition over all pairs of pixels; the gradient of the distance at zero is zero."""
    difference = target.flatten(2)[:, :, :, None] - source.flatten(2)[:, :, None]
    squared = difference.square().sum(1)
    distance = torch.where(squared > 0, squared, 1).sqrt() * (squared > 0)
    carried = values.flatten(2) @ torch.softmax(-distance / temperature, dim=2).mT
    return carried.unflatten(2, target.shape[-2:])


def with_gradients(function, values, source, target, weight, temperature):
    inputs = [x.detach().clone().requires_grad_() for x in (values, source, target)]
    out = function(*inputs, temperature)
    return out.detach(), torch.autograd.grad((out * weight).sum(), inputs)


def assert_nearest(source: Tensor, target: Tensor) -> None:
    """No source pixel is nearer than the one that hard transfer finds."""
    found = hard_transfer(source, source, target).double()
    distance = torch.cdist(target.double().flatten(2).mT, source.double().flatten(2).mT)
    reached = (found - target).norm(dim=1).flatten(1)
    torch.testing.assert_close(reached, distance.amin(2), atol=1e-6, rtol=0)


@pytest.mark.parametrize('temperature', [TEMPERATURE, 0.002, 10.0])
@pytest.mark.parametrize(('source_name', 'target_name'), PAIRS)
def test_soft_transfer_and_its_gradients_equal_those_over_all_pixels(
    source_name, target_name, temperature
):
    assert_soft_as_over_all_pixels(source_name, target_name, temperature)


def assert_soft_as_over_all_pixels(source_name: str, target_name: str, temperature: float) -> None:
    torch.manual_seed(0)
    source, target = MAPS[source_name](), MAPS[target_name]()
    values = torch.rand(1, 3, *source.shape[-2:])
    weight = torch.randn(1, 3, *target.shape[-2:])
    found, gradients = with_gradients(soft_transfer, values, source, target, weight, temperature)
    expected, true_gradients = with_gradients(
        dense_transfer, *(x.double() for x in (values, source, target, weight)), temperature
    )
    assert (found - expected).abs().max() < 1e-4
    for gradient, true_gradient in zip(gradients, true_gradients):
        # Where one map is constant, large terms cancel to a gradient of nearly zero.
        largest = true_gradient.abs().max().clamp(min=0.01 / temperature)
        assert (gradient - true_gradient).abs().max() < 1e-3 * largest


@pytest.mark.parametrize('temperatures_away', [13, 15.2])
def test_what_is_left_out_weighs_less_than_the_cutoff_wherever_it_is(temperatures_away):
    """989 pixels, each negligible beside the nearest one, together up to 0.2 percent of it."""
    source = torch.zeros(1, 2, *SIZE)
    source[:, 0] += temperatures_away * TEMPERATURE
    source[0, :, 5, 5] = 0
    values = torch.ones(1, 1, *SIZE)
    values[..., 5, 5] = 0
    found = soft_transfer(values, source, torch.zeros(1, 2, 4, 4), TEMPERATURE)
    others = 989 * math.exp(-temperatures_away)
    expected = torch.full((1, 1, 4, 4), others / (1 + others))
    torch.testing.assert_close(found, expected, atol=6e-5, rtol=0)


@pytest.mark.parametrize(('source_name', 'target_name'), PAIRS)
def test_hard_transfer_finds_no_farther_pixel_than_a_search_over_all(source_name, target_name):
    assert_nearest(MAPS[source_name](), MAPS[target_name]())


@pytest.mark.parametrize('name', MAPS)
def test_chamfer_equals_a_search_over_all_pixels(name):
    coords = MAPS[name]().double()
    grid = canonical_grid(*coords.shape[-2:], dtype=torch.float64).flatten(1).mT
    squared = torch.cdist(
        coords[0].flatten(1).mT, grid, compute_mode='donot_use_mm_for_euclid_dist'
    ).square()
    expected = squared.amin(0).mean() + squared.amin(1).mean()
    assert chamfer_to_grid(coords).item() == pytest.approx(expected.item(), abs=1e-12)


def test_indexed_maps_give_the_same_results_and_pass_gradients_on():
    values = torch.rand(3, 2, *SIZE)
    source, target = warped(0, batch=3), warped(1)
    one_by_one = torch.cat(
        [soft_transfer(values[i : i + 1], source[i : i + 1], target, 0.04) for i in range(3)]
    )
    source.requires_grad_()
    indexed = IndexedCoords(source), IndexedCoords(target)
    assert torch.equal(soft_transfer(values, *indexed, 0.04), one_by_one)
    assert torch.equal(hard_transfer(values, *indexed), hard_transfer(values, source, target))
    weight = torch.randn(3, 2, *SIZE)
    gradients = [
        torch.autograd.grad((soft_transfer(values, *maps, 0.04) * weight).sum(), source)[0]
        for maps in (indexed, (source, target))
    ]
    assert gradients[0].abs().max() > 0 and torch.equal(*gradients)


def test_maps_of_different_precision():
    values, source, target = torch.rand(1, 2, *SIZE), warped(0).half(), warped(1)
    for function in (soft_transfer, hard_transfer):
        expected = function(values, source.double(), target.double())
        for maps in ((source, target.double()), (source.double(), target), (source, target)):
            torch.testing.assert_close(function(values, *maps), expected, atol=1e-4, rtol=0)
    expected = chamfer_to_grid(source.float())
    torch.testing.assert_close(chamfer_to_grid(source).float(), expected, atol=1e-3, rtol=0)


def test_autocast_does_not_touch_coordinates():
    values, source, target = torch.rand(1, 2, *SIZE), warped(0), warped(1).requires_grad_()
    expected = soft_transfer(values, source, target, 0.04)
    (gradient,) = torch.autograd.grad(expected.sum(), target)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        found = soft_transfer(values, source, target, 0.04)
        assert torch.equal(found, expected)
        assert torch.equal(torch.autograd.grad(found.sum(), target)[0], gradient)


def test_on_a_gpu_the_host_waits_once_whatever_the_batch(monkeypatch):
    """The search as it runs there: same results, and counts are the only thing it looks at."""
    values, coords = torch.rand(3, 2, *SIZE), [warped(seed, batch=3) for seed in (0, 1)]

    def results():
        inputs = [x.clone().requires_grad_() for x in (values, *coords)]
        out = soft_transfer(*inputs, TEMPERATURE)
        return out, *torch.autograd.grad(out.square().sum(), inputs), chamfer_to_grid(coords[0])

    expected = results()
    looks = []
    real = Tensor.tolist
    monkeypatch.setattr(_device, 'USE_TRITON', False)
    monkeypatch.setattr(_near, 'on_cpu', lambda tensor: False)
    monkeypatch.setattr(Tensor, 'tolist', lambda self: looks.append(self) or real(self))
    for name in ('nonzero', 'item', '__bool__', '__int__', '__float__'):
        monkeypatch.setattr(Tensor, name, lambda *args: pytest.fail('the host looks at values'))
    found = results()
    monkeypatch.undo()
    for a, b in zip(found, expected):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
    assert len(looks) == 2  # of the transfer, forward and backward, and of the chamfer distance


@pytest.fixture
def pairs_seen(monkeypatch) -> list[int]:
    """How many point pairs each step works on."""
    seen: list[int] = []
    real = _near.Walk.differences

    def spy(self, rows, near):
        seen.append(near.numel() * _near.BLOCK_SIZE**2)
        return real(self, rows, near)

    monkeypatch.setattr(_near.Walk, 'differences', spy)
    return seen


def test_work_grows_with_the_number_of_pixels(pairs_seen):
    work = []
    for size in (32, 128):
        coords = [warped(seed, (size, size)).requires_grad_() for seed in (0, 1)]
        soft_transfer(torch.rand(1, 1, size, size), *coords, 1.28 / size).sum().backward()
        chamfer_to_grid(coords[0])
        work.append(sum(pairs_seen) / size**2)
        pairs_seen.clear()
    assert work[1] < 2 * work[0]  # for 16 times as many pixels
    assert work[1] < 2500  # forward, backward and both searches; all pairs would be 4 * 16384


def test_memory_is_bounded(pairs_seen):
    """Also where every pixel matters to every other, few pairs are held at once."""
    size = 48
    coords = torch.zeros(1, 2, size, size, requires_grad=True)
    soft_transfer(torch.rand(1, 1, size, size), coords, coords).sum().backward()
    chamfer_to_grid(coords)
    assert sum(pairs_seen) > 2 * size**4
    assert max(pairs_seen) <= _near.MAX_PAIRS['cpu']


def test_the_search_takes_over_where_triton_does_not_run(monkeypatch):
    """As on a GPU without a C compiler."""
    monkeypatch.setitem(sys.modules, 'mmcoordgan.geometry._triton', None)
    monkeypatch.setattr(_device, 'USE_TRITON', True)
    monkeypatch.setattr(_near, 'on_cpu', lambda tensor: False)
    _device._kernels_run.cache_clear()
    with pytest.warns(UserWarning, match='Triton does not run here .*MMCOORDGAN_TRITON=0'):
        assert_soft_as_over_all_pixels('smooth', 'another', TEMPERATURE)
    _device._kernels_run.cache_clear()
