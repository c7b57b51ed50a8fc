"""Carry labels and points from references to images whose maps are found one after the other."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any, Union

import numpy as np
import torch
from torch import Tensor

from mmcoordgan.geometry import IndexedCoords

from .encoding import Codes, ImageEncoder, as_array
from .images import Source, Sources, SquareImage
from .masks import check_labels, read_label_mask
from .matching import (
    LabelledReferences,
    at_places,
    best_class,
    confidence,
    match_field,
    pixel_centres,
)
from .results import Correspondence, LabelTransfer, PointTransfer

Labels = Union[str, os.PathLike, np.ndarray]


def correspond(
    encoder: ImageEncoder, a: Source, b: Source, temperature: float, refine: bool | int
) -> Correspondence:
    """Match each pixel of one image in another."""
    images = [encoder.read_one(a, 'image a'), encoder.read_one(b, 'image b')]
    first, last = encoder.find(images, refine)
    maps = IndexedCoords(first.coords), IndexedCoords(last.coords)
    field = match_field(*maps, temperature, (first.map_error, last.map_error))
    places = pixel_centres(images[0].shape, first.coords)
    matches, distance, doubt = at_places(field, places)
    pixels = as_array(images[1].crop.to_pixels(matches))
    sure, expected = how_sure(encoder, distance, doubt, images[1])
    domains = (first.domain, last.domain)
    return Correspondence(pixels, as_array(distance), sure, expected, domains)


def how_sure(
    encoder: ImageEncoder, distance: Tensor, doubt: Tensor, image: SquareImage
) -> tuple[np.ndarray, np.ndarray | None]:
    """Confidences, and expected errors in pixels of an image.

    Without expected errors, confidences come from the cycle errors.
    """
    if encoder.held_out is None or not encoder.held_out.errors:
        return as_array(confidence(distance)), None
    error = encoder.held_out.expected_error(doubt)
    return as_array(confidence(error)), as_array(error * image.crop.side)


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
    coords, labels = [], []
    for number, (source, mask) in enumerate(zip(sources, masks)):
        image = encoder.read_one(source, f'reference {number}')
        name = f'mask {number}' if isinstance(mask, np.ndarray) else os.fspath(mask)
        labels.append(mask if isinstance(mask, np.ndarray) else read_label_mask(mask).labels)
        check_labels(labels[-1], image.shape, name, image.name)
        if encoder.cropper is not None:
            labels[-1] = image.crop.take(labels[-1].astype(np.uint8), ignore_label or 0)
        coords.append(encoder.find([image], refine)[0].coords)
    return LabelledReferences(torch.cat(coords), labels, ignore_label)


def carry_labels(
    encoder: ImageEncoder,
    references: LabelledReferences,
    queries: Sources,
    temperature: float,
    settings: dict[str, Any],
) -> Iterator[LabelTransfer]:
    """Label images one after the other; ``settings`` are :meth:`ImageEncoder.find_all`'s."""

    def transfer(image: SquareImage, codes: Codes) -> LabelTransfer:
        soft = references.carry_to(codes.coords, temperature)
        labels = references.classes[best_class(soft, image.crop.inner).cpu().numpy()]
        if encoder.cropper is not None:
            labels = image.crop.put(labels, int(references.classes[-1]) * references.ignores)
        return LabelTransfer(image.name, labels, as_array(soft), references.classes, codes.domain)

    return (transfer(*pair) for pair in encoder.find_all(queries, **settings))


def read_points(
    encoder: ImageEncoder, reference: Source, points: Any, refine: bool | int
) -> tuple[IndexedCoords, Tensor | None, Tensor]:
    """The map of the reference, its error, and places (N, 2) of its points in the square."""
    image = encoder.read_one(reference, 'the reference')
    values = np.asarray(points, dtype=np.float32)
    if values.ndim != 2 or values.shape[1] != 2:
        raise ValueError(f'points must be an array (N, 2) of x and y, but are {values.shape}')
    height, width = image.shape
    inside = (values >= -0.5) & (values <= np.array([width, height], np.float32) - 0.5)
    if not inside.all():
        x, y = values[~inside.all(1)][0]
        raise ValueError(
            f'the point ({x:g}, {y:g}) lies outside {image.name}, which is {width}x{height} '
            '(width x height)'
        )
    codes = encoder.find([image], refine)[0]
    places = image.crop.to_places(torch.from_numpy(values)).to(codes.coords)
    return IndexedCoords(codes.coords), codes.map_error, places


def carry_points(
    encoder: ImageEncoder,
    source: tuple[IndexedCoords, Tensor | None, Tensor],
    queries: Sources,
    temperature: float,
    settings: dict[str, Any],
) -> Iterator[PointTransfer]:
    """Find points in images one after the other; ``source`` comes from :func:`read_points`."""
    coords, error, points = source

    def transfer(image: SquareImage, codes: Codes) -> PointTransfer:
        query = IndexedCoords(codes.coords)
        field = match_field(coords, query, temperature, (error, codes.map_error))
        matches, distance, doubt = at_places(field, points.T[None, :, None])
        pixels = as_array(image.crop.to_pixels(matches)[:, 0].T)
        sure = how_sure(encoder, distance[0], doubt[0], image)
        return PointTransfer(image.name, pixels, *sure, codes.domain)

    return (transfer(*pair) for pair in encoder.find_all(queries, **settings))


def _listed(given: Any, single_ndim: int) -> list:
    """What was given as one, in a list."""
    if isinstance(given, np.ndarray):
        return [given] if given.ndim == single_ndim else list(given)
    return [given] if isinstance(given, (str, os.PathLike)) else list(given)
