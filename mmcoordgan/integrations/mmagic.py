"""Take parts from MMagic, and answer its requests. Imports MMagic only when it is needed."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

Sample = Callable[[bool], tuple[Tensor, Tensor]]
"""Whether to use the averaged generator -> images (B, 3, S, S) and maps (B, 2, H, W)."""


def from_mmagic(module: str, name: str) -> Any:
    """``name`` out of ``mmagic.<module>``."""
    try:
        return getattr(importlib.import_module(f'mmagic.{module}'), name)
    except ImportError as error:
        raise ImportError(
            f'mmagic.{module}.{name} cannot be imported ({error}): see "With MMagic" in the README'
        ) from error


def split_samples(data_samples: Any) -> list | None:
    """MMagic's data samples, which its preprocessors stack, one by one; None for any others."""
    if not hasattr(data_samples, 'split'):
        return None
    return data_samples.split(allow_nonseq_value=True)


def answer(request: Mapping, samples: list | None, batch: int, sample: Sample) -> list:
    """Answer a request for samples as MMagic's metrics take it.

    Fills in MMagic's data ``samples``, or ``batch`` new ones, with ``fake_img`` (3, S, S), BGR in
    0..255, and ``coords``. ``sample_model`` of the request is 'ema', 'orig', or 'ema/orig': they
    are then in ``ema`` and ``orig``. ``sample`` draws for each generator from the same codes.
    """
    from mmagic.structures import DataSample

    from mmcoordgan.models.images import to_bytes

    average = 'ema' if request.get('use_ema', True) else 'orig'
    kinds = request.get('sample_model', average).split('/')
    drawn = {kind: sample(kind == 'ema') for kind in kinds}
    answers = samples or [DataSample() for _ in range(batch)]
    for index, data_sample in enumerate(answers):
        for kind, (images, coords) in drawn.items():
            bgr = to_bytes(images[index]).flip(0).float()
            fields = dict(fake_img=bgr, coords=coords[index])
            data_sample.set_data(fields if len(kinds) == 1 else {kind: DataSample(**fields)})
    return answers
