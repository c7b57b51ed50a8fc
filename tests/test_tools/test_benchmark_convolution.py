"""tools/analysis_tools/benchmark_convolution.py: its forms are one function."""

from __future__ import annotations

import benchmark_convolution as benchmark
import torch


def inputs() -> tuple[torch.Tensor, ...]:
    shapes = (2, 4, 8, 8), (4, 4, 3, 3), (2, 4)
    return tuple(torch.randn(shape).requires_grad_() for shape in shapes)


def test_all_forms_compute_the_same():
    x, weight, style = inputs()
    first, *others = (form(x, weight, style) for form in benchmark.FORMS.values())
    for other in others:
        torch.testing.assert_close(other, first)


def test_only_scaled_maps_keep_a_map():
    x, weight, style = inputs()
    kept = {n: benchmark.kept_mebibytes(f, x, weight, style) for n, f in benchmark.FORMS.items()}
    a_map, weights = x.numel() * 4 / 2**20, 2 * weight.numel() * 4 / 2**20
    assert kept['scaled feature maps'] == a_map
    assert kept['weights per image'] == kept['weights in groups'] == weights
