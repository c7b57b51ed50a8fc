"""The base of the transfer metrics: references first, sums instead of results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.dist import all_reduce
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from torch import Tensor

from mmcoordgan.geometry import IndexedCoords, carry

from .examples import Example, read_example, sample_index, stack

MODES = ('soft', 'hard')
OUT_OF_REACH = 1e4
"""Coordinate of void pixels, far from the canonical frame [-1, 1]: no target is near them."""


def temperature_at(width: int, mode: str, temperature: float, reference_size: int | None) -> float:
    """Temperature of :func:`transfer_all` for maps of ``width``; see :class:`TransferMetric`."""
    if mode not in MODES:
        raise ValueError(f'mode must be one of {MODES}, but got {mode!r}')
    return temperature * (reference_size or width) / width if mode == 'soft' else 0.0


def transfer_all(
    values: Tensor, sources: Tensor | IndexedCoords, targets: Tensor, temperature: float
) -> Tensor:
    """Carry values from each of K references to each of B queries.

    Convention: from source to target, as :func:`mmcoordgan.geometry.soft_transfer`.

    Args:
        values: (K, C, h, w).
        sources: The references' maps (K, 2, h, w).
        targets: The queries' maps (B, 2, H, W), or one for each reference (B, K, 2, H, W).
        temperature: Of the soft correspondence, in units of the frame; 0 takes the nearest pixel.

    Returns:
        (B, K, C, H, W).
    """
    # One query at a time, so that rounding does not depend on what shares its batch.
    queries = [IndexedCoords(target.view(-1, *target.shape[-3:])) for target in targets]
    return torch.stack([carry(values, sources, query, temperature) for query in queries])


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
        mode: 'soft' (:func:`mmcoordgan.geometry.soft_transfer`) or 'hard' (nearest coordinate).
        temperature: Of the soft transfer, > 0, in units of the frame.
        reference_size: If given, ``temperature`` belongs to maps of this width, and others get
            ``temperature * reference_size / width``: the same number of pixels.
        coords_key: Which map of the predictions to use.
        ceiling: Also report what the true canonical coordinates (``gt_coords``) would reach, where
            the data set has them; doubles the time.
        prefix: Put before the names of all numbers, with a slash.
    """

    default_prefix = ''
    num_classes: int | None = None
    """Set by metrics that need labels."""
    label_size: int | None = None
    """Height and width at which labels are counted; None: those of the map."""

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
        self._references: Example | None = None
        self._indexed: dict[str, IndexedCoords] = {}
        self._totals: dict[str, Tensor] = {}
        self.results.clear()

    @property
    def ignore_index(self) -> int | None:
        """Label of void pixels, from the data set's ``metainfo``."""
        return (self.dataset_meta or {}).get('ignore_index')

    def count_classes(self) -> int:
        """Number of classes of the data set."""
        classes = (self.dataset_meta or {}).get('classes')
        if not classes:
            raise ValueError(f"{type(self).__name__}: the data set's metainfo has no 'classes'")
        return len(classes)

    def new_totals(self) -> dict[str, Tensor]:
        """The running sums at zero, on the CPU: the same names and shapes on every process."""
        raise NotImplementedError

    def check_reference(self, reference: Example) -> None:
        """Raise ValueError unless ``reference`` has what the metric carries."""
        raise NotImplementedError

    def usable(self, query: Example) -> bool:
        """Whether ``query`` has the ground truth that the metric compares with."""
        raise NotImplementedError

    def add(self, references: Example, queries: Example, totals: dict[str, Tensor]) -> None:
        """Add a batch of usable queries to the running sums; both come stacked."""
        raise NotImplementedError

    def report(self, totals: dict[str, Tensor]) -> tuple[dict[str, float], str]:
        """Numbers and a readable table from the sums over all queries of all processes."""
        raise NotImplementedError

    @torch.no_grad()
    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Store references, add queries to the running sums.

        ``data_samples`` have ``sample_idx`` and what
        :func:`~mmcoordgan.evaluation.examples.read_example` reads.
        """
        queries = []
        for sample in data_samples:
            index = sample_index(sample)
            example = read_example(
                sample,
                coords_key=self.coords_key,
                num_maps=self.num_references if index >= self.num_references else None,
                num_classes=self.num_classes,
                ignore_index=self.ignore_index,
                label_size=self.label_size,
            )
            if index >= self.num_references:
                queries.append(example)
            elif index in self._found:
                raise ValueError(
                    f'two samples have sample_idx {index}, {self._found[index].name} and '
                    f'{example.name}: join data sets with mmcoordgan.ConcatDataset'
                )
            else:
                self.check_reference(example)
                self._found[index] = example
        if not queries:
            return
        references, totals = self._complete_references(queries[0].name), self._sums()
        usable = [query for query in queries if self.usable(query)]
        totals['queries'] += torch.tensor([len(queries), len(usable)])
        if usable:
            self.add(references, stack(usable), totals)

    def evaluate(self, size: int) -> dict:
        """Add up the sums of all processes, and report.

        ``size`` is the number of samples of the data set, references included. Returns names and
        numbers, the same on every process; nothing if no query has ground truth.
        """
        totals = self._sums()
        for total in totals.values():
            all_reduce(total)
        self.reset()
        counted, expected = int(totals['queries'][0]), size - self.num_references
        if counted > expected:
            raise ValueError(
                f'{type(self).__name__}: {counted} queries were counted, but the data set has only '
                f'{expected}: some came more than once. {self._advice()}'
            )
        metrics = self.compute_metrics([totals])
        return {f'{self.prefix}/{k}' if self.prefix else k: v for k, v in metrics.items()}

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Numbers from ``results``, a list of one dict of sums; prints the table."""
        totals = results[0]
        seen, usable = (int(count) for count in totals['queries'])
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

    def transfer(self, values: Tensor, queries: Example, maps: str = 'coords') -> Tensor:
        """Carry values (K, C, h, w) of the references to B queries: (B, K, C, H, W).

        ``maps`` tells which maps of both correspond: 'coords' or 'true_coords'.
        """
        references = self._references
        assert references is not None
        if maps not in self._indexed:
            coords = getattr(references, maps)
            if references.labels is not None:  # void pixels are no sources
                void = references.labels.sum(1, keepdim=True) == 0
                coords = coords.masked_fill(void, OUT_OF_REACH)
            self._indexed[maps] = IndexedCoords(coords)
        targets = getattr(queries, maps)
        temperature = temperature_at(
            targets.shape[-1], self.mode, self.temperature, self.reference_size
        )
        return transfer_all(values, self._indexed[maps], targets, temperature)

    def _sums(self) -> dict[str, Tensor]:
        if not self._totals:
            counts = torch.zeros(2, dtype=torch.int64)  # queries seen, and usable ones
            self._totals = {'queries': counts, **self.new_totals()}
        return self._totals

    def _complete_references(self, query: str) -> Example:
        if self._references is None:
            missing = [i for i in range(self.num_references) if i not in self._found]
            if missing:
                raise ValueError(
                    f'{type(self).__name__}: the query {query} came before the references '
                    f'{missing} (sample_idx). {self._advice()}'
                )
            self._references = stack([self._found[i] for i in range(self.num_references)])
        return self._references

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
