"""Figures about maps, by hand."""

import pytest
import torch

from mmcoordgan.evaluation.map_quality import folded_fraction, separation, structure_spread
from mmcoordgan.geometry import canonical_grid


def test_folded_fraction_by_hand():
    grid = canonical_grid(4, 5)
    assert folded_fraction(grid[None]) == 0
    assert folded_fraction(grid.flip(2)[None]) == 1  # mirrored: turned over everywhere
    folded = grid.clone()
    folded[0, :, 3:] = folded[0, :, 1:3].flip(1)  # columns 3 and 4 run backwards
    assert folded_fraction(folded[None]) == pytest.approx(0.5)
    assert folded_fraction(grid[None] * torch.nan) == 1


def test_structure_spread_by_hand():
    grid = canonical_grid(3, 3)
    assert structure_spread(torch.stack([grid, grid])) == 0
    shifted = torch.stack([grid, grid + 0.2])
    assert structure_spread(shifted) == pytest.approx(0.2 / 2**0.5)


def test_separation_by_hand():
    same, other = torch.tensor([1.0, 2.0]), torch.tensor([2.0, 3.0])
    assert separation(same, other) == pytest.approx((1 + 1 + 0.5 + 1) / 4)
