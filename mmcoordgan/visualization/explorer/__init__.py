"""Images with their correspondences as one HTML page."""

from .page import (
    DOUBTFUL,
    MAX_PICTURES,
    MAX_SIZE,
    MIN_PICTURES,
    MIN_SIZE,
    Accuracy,
    ExplorerPicture,
    explorer_page,
    quantize_coords,
)

__all__ = [
    'DOUBTFUL',
    'MAX_PICTURES',
    'MAX_SIZE',
    'MIN_PICTURES',
    'MIN_SIZE',
    'Accuracy',
    'ExplorerPicture',
    'explorer_page',
    'quantize_coords',
]
