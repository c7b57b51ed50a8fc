"""Correspondence maps as colours, grids of samples, rows of transferred labels."""

from .colors import coords_to_colors, images_to_uint8, overlay_labels
from .drawings import draw_matches, draw_points
from .grids import TRANSFER_TITLES, TransferPicture, arrange_cells, sample_grid, transfer_row

__all__ = [
    'TRANSFER_TITLES',
    'TransferPicture',
    'arrange_cells',
    'coords_to_colors',
    'draw_matches',
    'draw_points',
    'images_to_uint8',
    'overlay_labels',
    'sample_grid',
    'transfer_row',
]
