"""Point transfer: how far from the truth do points of references arrive on other images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mmcoordgan.geometry import carry, resize_map
from mmcoordgan.registry import METRICS

from .examples import Example, arg_max, pixel_centres
from .transfer_metric import TransferMetric, format_table, maps_of


@METRICS.register_module()
class KeypointTransferPCK(TransferMetric):
    r"""Fraction of correctly transferred points (PCK), and their mean error.

    **Key points** (``gt_points``, as :class:`~mmcoordgan.datasets.LabelledFolder` gives them).
    The query's positions are matched to the canonical coordinate that the reference's map gives a
    point (bilinear). The error is the distance to the query's own point, in pixels of the original
    image, over the distance of the two points ``normalize_by`` or the longer side of the image. A
    point counts where it is visible and inside the frame in both images.

    **Every pixel** (``gt_coords``, as :class:`~mmcoordgan.datasets.ToyFaces`), where references
    have no key points. The true canonical coordinates :math:`g_r` of a reference are carried to
    the query as values. At a pixel p with the true coordinate :math:`g_q(p)`, the error in units of
    the frame is :math:`e(p) = \lVert \mathrm{transfer}(g_r; c_r \to c_q)(p) - g_q(p) \rVert`.

    Numbers, over all points of all queries, then the mean over references:

    * ``pck@<alpha>``: fraction of points with an error below alpha, in percent.
    * ``nme``: mean normalized error of key points, in percent; ``error``: mean of e(p).
    * ``pck@<alpha>/ref<k>``, ``nme/ref<k>``, ``error/ref<k>``: the same by reference.
    * ``identity_...``: every point stays at its place in the image.
    * ``ceiling_...`` (not for key points): the true coordinates in place of the model's maps. Not
      perfect: references do not show all, and soft transfer averages over neighbors.

    Convention: ``gt_points`` in fractions of width and height, x first; ``gt_coords`` x first,
    align-corners pixels.

    Args:
        alpha: Threshold, > 0, in units of the error.
        normalize_by: Indices of two key points, such as the outer corners of the eyes (36, 45) of
            68 points. None: the longer side of the image.
        foreground_only: Count only pixels whose label is not background (class 0); needs the
            ``classes`` of the data set.
        **settings: See :class:`TransferMetric`.
    """

    def __init__(
        self,
        *,
        alpha: float = 0.1,
        normalize_by: Sequence[int] | None = None,
        foreground_only: bool = False,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        if not alpha > 0:
            raise ValueError(f'alpha must be positive, but got {alpha}')
        self.alpha = alpha
        self.normalize_by = normalize_by
        self.needs_labels = self.foreground_only = foreground_only

    def check_reference(self, reference: Example) -> None:
        if reference.points is None and reference.true_coords is None:
            raise ValueError(
                f'the reference {reference.name} has neither gt_points nor gt_coords: point '
                'transfer needs key points (LabelledFolder) or true coordinates (ToyFaces)'
            )
        if self.normalize_by is not None and reference.points is not None:
            count, pair = len(reference.points), set(self.normalize_by)
            if len(pair) != 2 or not pair <= set(range(count)):
                raise ValueError(
                    f'normalize_by must be indices of two of the {count} points, but is '
                    f'{tuple(self.normalize_by)}'
                )

    def count(self, query: Example) -> dict[str, Tensor]:
        """Points, correct ones and sum of errors, (K, 3) float64, by the name of the error."""
        sparse = self.references.points is not None
        errors, counts = self._of_points(query) if sparse else self._of_pixels(query)
        sums = {}
        for name, values in errors.items():  # (K, ...) each
            counted = counts.expand_as(values).flatten(1)  # (K, points)
            values = values.flatten(1).double().where(counted, 0)
            correct = (values < self.alpha) & counted
            columns = [counted.sum(1).double(), correct.sum(1).double(), values.sum(1)]
            sums[name] = torch.stack(columns, dim=1).cpu()
        return sums

    def _of_points(self, query: Example) -> tuple[dict[str, Tensor], Any]:
        """Errors of key points (K, P), and which of them count; none where they have no unit."""
        points, truth, sides = self.references.points, query.points, query.sides
        if truth is None or sides is None:
            return {}, None
        if truth.shape != points.shape[1:]:
            raise ValueError(
                f'{query.name} has {len(truth)} key points, but references have {points.shape[1]}'
            )
        length = sides.amax()
        if self.normalize_by is not None:
            first, second = truth[list(self.normalize_by)]
            length = ((first - second) * sides).norm()
        if not length > 0:  # one of the two points is unknown, or they coincide
            return {}, None
        arrived = {'nme': self._carry_points(points, query), 'identity_nme': points}
        errors = {k: ((a - truth) * sides).norm(dim=2) / length for k, a in arrived.items()}
        return errors, _inside(points) & _inside(truth)

    def _of_pixels(self, query: Example) -> tuple[dict[str, Tensor], Any]:
        """Errors of every pixel (K, H, W), and which of them count."""
        points, truth = self.references.true_coords, query.true_coords
        if truth is None or (self.foreground_only and query.labels is None):
            return {}, None
        copied = resize_map(points, truth.shape[-2:])
        arrived = {'error': self.transfer(points, query), 'identity_error': copied}
        if self.ceiling:
            arrived['ceiling_error'] = self.transfer(points, query, 'true_coords')
        counted = torch.ones_like(truth[0], dtype=torch.bool)
        if query.labels is not None:
            counted = arg_max(query.labels) > 0
        return {k: (a - truth).norm(dim=1) for k, a in arrived.items()}, counted

    def _carry_points(self, points: Tensor, query: Example) -> Tensor:
        """Where points (K, P, 2) arrive on the query, in fractions."""
        places = (2 * points - 1).nan_to_num()[:, None]  # (K, 1, P, 2)
        sources = self.references.coords
        wanted = F.grid_sample(sources, places, padding_mode='border', align_corners=False)
        maps = maps_of(query)
        centers = pixel_centres(maps.shape[-2:], maps)
        # wanted is (K, 2, 1, P), a map of one row.
        found = carry(centers, maps, wanted, self.temperature_of(maps))
        return found[:, :, 0].transpose(1, 2)

    def report(self, totals: dict[str, Tensor]) -> tuple[dict[str, float], str]:
        error, pck = next(iter(totals)), f'pck@{self.alpha:g}'  # error is 'nme' or 'error'
        columns: dict[str, Tensor] = {}
        for name, sums in totals.items():
            points, correct, errors = sums.unbind(1)  # (K,) each
            columns[name.replace(error, pck)] = 100 * correct / points
            columns[name] = errors * (100 if error == 'nme' else 1) / points
        numbers = {key: float(column.nanmean()) for key, column in columns.items()}
        for key in (pck, error):
            for reference, value in enumerate(columns[key].tolist()):
                numbers[f'{key}/ref{reference}'] = value
        labels = [f'ref{reference}' for reference in range(self.num_references)]
        means = {k: [*column.tolist(), float(column.nanmean())] for k, column in columns.items()}
        return numbers, format_table('', [*labels, 'mean'], means, digits=3)


def _inside(points: Tensor) -> Tensor:
    """Whether points (..., 2) in fractions are visible and inside the frame (...)."""
    return ((points >= 0) & (points <= 1)).all(-1)  # False for NaN
