"""Seeds in place of images, to test a generator."""

from __future__ import annotations

import numpy as np
from mmengine.structures import BaseDataElement

from mmcoordgan.registry import DATASETS

from .base import PipelineDataset


@DATASETS.register_module()
class SwapSeeds(PipelineDataset):
    """Ask a CoordGAN for images, and for what they become when a code is swapped.

    Sample ``i`` is ``inputs=dict(swap_seed=...)``, a function of ``(seed, i)`` alone, so that what
    is generated does not depend on batches and processes. See
    :meth:`mmcoordgan.models.CoordGAN.forward`.

    Args:
        length: Number of samples.
        seed: Non-negative seed of the whole set.
    """

    def __init__(self, *, length: int = 1000, seed: int = 0) -> None:
        super().__init__(pipeline=())
        self.length = length
        self.seed = seed

    def __len__(self) -> int:
        return self.length

    def get_data_info(self, index: int) -> dict:
        """The request for sample ``index``, below 2^63."""
        state = np.random.SeedSequence((self.seed, index)).generate_state(1, np.uint64)[0]
        sample = BaseDataElement(metainfo={'sample_idx': index})
        return {'inputs': {'swap_seed': int(state >> np.uint64(1))}, 'data_samples': sample}
