"""Carry labels and points from references to images whose maps are found one after the other."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any, Union

import numpy as np
import torch
from torch import Tensor

from mmcoordgan.datasets.label_files import NUM_LABELS, check_labels, check_size, read_labels
from mmcoordgan.evaluation.examples import pixel_centres
from mmcoordgan.geometry import IndexedCoords

from .encoding import Codes, ImageEncoder, as_array
from .images import Source, Sources, SquareImage, name_of
from .matching import LabelledReferences, best_class, match
from .results import Correspondence, LabelTransfer, PointTransfer

Labels = Union[str, os.PathLike, np.ndarray]
ZERO_CONFIDENCE = 0.1
"""Error at which the confidence reaches 0: a tenth of the image's side."""


def correspond(
    encoder: ImageEncoder, a: Source, b: Source, temperature: float, refine: bool | int
) -> Correspondence:
    """Match each pixel of one image in another."""
    images = [encoder.read(a, 'image a'), encoder.read(b, 'image b')]
    first, last = encoder.find(images, refine)
    maps = IndexedCoords(first.coords), IndexedCoords(last.coords)
    places = pixel_centres(images[0].crop.shape, first.coords)
    errors = first.map_error, last.map_error
    matches, cycle, doubt = match(*maps, places, temperature, errors)
    pixels = as_array(images[1].crop.to_pixels(matches))
    sure = how_sure(encoder, cycle, doubt, images[1])
    return Correspondence(pixels, as_array(cycle), *sure, (first.domain, last.domain))


def how_sure(
    encoder: ImageEncoder, cycle: Tensor, doubt: Tensor, image: SquareImage
) -> tuple[np.ndarray, np.ndarray | None]:
    """Confidences, and expected errors in pixels of an image.

    Confidence falls from 1 to 0 at an error of :data:`ZERO_CONFIDENCE`. Without expected errors, it
    comes from the cycle error.
    """
    error, expected = cycle, None
    if encoder.held_out is not None and encoder.held_out.errors:
        error = encoder.held_out.expected_error(doubt)
        expected = as_array(error * image.crop.side)
    return as_array((1 - error / ZERO_CONFIDENCE).clamp(min=0)), expected


def read_references(
    encoder: ImageEncoder,
    reference: Source | Sequence[Source],
    reference_labels: Labels | Sequence[Labels],
    ignore_label: int | None,
    refine: bool | int,
) -> LabelledReferences:
    """Labelled images with their maps."""
    sources, masks = _listed(reference, 3), _listed(reference_labels, 2)
    if len(sources) != len(masks) or not sources:
        raise ValueError(f'{len(sources)} references came with {len(masks)} label masks')
    if ignore_label is not None and not 0 <= ignore_label < NUM_LABELS:
        raise ValueError(f'ignore_label (--ignore-label) must lie in 0..255, but is {ignore_label}')
    coords, labels = [], []
    for number, (source, mask) in enumerate(zip(sources, masks)):
        image = encoder.read(source, f'reference {number}')
        name = name_of(mask, f'the mask of {image.name}')
        values = mask if isinstance(mask, np.ndarray) else read_labels(mask)[0]
        check_labels(values, name)
        check_size(values, name, image.name, image.crop.shape)
        if encoder.cropper is not None:
            values = image.crop.take(values.astype(np.uint8), ignore_label or 0)
        labels.append(values)
        coords.append(encoder.find([image], refine)[0].coords)
    return LabelledReferences(torch.cat(coords), labels, ignore_label)


def carry_labels(
    encoder: ImageEncoder,
    references: LabelledReferences,
    queries: Sources,
    temperature: float,
    **settings: Any,
) -> Iterator[LabelTransfer]:
    """Label images one after the other; ``settings`` are :meth:`ImageEncoder.find_all`'s."""

    def transfer(image: SquareImage, codes: Codes) -> LabelTransfer:
        soft = references.carry_to(codes.coords, temperature)
        labels = references.classes[best_class(soft, image.crop.inner).cpu().numpy()]
        if encoder.cropper is not None:
            labels = image.crop.put(labels, int(references.classes[-1]) * references.ignores)
        return LabelTransfer(image.name, labels, as_array(soft), references.classes, codes.domain)

    return (transfer(*pair) for pair in encoder.find_all(queries, **settings))


def carry_points(
    encoder: ImageEncoder,
    reference: Source,
    points: Any,
    queries: Sources,
    temperature: float,
    **settings: Any,
) -> Iterator[PointTransfer]:
    """Find points (N, 2) of the reference in images one after the other."""
    source = encoder.read(reference, 'the reference')
    values = np.asarray(points, dtype=np.float32)
    if values.ndim != 2 or values.shape[1] != 2:
        raise ValueError(f'points must be an array (N, 2) of x and y, but are {values.shape}')
    height, width = source.crop.shape
    inside = (values >= -0.5) & (values <= np.array([width, height], np.float32) - 0.5)
    if not inside.all():
        x, y = values[~inside.all(1)][0]
        raise ValueError(f'the point ({x:g}, {y:g}) is outside {source.name} ({width}x{height})')
    first = encoder.find([source], settings.get('refine', False))[0]
    start = IndexedCoords(first.coords)
    places = source.crop.to_places(torch.from_numpy(values)).to(first.coords).T[None, :, None]

    def transfer(image: SquareImage, codes: Codes) -> PointTransfer:
        errors = first.map_error, codes.map_error
        found = match(start, IndexedCoords(codes.coords), places, temperature, errors)
        matches, cycle, doubt = (values[..., 0, :] for values in found)  # (2, N), (N,), (N,)
        pixels = as_array(image.crop.to_pixels(matches).T)
        return PointTransfer(
            image.name, pixels, *how_sure(encoder, cycle, doubt, image), codes.domain
        )

    return (transfer(*pair) for pair in encoder.find_all(queries, **settings))


def _listed(given: Any, single_ndim: int) -> list:
    """What was given as one, in a list."""
    if isinstance(given, np.ndarray):
        return [given] if given.ndim == single_ndim else list(given)
    return [given] if isinstance(given, (str, os.PathLike)) else list(given)
