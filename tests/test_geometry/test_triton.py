"""The kernels over all pairs, in Triton's interpreter on the CPU, against float64."""

import importlib
import os

import pytest
import torch
from test_locality import (
    MAPS,
    PAIRS,
    TEMPERATURE,
    assert_nearest,
    assert_soft_as_over_all_pixels,
    dense_transfer,
)

from mmcoordgan.geometry import _device, _near, chamfer_to_grid, soft_transfer

pytestmark = pytest.mark.skipif(
    os.environ.get('TRITON_INTERPRET') != '1',
    reason='needs Triton, and TRITON_INTERPRET=1 before it is imported',
)


@pytest.fixture(autouse=True)
def on_kernels(monkeypatch):
    """Take the way of a GPU."""
    kernels = importlib.import_module('mmcoordgan.geometry._triton')
    monkeypatch.setattr(_device, 'USE_TRITON', True)
    monkeypatch.setattr(_near, 'on_cpu', lambda tensor: False)
    for name in ('OWN', 'OTHERS'):  # the interpreter's time is that of the steps
        monkeypatch.setattr(kernels, name, 256)
    launched, launch = [], kernels.launch
    monkeypatch.setattr(kernels, 'launch', lambda *args, **c: launched.append(launch(*args, **c)))
    yield
    assert launched


@pytest.mark.parametrize('temperature', [TEMPERATURE, 0.002, 10.0])
@pytest.mark.parametrize(('source_name', 'target_name'), PAIRS)
def test_soft_transfer_and_its_gradients(source_name, target_name, temperature):
    assert_soft_as_over_all_pixels(source_name, target_name, temperature)


def test_batches_channels_and_what_is_not_a_number():
    """More channels than a tile holds at least; one source for all of a batch."""
    torch.manual_seed(0)
    source, target = MAPS['smooth'](), torch.cat([MAPS['another'](), MAPS['folded']()])
    values = torch.rand(2, 21, *source.shape[-2:])
    expected = dense_transfer(*(x.double() for x in (values, source, target)), TEMPERATURE)
    target[1, 0, 3, 4] = expected[1, :, 3, 4] = torch.nan
    found = soft_transfer(values, source, target, TEMPERATURE).double()
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0, equal_nan=True)


@pytest.mark.parametrize(('source_name', 'target_name'), PAIRS)
def test_hard_transfer_finds_the_nearest_pixel(source_name, target_name):
    assert_nearest(MAPS[source_name](), MAPS[target_name]())


@pytest.mark.parametrize('name', MAPS)
def test_chamfer_distance(name, monkeypatch):
    coords = torch.cat([MAPS[name](), MAPS[name]().flip(3)])
    found = chamfer_to_grid(coords)
    with monkeypatch.context() as patch:
        patch.setattr(_device, 'USE_TRITON', False)
        expected = chamfer_to_grid(coords.double())
    torch.testing.assert_close(found.double(), expected, atol=1e-6, rtol=1e-5)


def test_second_derivatives_are_refused():
    inputs = [MAPS['one row']().requires_grad_() for _ in range(2)]
    out = soft_transfer(torch.rand(1, 1, 1, 30), *inputs, TEMPERATURE)
    (gradient,) = torch.autograd.grad(out.sum(), inputs[:1], create_graph=True)
    with pytest.raises(RuntimeError, match='soft_transfer has no second derivative'):
        gradient.sum().backward()
