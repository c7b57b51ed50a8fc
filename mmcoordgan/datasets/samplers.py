"""Which samples a process sees, in which order, and how their random draws are seeded."""

from __future__ import annotations

from collections.abc import Iterator, Sized
from itertools import count
from typing import Any

import numpy as np
from mmengine.dist import get_dist_info, sync_random_seed
from torch.utils.data import Dataset, Sampler

from mmcoordgan.registry import DATA_SAMPLERS, DATASETS
from mmcoordgan.utils.random_state import seeded


@DATA_SAMPLERS.register_module()
class ReferenceSampler(Sampler):
    """All references on every process, then some of the queries on each.

    The first ``num_references`` samples are the references. Of the queries behind them, process r
    of n gets the r-th, (r + n)-th, ...: every query is seen exactly once.

    ``seed`` is ignored; MMEngine passes it to every sampler.
    """

    def __init__(self, dataset: Sized, *, num_references: int = 5, seed: int | None = None) -> None:
        if not 1 <= num_references <= len(dataset):
            raise ValueError(
                f'num_references must lie in 1..{len(dataset)}, the size of the data set, but got '
                f'{num_references}'
            )
        rank, world_size = get_dist_info()
        queries = range(num_references + rank, len(dataset), world_size)
        self.indices = [*range(num_references), *queries]

    def __iter__(self) -> Iterator[int]:
        return iter(self.indices)

    def __len__(self) -> int:
        return len(self.indices)


class DrawnIndex(int):
    """Index of a sample that knows which draw of the training it is."""

    draw: tuple[int, int]
    """Seed of the training's order, and position in it."""


@DATA_SAMPLERS.register_module()
class ResumableSampler(Sampler):
    """Endless passes over a data set, each in its own order, that can begin at any position.

    Positions count the samples of all processes together. With N samples, position p is the
    (p mod N)-th of pass p // N, whose order is a function of the seed and the pass alone. Process
    r of n takes the positions ``start + r``, ``start + r + n``, ..., whether or not n divides N.
    Indices are :class:`~.DrawnIndex`, from which :class:`~.SeededDataset` seeds each sample.

    Args:
        dataset: The data set, of at least one sample.
        shuffle: Whether a pass is a random permutation, or the order of the data set.
        seed: Non-negative seed of the order, equal on all processes. Default: they agree on one.
        start: Position to begin at.
    """

    def __init__(
        self, dataset: Sized, *, shuffle: bool = True, seed: int | None = None, start: int = 0
    ) -> None:
        self.size = len(dataset)
        self.shuffle = shuffle
        self.seed = int(sync_random_seed() if seed is None else seed)
        self.start = start
        self.rank, self.world_size = get_dist_info()

    def __iter__(self) -> Iterator[int]:
        current, order = None, np.arange(self.size)
        for position in count(self.start + self.rank, self.world_size):
            number, place = divmod(position, self.size)
            if self.shuffle and number != current:
                order = np.random.default_rng((self.seed, number)).permutation(self.size)
                current = number
            index = DrawnIndex(order[place])
            index.draw = self.seed, position
            yield index

    def __len__(self) -> int:
        """Samples of one pass."""
        return self.size


@DATASETS.register_module()
class SeededDataset(Dataset):
    """Seeds all random sources for each sample that :class:`~.ResumableSampler` asks for.

    What a pipeline draws then depends on neither workers nor interruptions. The random states of
    the process are left as they were. :class:`~.ResumableTrainLoop` puts this wrapper around the
    data set of its data loader, given as a config or an instance.
    """

    def __init__(self, dataset: dict | Dataset) -> None:
        self.dataset: Any = DATASETS.build(dataset) if isinstance(dataset, dict) else dataset
        self.metainfo: dict = getattr(self.dataset, 'metainfo', {})

    def full_init(self) -> None:
        """Initialize the data set inside, if it is lazy."""
        if hasattr(self.dataset, 'full_init'):
            self.dataset.full_init()

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        draw = getattr(index, 'draw', None)
        if draw is None:
            return self.dataset[index]
        with seeded(draw):
            return self.dataset[int(index)]
