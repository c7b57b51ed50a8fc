"""Point transfer: how far from the truth do points of references arrive on other images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mmcoordgan.geometry import carry
from mmcoordgan.registry import METRICS

from .examples import Example, arg_max, pixel_centres
from .transfer_metric import TransferMetric, format_table, temperature_at


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

    Raises:
        ValueError: ``alpha`` is not positive; from ``process``: a reference has neither
            ``gt_points`` nor ``gt_coords``, ``normalize_by`` names no two of its points, or images
            differ in their number of points.
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
        self.foreground_only = foreground_only

    @property
    def num_classes(self) -> int | None:  # type: ignore[override]
        """C where labels are needed, else None."""
        return self.count_classes() if self.foreground_only else None

    def new_totals(self) -> dict[str, Tensor]:
        """Points, correct ones, sum of errors: (K, 3) float64 each."""
        names = ('', 'identity', 'ceiling')
        sums = {n: torch.zeros(self.num_references, 3, dtype=torch.float64) for n in names}
        return {**sums, 'sparse': torch.zeros(1)}  # whether key points were carried

    def check_reference(self, reference: Example) -> None:
        """References need key points, ``normalize_by`` among them, or true coordinates."""
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

    def usable(self, query: Example) -> bool:
        """Queries count where they have the ground truth of the references, and labels if needed.

        With ``normalize_by``, both of its points must be known and apart.
        """
        references = self._references
        assert references is not None
        if references.points is None:
            labelled = query.labels is not None or not self.foreground_only
            return query.true_coords is not None and labelled
        if query.points is None or query.sides is None:
            return False
        if query.points.shape != references.points.shape[1:]:
            raise ValueError(
                f'{query.name} has {len(query.points)} key points, but references have '
                f'{references.points.shape[1]}'
            )
        return bool(self._length(query.points, query.sides) > 0)

    def add(self, references: Example, queries: Example, totals: dict[str, Tensor]) -> None:
        """Add a batch of usable queries to the sums."""
        sparse = references.points is not None
        errors, counted = (self._of_points if sparse else self._of_pixels)(references, queries)
        for name, values in errors.items():
            self._count(totals[name], values, counted.expand_as(values))
        totals['sparse'] += sparse

    def _of_points(self, references: Example, queries: Example) -> tuple[dict[str, Tensor], Tensor]:
        """Errors of key points (B, K, P), and which of them count."""
        points, truth, sides = references.points, queries.points, queries.sides
        assert points is not None and truth is not None and sides is not None
        arrived = {
            '': self._carry_points(points, references.coords, queries.coords),
            'identity': points.expand(len(truth), -1, -1, -1),
        }
        lengths = self._length(truth, sides)[:, None, None]  # (B, 1, 1)
        sides = sides[:, None, None]
        errors = {
            k: ((a - truth[:, None]) * sides).norm(dim=3) / lengths for k, a in arrived.items()
        }
        return errors, _inside(points) & _inside(truth)[:, None]

    def _of_pixels(self, references: Example, queries: Example) -> tuple[dict[str, Tensor], Tensor]:
        """Errors of every pixel (B, K, H, W), and which of them count."""
        points, truth = references.true_coords, queries.true_coords
        assert points is not None and truth is not None
        copied = F.interpolate(points, truth.shape[-2:], mode='bilinear', align_corners=True)
        arrived = {
            '': self.transfer(points, queries),
            'identity': copied.expand(len(truth), -1, -1, -1, -1),
        }
        if self.ceiling:
            arrived['ceiling'] = self.transfer(points, queries, 'true_coords')
        counted = torch.ones_like(truth[:, :1], dtype=torch.bool)  # (B, 1, H, W)
        if self.foreground_only and queries.labels is not None:
            counted = arg_max(queries.labels.unbind(1))[:, None] > 0
        return {k: (a - truth[:, None]).norm(dim=2) for k, a in arrived.items()}, counted

    def _carry_points(self, points: Tensor, sources: Tensor, targets: Tensor) -> Tensor:
        """Where points (K, P, 2) arrive on the queries: (B, K, P, 2), in fractions."""
        places = (2 * points - 1).nan_to_num()[:, None]  # (K, 1, P, 2)
        wanted = F.grid_sample(sources, places, padding_mode='border', align_corners=False)
        centers = pixel_centres(targets.shape[-2:], targets)
        temperature = temperature_at(
            targets.shape[-1], self.mode, self.temperature, self.reference_size
        )
        # wanted is (K, 2, 1, P), a map of one row.
        maps = [target.view(-1, *target.shape[-3:]) for target in targets]
        found = [carry(centers, target, wanted, temperature) for target in maps]
        return torch.stack(found)[:, :, :, 0].transpose(2, 3)

    def _length(self, points: Tensor, sides: Tensor) -> Tensor:
        """What errors of points (..., P, 2) are divided by, in pixels of the image: (...)."""
        if self.normalize_by is None:
            return sides.amax(-1)
        first, second = (points[..., index, :] for index in self.normalize_by)
        return ((first - second) * sides).norm(dim=-1)

    def _count(self, total: Tensor, errors: Tensor, counted: Tensor) -> None:
        """Add errors (B, K, ...), where they are counted, to the sums (K, 3)."""
        errors = errors.double().where(counted, 0).transpose(0, 1).flatten(1)  # (K, points)
        counted = counted.transpose(0, 1).flatten(1)
        correct = (errors < self.alpha) & counted
        sums = [counted.sum(1).double(), correct.sum(1).double(), errors.sum(1)]
        total += torch.stack(sums, dim=1).cpu()

    def report(self, totals: dict[str, Tensor]) -> tuple[dict[str, float], str]:
        """Numbers as listed for the class, and a table of references."""
        sparse = bool(totals['sparse'])
        keys = f'pck@{self.alpha:g}', 'nme' if sparse else 'error'
        numbers: dict[str, float] = {}
        columns: dict[str, Tensor] = {}
        for name in ('', 'identity', 'ceiling')[: 3 if self.ceiling and not sparse else 2]:
            points, correct, errors = totals[name].unbind(1)  # (K,) each
            values = 100 * correct / points, errors * (100 if sparse else 1) / points
            for key, value in zip(keys, values):
                key = f'{name}_{key}' if name else key
                numbers[key], columns[key] = float(value.nanmean()), value
        for key in keys:
            for reference, value in enumerate(columns[key].tolist()):
                numbers[f'{key}/ref{reference}'] = value
        labels = [f'ref{reference}' for reference in range(self.num_references)]
        means = {k: [*column.tolist(), float(column.nanmean())] for k, column in columns.items()}
        return numbers, format_table('', [*labels, 'mean'], means, digits=3)


def _inside(points: Tensor) -> Tensor:
    """Whether points (..., 2) in fractions are visible and inside the frame (...)."""
    return ((points >= 0) & (points <= 1)).all(-1)  # False for NaN
