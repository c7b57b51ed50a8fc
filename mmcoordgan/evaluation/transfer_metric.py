"""The base of the transfer metrics: references first, sums instead of results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.dist import all_gather_object
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from torch import Tensor

from mmcoordgan.geometry import IndexedCoords, carry

from .examples import Example, read_example, sample_index, stack

MODES = ('soft', 'hard')
OUT_OF_REACH = 1e4  # coordinate of void pixels, far from the frame: no target is near them


def temperature_at(width: int, mode: str, temperature: float, reference_size: int | None) -> float:
    """Temperature of :func:`carry` for maps of ``width``; see :class:`TransferMetric`."""
    if mode not in MODES:
        raise ValueError(f'mode must be one of {MODES}, but got {mode!r}')
    return temperature * (reference_size or width) / width if mode == 'soft' else 0.0


def maps_of(query: Example, maps: str = 'coords') -> Tensor:
    """The maps of a query as a batch: (1, 2, H, W), or (K, 2, H, W), one for each reference."""
    found = getattr(query, maps)
    return found.view(-1, *found.shape[-3:])


class TransferMetric(BaseMetric):
    """Base of the metrics that carry something from references to queries.

    The first ``num_references`` samples of the data set (by ``sample_idx``) are the references,
    all others the queries. References must come first on every process: use
    ``sampler=dict(type='ReferenceSampler', num_references=...)`` in the dataloader. Queries enter
    running sums, which :meth:`evaluate` adds up over all processes: memory does not grow with the
    number of queries, and every query counts once.

    A method that compares images in pairs has no common frame. It gives each query one map for
    each reference, (K, 2, h, w), of coordinates in it; references have the canonical grid.

    Args:
        num_references: K, at least 1.
        mode: 'soft' (:func:`~mmcoordgan.geometry.soft_transfer`) or 'hard' (nearest coordinate).
        temperature: Of the soft transfer, > 0, in units of the frame.
        reference_size: If given, ``temperature`` belongs to maps of this width, and others get
            ``temperature * reference_size / width``: the same number of pixels.
        coords_key: Which map of the predictions to use.
        ceiling: Also report what the true canonical coordinates (``gt_coords``) would reach, where
            the data set has them; doubles the time.
        prefix: Put before the names of all numbers, with a slash.

    Raises:
        ValueError: A setting is out of range; from ``process``: a reference lacks what is carried.
    """

    default_prefix = ''
    needs_labels = False
    label_size: int | None = None  # side at which labels are counted; None: that of the map

    def __init__(
        self,
        *,
        num_references: int = 5,
        mode: str = 'soft',
        temperature: float = 0.01,
        reference_size: int | None = None,
        coords_key: str = 'coords',
        ceiling: bool = True,
        prefix: str | None = None,
    ) -> None:
        super().__init__(prefix=prefix)
        if num_references < 1 or not temperature > 0:
            raise ValueError(
                'a transfer needs num_references >= 1 and temperature > 0, but got '
                f'num_references={num_references} and temperature={temperature}'
            )
        self.num_references = num_references
        self.mode = mode
        self.temperature = temperature
        self.reference_size = reference_size
        self.coords_key = coords_key
        self.ceiling = ceiling
        self.reset()

    def reset(self) -> None:
        """Forget references and sums."""
        self._found: dict[int, Example] = {}
        self.references: Any = None  # an Example, stacked
        self._indexed: dict[str, IndexedCoords] = {}
        self.totals: Any = Counter()  # running sums, by name; on the CPU

    @property
    def num_classes(self) -> int:
        """Number of classes of the data set, background included."""
        classes = (self.dataset_meta or {}).get('classes')
        if not classes:
            raise ValueError(f"{type(self).__name__}: the data set's metainfo has no 'classes'")
        return len(classes)

    def check_reference(self, reference: Example) -> None:
        """Raise ValueError unless ``reference`` has what the metric carries."""
        raise NotImplementedError

    def count(self, query: Example) -> dict[str, Tensor]:
        """What a query adds to the sums of these names; empty where it lacks the ground truth."""
        raise NotImplementedError

    def report(self, totals: dict[str, Tensor]) -> tuple[dict[str, float], str]:
        """Numbers and a readable table from the sums over all queries of all processes."""
        raise NotImplementedError

    @torch.no_grad()
    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Store references, add queries to the running sums, one at a time.

        ``data_samples``: see :func:`~mmcoordgan.evaluation.examples.read_example`.
        """
        for sample in data_samples:
            index = sample_index(sample)
            is_query = index >= self.num_references
            example = read_example(
                sample,
                coords_key=self.coords_key,
                num_maps=self.num_references if is_query else None,
                num_classes=self.num_classes if self.needs_labels else None,
                ignore_index=(self.dataset_meta or {}).get('ignore_index'),
                label_size=self.label_size,
            )
            if not is_query:
                self._add_reference(index, example)
                continue
            if missing := [i for i in range(self.num_references) if i not in self._found]:
                raise ValueError(
                    f'{type(self).__name__}: the query {example.name} came before the references '
                    f'{missing} (sample_idx). {self._advice()}'
                )
            counted = self.count(example)
            self.totals.update({**counted, 'queries': 1, 'usable': int(bool(counted))})

    def _add_reference(self, index: int, reference: Example) -> None:
        if index in self._found:
            raise ValueError(
                f'two samples have sample_idx {index}, {self._found[index].name} and '
                f'{reference.name}: join data sets with mmcoordgan.ConcatDataset'
            )
        self.check_reference(reference)
        self._found[index] = reference
        if len(self._found) == self.num_references:
            self.references = stack([self._found[i] for i in range(self.num_references)])

    def evaluate(self, size: int) -> dict:
        """Add up the sums of all processes, and report.

        ``size`` is the number of samples of the data set. Returns names and numbers, the same on
        every process; nothing if no query has ground truth.
        """
        totals: Any = Counter()
        for part in all_gather_object(self.totals):
            totals.update(part)
        self.reset()
        expected = size - self.num_references
        if totals['queries'] > expected:
            raise ValueError(
                f'{type(self).__name__}: {totals["queries"]} queries were counted, but the data '
                f'set has only {expected}: some came more than once. {self._advice()}'
            )
        metrics = self.compute_metrics([totals])
        return {f'{self.prefix}/{k}' if self.prefix else k: v for k, v in metrics.items()}

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Numbers from ``results``, a list of one dict of sums; prints the table."""
        totals = dict(results[0])
        seen, usable = totals.pop('queries', 0), totals.pop('usable', 0)
        title = type(self).__name__ + (f' ({self.prefix})' if self.prefix else '')
        if not usable:
            print_log(
                f'{title}: none of {seen} queries has ground truth: nothing to report', 'current'
            )
            return {}
        numbers, table = self.report(totals)
        head = f'{title}: {self.num_references} references, {usable} queries'
        if usable < seen:
            head += f' ({seen - usable} more without ground truth)'
        print_log(f'{head}\n{table}', 'current')
        return numbers

    def temperature_of(self, coords: Tensor) -> float:
        """Temperature for maps of the width of ``coords``."""
        width = coords.shape[-1]
        return temperature_at(width, self.mode, self.temperature, self.reference_size)

    def transfer(self, values: Tensor, query: Example, maps: str = 'coords') -> Tensor:
        """Carry values (K, C, h, w) of the references to a query: (K, C, H, W).

        ``maps`` tells which maps of both correspond: 'coords' or 'true_coords'.
        """
        if maps not in self._indexed:
            coords = getattr(self.references, maps)
            if self.references.labels is not None:  # void pixels are no sources
                void = self.references.labels.sum(1, keepdim=True) == 0
                coords = coords.masked_fill(void, OUT_OF_REACH)
            self._indexed[maps] = IndexedCoords(coords)
        target = maps_of(query, maps)
        return carry(values, self._indexed[maps], target, self.temperature_of(target))

    def _advice(self) -> str:
        return (
            "Use sampler=dict(type='ReferenceSampler', "
            f'num_references={self.num_references}) in the dataloader'
        )


def format_table(
    title: str, labels: Sequence[str], columns: Mapping[str, Sequence[float]], digits: int = 2
) -> str:
    """Right-aligned columns of numbers, by their headers, behind a column of labels."""
    cells = [[title, *labels]]
    cells += [[name, *(f'{v:.{digits}f}' for v in values)] for name, values in columns.items()]
    widths = [max(map(len, column)) for column in cells]
    rows = zip(*cells)
    lines = ([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])] for row in rows)
    return '\n'.join('  '.join(line).rstrip() for line in lines)
