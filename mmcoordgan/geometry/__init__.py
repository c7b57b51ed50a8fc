"""Pure functions on coordinate maps: the one definition of "corresponds" in this package."""

from .chamfer import chamfer_to_grid
from .grid import canonical_grid, mean_of_sides, resize_map
from .indexed import IndexedCoords
from .random_warp import RandomWarps, sample_image
from .template import move_to_template
from .transfer import carry, hard_transfer, soft_transfer

__all__ = [
    'IndexedCoords',
    'RandomWarps',
    'canonical_grid',
    'carry',
    'chamfer_to_grid',
    'hard_transfer',
    'mean_of_sides',
    'move_to_template',
    'resize_map',
    'sample_image',
    'soft_transfer',
]
