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
    is generated does not depend on batches and processes (``seed`` >= 0). See
    :meth:`mmcoordgan.models.CoordGAN.forward`.
    """

    def __init__(self, *, length: int = 1000, seed: int = 0) -> None:
        super().__init__(pipeline=())
        self.length = length
        self.seed = seed

    def __len__(self) -> int:
        return self.length

    def get_data_info(self, index: int) -> dict:
        state = np.random.SeedSequence((self.seed, index)).generate_state(1, np.uint64)[0]
        sample = BaseDataElement(metainfo={'sample_idx': index})
        seed = int(state >> np.uint64(1))  # below 2^63, as torch takes it
        return {'inputs': {'swap_seed': seed}, 'data_samples': sample}
