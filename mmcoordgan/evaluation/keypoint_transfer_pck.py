"""Point transfer: how far from the truth do points of references arrive on other pictures."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mmcoordgan.registry import METRICS

from .examples import Example, Examples, arg_max
from .tables import format_table
from .transfer_metric import TransferMetric


@METRICS.register_module()
class KeypointTransferPCK(TransferMetric):
    r"""Share of correctly transferred points, against the true correspondence of every pixel.

    For data sets that know the true canonical coordinate of every pixel (``gt_coords``, as
    ``ToyFaces``). Every pixel p of a query is a point; its true canonical coordinate is
    :math:`g_q(p)`. The true canonical coordinates :math:`g_r` of a reference are carried to the
    query as values, by the correspondence under test:

    .. math::
        e(p) = \lVert \mathrm{transfer}(g_r; c_r \to c_q)(p) - g_q(p) \rVert

    is the distance, in units of the canonical frame [-1, 1], between the point that should have
    arrived at p and the point that did. Numbers, over all pixels of all queries, then the mean
    over references:

    * ``pck@<alpha>``: share of pixels with e(p) < alpha, in percent.
    * ``error``: mean of e(p).
    * ``pck@<alpha>/ref<k>`` and ``error/ref<k>``: the same by reference.
    * ``identity_pck@<alpha>``, ``identity_error``: every point stays at its pixel, e(p) =
      \|g_r(p) - g_q(p)\|.
    * ``ceiling_pck@<alpha>``, ``ceiling_error``: the true coordinates in place of the model's maps:
      what the transfer itself allows. It falls short of perfection where a reference does not show
      what the query shows, and because soft transfer averages over neighbours.

    Convention: ``gt_coords`` as :class:`~mmcoordgan.datasets.ToyFaces`: x first, align-corners
    pixels. References, their order and distributed evaluation: see :class:`TransferMetric`.

    Args:
        alpha: Threshold, > 0, in units of the canonical frame.
        foreground_only: Count only pixels whose label is not background (class 0).
        num_classes: Only with ``foreground_only``. Default: the ``classes`` of the data set.
        **settings: As :class:`TransferMetric`: ``num_references`` (5), ``mode`` ('soft'),
            ``temperature`` (0.01), ``reference_size``, ``coords_key`` ('coords'), ``ceiling``
            (True), ``prefix``.

    Raises:
        ValueError: From the constructor, if an argument is out of its range; from ``process``, if
            a reference has no ``gt_coords``.
    """

    def __init__(
        self,
        *,
        alpha: float = 0.1,
        foreground_only: bool = False,
        num_classes: int | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        if not alpha > 0:
            raise ValueError(f'alpha must be positive, but got {alpha}')
        self.alpha = alpha
        self.foreground_only = foreground_only
        self._num_classes = num_classes

    @property
    def num_classes(self) -> int | None:  # type: ignore[override]
        """C where labels are needed, else None.

        Raises:
            ValueError: If labels are needed and neither ``num_classes`` nor the data set tells.
        """
        if not self.foreground_only or self._num_classes is not None:
            return self._num_classes if self.foreground_only else None
        classes = (self.dataset_meta or {}).get('classes')
        if not classes:
            raise ValueError(
                "KeypointTransferPCK(foreground_only=True) needs num_classes: the data set's "
                "metainfo has no 'classes'"
            )
        return len(classes)

    def new_totals(self) -> dict[str, Tensor]:
        """(K, 3) float64 each: points, correct ones, sum of errors."""
        names = ('', 'identity', 'ceiling')
        return {n: torch.zeros(self.num_references, 3, dtype=torch.float64) for n in names}

    def check_reference(self, reference: Example) -> None:
        """References need true coordinates."""
        if reference.true_coords is None:
            raise ValueError(
                f'the reference {reference.name} has no gt_coords: point transfer needs the true '
                'canonical coordinates of every reference, which ToyFaces provides'
            )

    def usable(self, query: Example) -> bool:
        """Queries count where they have true coordinates (and labels, if those are needed)."""
        labelled = query.labels is not None or not self.foreground_only
        return query.true_coords is not None and labelled

    def add(self, references: Examples, queries: Examples, totals: dict[str, Tensor]) -> None:
        """Add a batch of queries with true coordinates to the sums."""
        points, truth = references.true_coords, queries.true_coords
        assert points is not None and truth is not None
        counted = torch.ones_like(truth[:, 0], dtype=torch.bool)  # (B, H, W)
        if self.foreground_only:
            assert queries.labels is not None
            counted = arg_max(queries.labels) > 0

        def count(name: str, arrived: Tensor) -> None:  # (B, K, 2, H, W)
            errors = (arrived - truth[:, None]).norm(dim=2).double()  # (B, K, H, W)
            inside = counted[:, None].expand_as(errors)
            correct = (errors < self.alpha) & inside
            sums = [inside.sum((0, 2, 3)), correct.sum((0, 2, 3)), (errors * inside).sum((0, 2, 3))]
            totals[name] += torch.stack([s.double() for s in sums], dim=1).cpu()

        count('', self.transfer(points, queries))
        copied = points
        if copied.shape[-2:] != truth.shape[-2:]:
            copied = F.interpolate(copied, truth.shape[-2:], mode='bilinear', align_corners=True)
        count('identity', copied.expand(len(truth), -1, -1, -1, -1))
        if self.ceiling:
            count('ceiling', self.transfer(points, queries, 'true_coords'))

    def report(self, totals: dict[str, Tensor]) -> tuple[dict[str, float], str]:
        """Numbers as listed for the class, and a table of references."""
        pck_key, numbers, columns = f'pck@{self.alpha:g}', {}, {}
        for name in ('', 'identity', 'ceiling')[: 3 if self.ceiling else 2]:
            points, correct, errors = totals[name].unbind(1)  # (K,) each
            points = points.clamp(min=1)
            pck, error = 100 * correct / points, errors / points
            start = f'{name}_' if name else ''
            numbers[f'{start}{pck_key}'] = float(pck.mean())
            numbers[f'{start}error'] = float(error.mean())
            columns[f'{start}{pck_key}'], columns[f'{start}error'] = pck, error
        for reference in range(self.num_references):
            numbers[f'{pck_key}/ref{reference}'] = float(columns[pck_key][reference])
            numbers[f'error/ref{reference}'] = float(columns['error'][reference])
        labels = [f'ref{reference}' for reference in range(self.num_references)]
        rows = [[float(column[k]) for column in columns.values()] for k in range(len(labels))]
        means = [float(column.mean()) for column in columns.values()]
        return numbers, format_table(['', *columns], [*labels, 'mean'], [*rows, means], digits=3)
