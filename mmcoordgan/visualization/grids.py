"""Images in rows and columns: samples, and what correspondences carry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mmcoordgan.geometry import canonical_grid, carry
from mmcoordgan.utils.progress import patient_progress

from .colors import coords_to_colors, images_to_uint8, overlay_labels

MARGIN, CAPTION = 2, 18
TRANSFER_TITLES = (
    *('reference', 'query', 'map of query', 'its colours'),
    *('its labels', 'carried', 'true labels'),
)
"""Of the columns of :func:`transfer_row`; *its* means the reference's."""


@torch.no_grad()
def sample_grid(generator: Any, structure_z: Tensor, texture_z: Tensor) -> np.ndarray:
    """Every structure painted with every texture, beside the correspondence maps; uint8 RGB.

    Rows share a structure, of the latents ``structure_z`` (R, structure_dim), and begin with its
    correspondence map, in the colours of :func:`coords_to_colors`. Columns share a texture, of
    ``texture_z`` (C, texture_dim). The first row is the canonical frame: the key to the colours,
    then the frame painted without any warp. ``generator``, a
    :class:`~mmcoordgan.models.networks.Generator`, runs in evaluation mode.
    """
    device = next((p.device for p in generator.parameters()), structure_z.device)
    training = generator.training
    generator.eval()
    textures = generator.map_texture(texture_z.to(device))  # (C, texture_width)
    structures = generator.map_structure(structure_z.to(device))  # (R, structure_width)
    maps = [generator.warp(w[None]) for w in structures]  # R of (1, 2, H, W)
    height, width = maps[0].shape[-2:]
    maps.insert(0, canonical_grid(height, width, device=device, dtype=maps[0].dtype)[None])
    # One at a time: a row of large images need not fit beside a training step.
    pairs = [(coords, texture[None]) for coords in maps for texture in textures]
    shown = patient_progress(pairs, 'Drawing samples')
    images = [images_to_uint8(generator.synthesize(*pair))[0] for pair in shown]
    generator.train(training)
    count = len(textures)
    rows = [
        [coords_to_colors(coords[0]), *images[row * count : (row + 1) * count]]
        for row, coords in enumerate(maps)
    ]
    columns = ['map', *(f'texture {n + 1}' for n in range(len(texture_z)))]
    sides = ['frame', *(f'structure {n + 1}' for n in range(len(structure_z)))]
    return arrange_cells(rows, titles=columns, sides=sides)


def arrange_cells(
    rows: Sequence[Sequence[np.ndarray]],
    min_cell: int = 96,
    titles: Sequence[str] = (),
    sides: Sequence[str] = (),
) -> np.ndarray:
    """Lay images out in rows and columns, on white, with a margin of ``MARGIN`` around every cell.

    Cells are square. Their side is the largest image's, enlarged by the smallest whole factor
    that makes it at least ``min_cell``; every image is scaled to it without interpolation.

    All images are (h, w, 3) uint8 RGB. ``titles`` are ASCII texts below the columns, ``sides`` ones
    to the left of the rows.
    """
    largest = max(max(cell.shape[:2]) for row in rows for cell in row)
    side = largest * max(1, -(-min_cell // largest))
    step = side + MARGIN
    shape = (len(rows) * step + MARGIN, len(rows[0]) * step + MARGIN, 3)
    canvas = np.full(shape, 255, dtype=np.uint8)
    for r, row in enumerate(rows):
        for c, cell in enumerate(row):
            top, left = MARGIN + r * step, MARGIN + c * step
            enlarged = cv2.resize(cell, (side, side), interpolation=cv2.INTER_NEAREST_EXACT)
            canvas[top : top + side, left : left + side] = enlarged
    if titles:
        canvas = np.concatenate([canvas, _band(titles[: len(rows[0])], step, canvas.shape[1])])
    if sides:  # read upwards
        band = np.rot90(_band(sides[len(rows) - 1 :: -1], step, len(rows) * step + MARGIN))
        blank = np.full((len(canvas) - len(band), CAPTION, 3), 255, np.uint8)
        canvas = np.concatenate([np.concatenate([band, blank]), canvas], 1)
    return canvas


def _band(texts: Sequence[str], step: int, length: int) -> np.ndarray:
    """Texts side by side, (CAPTION, length, 3) uint8."""
    band = np.full((CAPTION, length, 3), 255, np.uint8)
    for number, text in enumerate(texts):
        place = (2 * MARGIN + number * step, CAPTION - 5)
        cv2.putText(band, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 1, cv2.LINE_AA)
    return band


class TransferPicture(NamedTuple):
    """An image with its correspondence map, and its labels if it has some."""

    image: np.ndarray  # (H, W, 3) uint8 RGB
    coords: Tensor  # (2, h, w)
    labels: Tensor | None = None  # Soft one-hot labels (C, h, w)


@torch.no_grad()
def transfer_row(
    reference: TransferPicture,
    query: TransferPicture,
    palette: Sequence[Sequence[int]] | np.ndarray | None = None,
    temperature: float = 0.01,
) -> list[np.ndarray]:
    """Images of one transfer from a reference to a query, for :func:`arrange_cells`.

    From left to right, uint8 RGB: the reference, the query, its correspondence map, and the
    reference's colours carried to the query (:func:`~mmcoordgan.geometry.carry`). For a labelled
    reference, which needs the ``palette`` of the classes, then: its labels, those labels carried to
    the query, and the query's own labels (white if missing).
    """
    colors = torch.from_numpy(reference.image).permute(2, 0, 1)[None].to(reference.coords)
    size = reference.coords.shape[-2:]
    colors = F.interpolate(colors, size, mode='bilinear', align_corners=False, antialias=True)
    values = colors if reference.labels is None else torch.cat([colors, reference.labels[None]], 1)
    maps = reference.coords[None], query.coords[None]
    carried = carry(values, *maps, temperature)[0]  # (3 [+ C], h, w)
    warped = carried[:3].permute(1, 2, 0).round().clamp(0, 255).byte().cpu().numpy()
    cells = [reference.image, query.image, coords_to_colors(query.coords), warped]
    if reference.labels is None:
        return cells
    assert palette is not None
    own = np.full_like(query.image, 255)
    if query.labels is not None:
        own = overlay_labels(query.image, query.labels.argmax(0), palette)
    given = overlay_labels(reference.image, reference.labels.argmax(0), palette)
    return [*cells, given, overlay_labels(query.image, carried[3:].argmax(0), palette), own]
