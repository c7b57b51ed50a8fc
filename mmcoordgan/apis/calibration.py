"""Measure a model on images that it was not trained on, and whose key points are known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from mmcoordgan.datasets import LabelledFolder, LoadImage, PackInputs, SimilarityJitter, ToyFaces

from .domain import HeldOut
from .inferencer import CoordGANInferencer
from .results import PointTransfer

TOYFACES = 'toyfaces'
"""Stands for generated faces, whose points are known exactly."""
TOY_SEED, NUM_TOYS = 3000, 400
NUM_BINS = 16


class KnownImage(NamedTuple):
    """An image with its key points."""

    image: np.ndarray  # (H, W, 3) uint8 RGB
    points: np.ndarray  # (K, 2) float32, x and y in pixels; NaN where the image does not show them


class Measured(NamedTuple):
    """Key points carried from one image to another."""

    doubt: np.ndarray  # (N,), see matching.match
    error: np.ndarray  # (N,): distance to the true points, as a fraction of the side
    truth: np.ndarray  # (K, 2): the key points of the other image
    side: float  # of the other image, in pixels


def read_known(source: str, jitter: float = 0) -> Iterator[KnownImage]:
    """Images with key points, of a folder with images/ and landmarks.npz, or :data:`TOYFACES`.

    ``jitter`` is the strength of :class:`~mmcoordgan.datasets.SimilarityJitter`.
    """
    if source == TOYFACES:
        toys = ToyFaces(seed=TOY_SEED)
        for info in map(toys.get_data_info, range(NUM_TOYS)):
            yield KnownImage(info['img'], _toy_points(info['gt_coords']))
        return
    steps: list[Any] = [LoadImage(), SimilarityJitter(strength=jitter), PackInputs()]
    folder = LabelledFolder(data_root=source, keypoints='landmarks.npz', pipeline=steps)
    for sample in map(folder.__getitem__, range(len(folder))):
        image = sample['inputs'].permute(1, 2, 0).numpy()
        sides = np.array(image.shape[1::-1], np.float32)
        points = sample['data_samples'].gt_points.numpy() * sides - 0.5
        inside = ((points >= 0) & (points <= sides - 1)).all(1, keepdims=True)
        yield KnownImage(image, np.where(inside, points, np.nan))


def measure(inferencer: CoordGANInferencer, known: Sequence[KnownImage]) -> Iterator[Measured]:
    """Carry the key points of every image to the next one."""
    # With these errors, the expected error of a match is its doubt.
    inferencer.encoder.held_out = HeldOut((0.0,), (0.0, 1.0), (0.0, 1.0))
    for found, truth, last in carry_points(inferencer, known):
        side = float(np.prod(last.image.shape[:2])) ** 0.5
        error = np.linalg.norm(found.points - truth, axis=1)
        yield Measured(found.expected_error / side, error / side, last.points, side)


def carry_points(
    inferencer: CoordGANInferencer, known: Sequence[KnownImage]
) -> Iterator[tuple[PointTransfer, np.ndarray, KnownImage]]:
    """Points of every image in the next one, as found and (N, 2) as known, and the next one."""
    for first, last in zip(known, known[1:]):
        seen = ~np.isnan(first.points + last.points).any(1)
        (found,) = inferencer.transfer_points(first.image, first.points[seen], last.image)
        yield found, last.points[seen], last


def calibrate(doubt: np.ndarray, error: np.ndarray) -> tuple[list[float], list[float]]:
    """Mean doubts and mean errors of 16 equally large groups of matches; both increase."""
    groups = np.array_split(np.argsort(doubt), NUM_BINS)
    doubts, errors = ([values[group].mean() for group in groups] for values in (doubt, error))
    return np.array(doubts).tolist(), np.maximum.accumulate(errors).tolist()


def _toy_points(coords: np.ndarray) -> np.ndarray:
    """Where a face shows its eyes, and the points of a grid over it: (51, 2)."""
    x, y = np.meshgrid(np.linspace(-0.4, 0.4, 7), np.linspace(-0.45, 0.45, 7))
    frame = np.concatenate([[[-0.22, -0.02], [0.22, -0.02]], np.stack([x, y], -1).reshape(-1, 2)])
    distance = np.linalg.norm(coords[:, None] - frame.T[:, :, None, None], axis=0)  # (51, H, W)
    flat = distance.reshape(len(frame), -1)
    weights = np.exp(-(flat - flat.min(1, keepdims=True)) / 0.02)
    rows, columns = np.indices(coords.shape[1:]).reshape(2, -1)
    points = weights @ np.stack([columns, rows], 1) / weights.sum(1, keepdims=True)
    return np.where(flat.min(1, keepdims=True) < 0.06, points, np.nan).astype(np.float32)
