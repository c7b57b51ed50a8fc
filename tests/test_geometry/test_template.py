"""Maps that are moved to a template."""

from __future__ import annotations

import cv2
import torch

from mmcoordgan.geometry import canonical_grid, move_to_template


def test_maps_are_smoothed_first():
    """Features that say nothing leave what OpenCV's Gaussian of a 32nd of the side leaves."""
    offsets = 0.1 * torch.randn(2, 64, 64)
    coords = (canonical_grid(64, 64) + offsets)[None]
    (found,) = move_to_template(torch.zeros(1, 3, 16, 16), torch.zeros(3, 8, 8), coords)
    for moved, offset in zip(found - canonical_grid(64, 64), offsets):
        expected = cv2.GaussianBlur(offset.numpy(), (13, 13), 2)
        assert torch.allclose(moved, torch.from_numpy(expected), atol=1e-6)
