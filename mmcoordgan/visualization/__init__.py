"""Correspondence maps as colours, grids of samples, rows of transferred labels."""

from __future__ import annotations

from .colors import coords_to_colors, images_to_uint8
from .sample_grid import arrange_cells, plain_grid, sample_grid
from .transfer_row import TransferPicture, labels_to_colors, overlay_labels, transfer_row

__all__ = [
    'TransferPicture',
    'arrange_cells',
    'coords_to_colors',
    'images_to_uint8',
    'labels_to_colors',
    'overlay_labels',
    'plain_grid',
    'sample_grid',
    'transfer_row',
]
