"""tools/analysis_tools/benchmark_geometry.py: it would see a wrong or slow function."""

from __future__ import annotations

import benchmark_geometry as benchmark
import pytest
import torch


@pytest.mark.parametrize('name', benchmark.MAPS)
def test_errors_of_the_transfer_are_those_of_rounding(name):
    assert max(benchmark.soft_errors(16, 0.08, 'cpu', 1, name)) < 1e-4


@pytest.mark.parametrize(
    ('wrong', 'entry'),
    [
        (lambda transfer: lambda v, s, t, tau: transfer(v, s, t, 1.1 * tau), 0),
        (lambda transfer: lambda v, s, t, tau: transfer(v.detach(), s, t, tau) + 0 * v.sum(), 1),
        (lambda transfer: lambda v, s, t, tau: transfer(v, s.detach(), t, tau) + 0 * s.sum(), 2),
        (lambda transfer: lambda v, s, t, tau: transfer(v, s, t.detach(), tau) + 0 * t.sum(), 3),
    ],
)
def test_wrong_values_and_gradients_are_seen(monkeypatch, wrong, entry):
    monkeypatch.setattr(benchmark, 'soft_transfer', wrong(benchmark.soft_transfer))
    assert benchmark.soft_errors(16, 0.08, 'cpu', 1, 'smooth')[entry] > 1e-2


def test_methods_that_are_compared_compute_the_same():
    values, source, target = benchmark.inputs_of(16, 'cpu')
    results = [soft(values, source, target, 0.08) for soft in benchmark.SOFT.values()]
    for result in results[1:]:
        torch.testing.assert_close(result, results[0], atol=1e-4, rtol=0)
    hard = benchmark.hard_transfer(values, source, target).flatten(2)
    torch.testing.assert_close(benchmark.all_pairs_hard(values, source, target), hard)
    chamfer = benchmark.chamfer_to_grid(source)
    torch.testing.assert_close(benchmark.all_pairs_chamfer(source), chamfer)
