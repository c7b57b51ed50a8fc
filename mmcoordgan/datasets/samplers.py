"""Which samples a process sees, and in which order."""

from __future__ import annotations

from collections.abc import Iterator, Sized

from mmengine.dist import get_dist_info
from torch.utils.data import Sampler

from mmcoordgan.registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()
class ReferenceSampler(Sampler):
    """All references on every process, then each process's own share of the queries.

    The first ``num_references`` samples are the references. Of the queries behind them, process r
    of n gets the r-th, (r + n)-th, ...: every query is seen exactly once, nothing is padded or
    repeated, and processes may have different numbers of queries (or none).

    Args:
        dataset: The data set.
        num_references: How many of its samples are references.
        seed: Ignored: nothing is random here. MMEngine passes it to every sampler.

    Raises:
        ValueError: If the data set has fewer samples than ``num_references``.
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
