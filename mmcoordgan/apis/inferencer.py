"""CoordGANInferencer: what a trained checkpoint can do, one method each."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any, Union

import numpy as np
import torch
from torch import Tensor

from mmcoordgan.geometry import IndexedCoords
from mmcoordgan.models.inversion import Inversion
from mmcoordgan.registry import INFERENCERS

from .correspondence import at_points, at_size, confidence, match_field, to_pixels, to_shares
from .encoding_inferencer import as_array
from .label_transfer import LabelledReferences, best_class
from .masks import check_labels, read_label_mask
from .pictures import OnBroken, Picture, Source, Sources
from .rendering_inferencer import RenderingInferencer
from .results import Correspondence, LabelTransfer, PointTransfer

Labels = Union[str, os.PathLike, np.ndarray]


@INFERENCERS.register_module()
class CoordGANInferencer(RenderingInferencer):
    """Encode pictures, find correspondences, carry labels and points, swap, sample, interpolate.

    .. code-block:: python

        inferencer = CoordGANInferencer('work_dirs/toyfaces_32_encoder')
        for found in inferencer.iter_transfer_labels('one.png', 'one_mask.png', 'faces/'):
            print(found.name, np.bincount(found.labels.ravel()))

    Pictures are paths, folders (all pictures below), arrays (H, W, 3) of uint8 in **RGB** order
    (OpenCV reads BGR), or iterables of these, generators too. They may have any size and shape:
    the networks see them squeezed to a square, and what is found is brought back to each picture's
    own size. Methods that take many pictures return lists; their twins ``iter_...`` give one result
    at a time, with memory that does not grow with the number of pictures. These also take
    ``on_broken``, called with the name and the error of a picture that cannot be read, which is
    then left out; without it, the error is raised. Files of unknown origin run no code, as
    :func:`~mmcoordgan.apis.load_trained` says.

    ``inferencer(inputs)`` is MMEngine's way to call it: ``encode``, as a dict of ``predictions``
    and ``visualization``.

    Args:
        model: The checkpoint, or its work dir. Or, in MMEngine's order, the config (path or
            config), where ``weights`` is the checkpoint; needed only for a checkpoint that does not
            hold its config.
        weights: The checkpoint, if ``model`` is the config or None.
        device: Where the networks run. Default: MMEngine's choice, a GPU if there is one.
        scope: As for MMEngine's inferencers.
        show_progress: Show a progress bar, on standard error (``inferencer(inputs)``: MMEngine's
            own, on standard output).
        temperature: Of the soft correspondence, at the size of the generator's maps, in units of
            the frame, at least 1e-6; 0 takes the nearest pixel. Default: what the checkpoint's
            config evaluates label transfer with, so that results are those that ``tools/test.py``
            measures; else the published 0.01 at 128 x 128 maps, in pixels: 0.04 at 32 x 32.
        vgg_weights: Path or URL of VGG16's weights, to refine codes by LPIPS.

    Raises:
        FileNotFoundError: There is no such checkpoint.
        ValueError: The checkpoint cannot be used, or an argument is out of range; says why.
    """

    # ------------------------------------------------------------------ correspondence

    def correspond(self, a: Source, b: Source, *, refine: bool | int = False) -> Correspondence:
        """Find for each pixel of picture ``a`` the matching place in picture ``b``.

        Two pixels match where their coordinates in the canonical frame agree
        (:func:`mmcoordgan.geometry.soft_transfer`). Maps are as fine as the generator's, e.g.
        128 x 128; in between, matches are interpolated. The confidence says how near the way from
        a to b and back ends to where it began: parts that b does not show have a low one.

        Args:
            a: One picture.
            b: One picture.
            refine: See :meth:`iter_encode`.
        """
        first, second = self._read_one(a, 'picture a'), self._read_one(b, 'picture b')
        inversions = self._invert([first, second], refine)
        maps = [IndexedCoords(inversion.coords) for inversion in inversions]
        field = match_field(maps[0], maps[1], self.temperature)
        matches, distance = at_size(field, *first.shape)
        return Correspondence(
            as_array(to_pixels(matches, second.shape)),
            as_array(distance),
            as_array(confidence(distance)),
        )

    def transfer_labels(
        self,
        reference: Source | Sequence[Source],
        reference_labels: Labels | Sequence[Labels],
        queries: Sources,
        **settings: Any,
    ) -> list[LabelTransfer]:
        """Carry labels of references to pictures; see :meth:`iter_transfer_labels`."""
        return list(self.iter_transfer_labels(reference, reference_labels, queries, **settings))

    def iter_transfer_labels(
        self,
        reference: Source | Sequence[Source],
        reference_labels: Labels | Sequence[Labels],
        queries: Sources,
        *,
        batch_size: int = 8,
        refine: bool | int = False,
        on_broken: OnBroken | None = None,
    ) -> Iterator[LabelTransfer]:
        """Carry labels of one or several references to pictures, one after the other.

        Several references are fused: their soft label probabilities are averaged, which labels
        better than any of them alone.

        Args:
            reference: A labelled picture, or a list of them.
            reference_labels: Its labels (H, W) at its own size, integers in 0..255, or the path of
                a palette or grey PNG (or .npy) that holds them; one for each reference.
            queries: Pictures.
            batch_size: See :meth:`iter_encode`.
            refine: See :meth:`iter_encode`.
            on_broken: See :meth:`iter_encode`; for queries alone.

        Raises:
            ValueError: A mask differs in size from its picture, or is no label mask; and as
                :meth:`iter_encode`.
            BrokenImageError: A reference or a mask (or, without ``on_broken``, a query) cannot be
                read.
        """
        references = self._label_references(reference, reference_labels, refine)
        encoded = self._invert_all(queries, batch_size, refine, on_broken)
        return self._carry_labels(references, encoded)

    def _carry_labels(
        self, references: LabelledReferences, encoded: Iterator[tuple[Picture, Inversion]]
    ) -> Iterator[LabelTransfer]:
        labels = references.classes.astype(np.uint8)
        for picture, inversion in encoded:
            soft = references.carry_to(inversion.coords, self.temperature)
            index = best_class(soft, picture.shape).cpu().numpy()
            yield LabelTransfer(picture.name, labels[index], as_array(soft), labels)

    def _label_references(
        self,
        reference: Source | Sequence[Source],
        reference_labels: Labels | Sequence[Labels],
        refine: bool | int,
    ) -> LabelledReferences:
        sources = _listed(reference, single_ndim=3)
        masks = _listed(reference_labels, single_ndim=2)
        if len(sources) != len(masks) or not sources:
            raise ValueError(f'{len(sources)} references came with {len(masks)} label masks')
        coords, labels = [], []
        for number, (source, mask) in enumerate(zip(sources, masks)):
            picture = self._read_one(source, f'reference {number}')
            name = f'mask {number}' if isinstance(mask, np.ndarray) else os.fspath(mask)
            values = mask if isinstance(mask, np.ndarray) else read_label_mask(mask).labels
            check_labels(values, picture.shape, name, picture.name)
            labels.append(values)
            coords.append(self._invert([picture], refine)[0].coords)
        return LabelledReferences(torch.cat(coords), labels)

    def transfer_points(
        self, reference: Source, points: Any, queries: Sources, **settings: Any
    ) -> list[PointTransfer]:
        """Carry points of a picture to others; see :meth:`iter_transfer_points`."""
        return list(self.iter_transfer_points(reference, points, queries, **settings))

    def iter_transfer_points(
        self,
        reference: Source,
        points: Any,
        queries: Sources,
        *,
        batch_size: int = 8,
        refine: bool | int = False,
        on_broken: OnBroken | None = None,
    ) -> Iterator[PointTransfer]:
        """Carry points of a picture to others, one after the other.

        A point goes where :meth:`correspond` sends its pixel.

        Args:
            reference: The picture in which the points lie.
            points: (N, 2), (x, y) in pixels of its own size; (0, 0) is the centre of its top left
                pixel.
            queries: Pictures.
            batch_size: See :meth:`iter_encode`.
            refine: See :meth:`iter_encode`.
            on_broken: See :meth:`iter_encode`; for queries alone.

        Raises:
            ValueError: ``points`` are no such array, or lie outside the picture; and as
                :meth:`iter_encode`.
        """
        picture = self._read_one(reference, 'the reference')
        places = to_shares(_checked_points(points, picture), picture.shape)
        source = IndexedCoords(self._invert([picture], refine)[0].coords)
        encoded = self._invert_all(queries, batch_size, refine, on_broken)
        return self._carry_points(source, places.to(source.coords), encoded)

    def _carry_points(
        self,
        source: IndexedCoords,
        places: Tensor,
        encoded: Iterator[tuple[Picture, Inversion]],
    ) -> Iterator[PointTransfer]:
        for query, inversion in encoded:
            field = match_field(source, IndexedCoords(inversion.coords), self.temperature)
            matches, distance = at_points(field, places)
            found = to_pixels(matches.T, query.shape).T
            yield PointTransfer(query.name, as_array(found), as_array(confidence(distance)))


def _listed(given: Any, single_ndim: int) -> list:
    """What was given as one, in a list."""
    if isinstance(given, np.ndarray):
        return [given] if given.ndim == single_ndim else list(given)
    return [given] if isinstance(given, (str, os.PathLike)) else list(given)


def _checked_points(points: Any, picture: Picture) -> Tensor:
    values = np.asarray(points, dtype=np.float32)
    if values.ndim != 2 or values.shape[1] != 2:
        raise ValueError(f'points must be an array (N, 2) of x and y, but are {values.shape}')
    height, width = picture.shape
    inside = (values >= -0.5) & (values <= np.array([width, height], np.float32) - 0.5)
    if not inside.all():
        x, y = values[~inside.all(1)][0]
        raise ValueError(
            f'the point ({x:g}, {y:g}) lies outside {picture.name}, which is {width}x{height} '
            '(width x height)'
        )
    return torch.from_numpy(values)
