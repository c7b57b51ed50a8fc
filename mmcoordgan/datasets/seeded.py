"""Samples whose random augmentations depend on their place in the training alone."""

from __future__ import annotations

from typing import Any

from torch.utils.data import Dataset

from mmcoordgan.random_state import seeded
from mmcoordgan.registry import DATASETS


@DATASETS.register_module()
class SeededDataset(Dataset):
    """Seeds all random sources for each sample that :class:`~.ResumableSampler` asks for.

    What a pipeline draws then is the same whichever worker loads the sample, whatever it loaded
    before, and after an interruption. The random states of the process are left as they were.
    :class:`~.ResumableTrainLoop` puts this wrapper around the data set of its data loader.

    Args:
        dataset: Config or instance of the data set inside.
    """

    def __init__(self, dataset: dict | Dataset) -> None:
        self.dataset: Any = DATASETS.build(dataset) if isinstance(dataset, dict) else dataset

    @property
    def metainfo(self) -> dict:
        """The data set's facts about itself."""
        return getattr(self.dataset, 'metainfo', {})

    def full_init(self) -> None:
        """Initialize the data set inside, if it waits for that."""
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
