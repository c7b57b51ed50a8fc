"""The base of all data sets."""

from __future__ import annotations

import os
from collections.abc import Sequence
from copy import deepcopy
from typing import Any, Callable, Union

from mmengine.dataset import Compose
from mmengine.dataset import ConcatDataset as MMEngineConcatDataset
from torch.utils.data import Dataset

from mmcoordgan.registry import DATASETS, TRANSFORMS

from .loading import LoadImage
from .transforms import PackInputs

Pipeline = Sequence[Union[dict, Callable[[dict], Any]]]


def choose(items: Sequence, indices: int | Sequence[int] | None, owner: str) -> list:
    """The first ``indices`` items, or those at these different positions in order; None: all."""
    wanted = range(indices) if isinstance(indices, int) else indices
    chosen = list(range(len(items)) if wanted is None else wanted)
    wrong = [i for i in chosen if not 0 <= i < len(items)]
    if wrong or not chosen or len(set(chosen)) < len(chosen):
        raise ValueError(
            f'{owner}: indices must be different positions in 0..{len(items) - 1}, or a number of '
            f'images, but got {indices}'
        )
    return [items[i] for i in chosen]


class PipelineDataset(Dataset):
    """A map-style data set: ``get_data_info`` describes a sample, a pipeline makes the sample.

    It has what MMEngine's runner and wrappers (``RepeatDataset``, ``ConcatDataset``) need.
    ``pipeline`` lists transforms: callables, or configs with names of this package and of mmcv.
    By default it reads the image and packs it with its labels, which must have the same size.
    """

    METAINFO: dict = {}
    data_root: str = ''
    """Where the data comes from. With ``data_prefix``, names MMagic's caches of real features."""

    def __init__(self, *, pipeline: Pipeline | None = None) -> None:
        steps = [LoadImage(), PackInputs()] if pipeline is None else pipeline
        self.pipeline = Compose([TRANSFORMS.build(s) if isinstance(s, dict) else s for s in steps])

    @property
    def metainfo(self) -> dict:
        """A copy of ``METAINFO``, in plain Python types."""
        return deepcopy(self.METAINFO)

    @property
    def data_prefix(self) -> dict:
        """The length of the data set, see ``data_root``."""
        return {'length': len(self)}

    def full_init(self) -> None:
        """Does nothing; MMEngine's dataset wrappers call it."""

    def get_data_info(self, index: int) -> dict:
        """The dict that enters the pipeline for sample ``index``."""
        raise NotImplementedError

    def __len__(self) -> int:
        raise NotImplementedError

    def __getitem__(self, index: int) -> Any:
        return self.pipeline(self.get_data_info(range(len(self))[index]))

    def _folder(self, key: str, *path: str) -> str:
        """A folder, or FileNotFoundError that says which config key names it."""
        folder = os.path.join(*map(str, path))
        if not os.path.isdir(folder):
            found = 'is a file' if os.path.exists(folder) else 'does not exist'
            raise FileNotFoundError(
                f"the folder '{folder}' {found}. It comes from {key} of {type(self).__name__} in "
                'the config: set it to your data, for example with --cfg-options'
            )
        return folder


@DATASETS.register_module()
class ConcatDataset(MMEngineConcatDataset):
    """MMEngine's ``ConcatDataset`` whose samples know their position in the whole.

    ``sample_idx`` separates references from queries and names predictions. Same arguments.
    """

    def __getitem__(self, idx: int) -> Any:
        packed = super().__getitem__(idx)
        sample = packed.get('data_samples') if isinstance(packed, dict) else None
        if sample is not None:
            sample.set_metainfo({'sample_idx': idx % len(self)})
        return packed
