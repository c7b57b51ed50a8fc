"""Verbs that read pictures: encode, correspond, transfer-labels, transfer-points."""

from __future__ import annotations

import argparse
from typing import Any

import cv2
import numpy as np

from mmcoordgan.apis.encoding_inferencer import picture_row
from mmcoordgan.apis.masks import full_palette, read_label_mask, write_label_png
from mmcoordgan.apis.pictures import original, resize_to
from mmcoordgan.apis.points import ENDINGS, points_writer, read_points
from mmcoordgan.apis.results import Correspondence, LabelTransfer, PointTransfer
from mmcoordgan.engine.launch import LaunchError
from mmcoordgan.visualization import arrange_cells, overlay_labels

from .loading import explained, load, settings
from .outputs import (
    Failures,
    check_distinct_folders,
    check_file,
    list_inputs,
    plan_outputs,
    prepare_folder,
    write_npz,
    write_png,
)


def encode(args: argparse.Namespace, failures: Failures) -> None:
    """One .npz per picture, and rows of pictures on request."""
    inputs = list_inputs(args.pictures)
    planned = plan(args, inputs, args.out, '.npz')
    drawn = plan(args, inputs, args.overview, '.png')
    inferencer = load(args)
    todo = [path for path in inputs if path in planned or path in drawn]
    with explained():
        results = inferencer.iter_encode(todo, **settings(args, failures))
    for found in results:
        fields = found._asdict()
        arrays = {key: fields[key] for key in ('structure_w', 'texture_w', 'coords', 'shape')}
        if found.name in planned:
            failures.write(found.name, planned[found.name], write_npz, arrays)
        if found.name in drawn:
            failures.write(found.name, drawn[found.name], write_png, picture_row(found))


def correspond(args: argparse.Namespace, failures: Failures) -> None:
    """One .npz of matches, and a picture on request."""
    pair = (args.a, args.b)
    check_file(args.out, ['.npz'], force=args.force, protected=pair)
    if args.overview is not None:
        check_file(args.overview, ['.png'], force=args.force, protected=pair)
    inferencer = load(args)
    with explained():
        found = inferencer.correspond(args.a, args.b, refine=args.refine)
    write_npz(args.out, found._asdict())
    if args.overview is not None:
        failures.write(args.a, args.overview, write_correspondence, pair, found)


def transfer_labels(args: argparse.Namespace, failures: Failures) -> None:
    """One palette PNG per picture; overlays and probabilities on request."""
    inputs = list_inputs(args.pictures)
    references, masks = zip(*args.reference)
    protected = [*references, *masks]
    check_distinct_folders(inputs.values(), args.out, args.overlay)
    planned = plan(args, inputs, args.out, '.png', protected)
    overlays = plan(args, inputs, args.overlay, '.png', protected)
    soft = plan(args, inputs, args.probabilities, '.npz', protected)
    todo = [path for path in inputs if path in planned or path in overlays or path in soft]
    inferencer = load(args)
    with explained():
        palette = first_palette(masks)
        results = inferencer.iter_transfer_labels(
            list(references), list(masks), todo, **settings(args, failures)
        )
    for found in results:
        name = found.name
        if name in planned:
            failures.write(name, planned[name], write_label_png, found.labels, palette)
        if name in overlays:
            failures.write(name, overlays[name], write_overlay, found, palette)
        if name in soft:
            arrays = {'probabilities': found.probabilities, 'classes': found.classes}
            failures.write(name, soft[name], write_npz, arrays)


def transfer_points(args: argparse.Namespace, failures: Failures) -> None:
    """One file with the points of all pictures."""
    inputs = list_inputs(args.pictures)
    protected = [*inputs, args.reference, args.points]
    check_file(args.out, ENDINGS, force=args.force, protected=protected)
    if args.keep_extension and args.overlay is None:
        raise LaunchError('--keep-extension is about names of overlays: add --overlay, or drop it')
    with explained():
        labels, points = read_points(args.points)
    overlays = plan(args, inputs, args.overlay, '.png', protected)
    inferencer = load(args)
    with explained():
        results = inferencer.iter_transfer_points(
            args.reference, points, list(inputs), **settings(args, failures)
        )
    with points_writer(args.out, labels) as add:
        for found in results:
            add(found)
            if found.name in overlays:
                failures.write(found.name, overlays[found.name], write_points, found)


def plan(
    args: argparse.Namespace,
    inputs: dict[str, str],
    out: str | None,
    ending: str,
    protected: Any = (),
) -> dict[str, str]:
    """Files in the folder ``out``, checked; none where it is not asked for."""
    if out is None:
        return {}
    planned = plan_outputs(
        inputs,
        out,
        ending,
        folders=args.pictures,
        protected=protected,
        keep_extension=args.keep_extension,
        force=args.force,
        skip_existing=getattr(args, 'skip_existing', False),
    )
    prepare_folder(out)
    return planned


def first_palette(masks: Any) -> np.ndarray | None:
    """The colours of the first mask that has some."""
    palettes = (read_label_mask(mask).palette for mask in masks)
    return next((palette for palette in palettes if palette is not None), None)


def write_overlay(path: str, found: LabelTransfer, palette: np.ndarray | None) -> None:
    """The picture at its own size with the colours of its labels."""
    image = original(found.name)
    write_png(path, overlay_labels(image, found.labels, full_palette(palette)))


def write_points(path: str, found: PointTransfer) -> None:
    """The picture, enlarged where it is small, with its points."""
    write_png(path, draw_points(original(found.name), found.points))


def draw_points(image: np.ndarray, points: np.ndarray) -> np.ndarray:
    """A copy of a picture, enlarged to at least 256 pixels, with its points.

    The colour of the n-th, n = 0, 1, ..., is that of label n % 255 + 1 in
    :func:`~mmcoordgan.apis.masks.default_palette`, in all pictures.
    """
    factor = max(1, -(-256 // max(image.shape[:2])))
    canvas = np.ascontiguousarray(np.repeat(np.repeat(image, factor, 0), factor, 1))
    radius = max(2, max(canvas.shape[:2]) // 100)
    for number, point in enumerate(points):
        color = [int(c) for c in full_palette(None)[number % 255 + 1]]
        centre = [int(value) for value in np.rint((point + 0.5) * factor - 0.5)]
        cv2.circle(canvas, centre, radius + 1, (255, 255, 255), -1, cv2.LINE_AA)
        cv2.circle(canvas, centre, radius, color, -1, cv2.LINE_AA)
    return canvas


def write_correspondence(path: str, pair: tuple[str, str], found: Correspondence) -> None:
    """See :func:`correspondence_picture`."""
    a, b = (original(source) for source in pair)
    write_png(path, correspondence_picture(a, b, found))


def correspondence_picture(a: np.ndarray, b: np.ndarray, found: Correspondence) -> np.ndarray:
    """Picture a, picture b, b's colours at a's matches, and the confidence (white: sure)."""
    side = min(512, max(a.shape[:2]))
    first, second = (resize_to(image, (side, side)) for image in (a, b))
    rows, columns = (((np.arange(side) + 0.5) * n / side).astype(int) for n in a.shape[:2])
    x, y = found.matches[:, rows[:, None], columns]
    x, y = (x + 0.5) * side / b.shape[1] - 0.5, (y + 0.5) * side / b.shape[0] - 0.5
    carried = cv2.remap(second, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    sure = np.rint(255 * found.confidence[rows[:, None], columns]).astype(np.uint8)
    return arrange_cells([[first, second, carried, np.repeat(sure[..., None], 3, axis=2)]])
