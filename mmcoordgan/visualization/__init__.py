"""Correspondence maps as colours, and grids of samples."""

from __future__ import annotations

from .colors import coords_to_colors, images_to_uint8
from .sample_grid import arrange_cells, sample_grid

__all__ = ['arrange_cells', 'coords_to_colors', 'images_to_uint8', 'sample_grid']
