"""tools/analysis_tools/benchmark_geometry.py: what is compared computes the same."""

from concurrent.futures import ThreadPoolExecutor

import benchmark_geometry as benchmark
import pytest
import torch


@pytest.mark.parametrize('function', benchmark.METHODS)
def test_methods_that_are_compared_compute_the_same(function):
    inputs = benchmark.inputs_of(function, 16, 'cpu')
    first, *others = (call(*inputs) for call in benchmark.METHODS[function].values())
    for other in others:
        torch.testing.assert_close(other, first.reshape(other.shape), atol=1e-4, rtol=0)


def test_costs_are_printed(monkeypatch, capsys):
    monkeypatch.setattr('sys.argv', ['x', '--sizes', '16'])
    monkeypatch.setattr(benchmark, 'ProcessPoolExecutor', ThreadPoolExecutor)  # starts at once
    benchmark.main()
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if ' 16 ' in line]
    assert len(rows) == 7 and sum(float(row[-2]) for row in rows) > 0
