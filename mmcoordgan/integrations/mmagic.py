"""What knows MMagic: its samples, requests and loops. MMagic is imported only when it is needed."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.dataset import pseudo_collate
from mmengine.dist import get_dist_info
from torch import Tensor, nn
from torch.utils.data import DataLoader

from mmcoordgan.datasets import SwapSeeds
from mmcoordgan.datasets.transforms import PackInputs
from mmcoordgan.registry import TRANSFORMS

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


@TRANSFORMS.register_module()
class PackMMagicInputs(PackInputs):
    """:class:`~mmcoordgan.datasets.PackInputs` with MMagic's ``DataSample``; comes last.

    The data sample also holds the image as ``gt_img``, uint8 (3, H, W), BGR in 0..255, as MMagic's
    GANs and metrics expect it. ``inputs`` stays RGB. Same arguments.
    """

    def __init__(self, *, bgr_to_rgb: bool = False) -> None:
        super().__init__(bgr_to_rgb=bgr_to_rgb)
        self.data_sample_class = from_mmagic('structures', 'DataSample')

    def transform(self, results: dict) -> dict:
        packed = super().transform(results)
        plain = packed['data_samples']
        orders = {'img_channel_order': 'RGB', 'gt_channel_order': 'BGR'}
        sample = self.data_sample_class(metainfo={**plain.metainfo, **orders})
        sample.set_data({**dict(plain.items()), 'gt_img': packed['inputs'].flip(0)})
        return {'inputs': packed['inputs'], 'data_samples': sample}


class SwapSeedsSampling:
    """What MMagic's evaluator asks of a metric: here, for the samples of ``SwapSeeds``."""

    SAMPLER_MODE = 'swap'  # metrics of one mode share their samples
    sample_model = 'ema'
    num_samples: int
    seed: int

    def prepare(self, module: nn.Module, dataloader: DataLoader) -> None:
        """Nothing to prepare: no real images are needed."""

    def get_metric_sampler(
        self, model: nn.Module, dataloader: DataLoader, metrics: Sequence[SwapSeedsSampling]
    ) -> Iterable[dict]:
        """:class:`~mmcoordgan.datasets.SwapSeeds`, in batches of the data loader's size."""
        if len({(metric.num_samples, metric.seed) for metric in metrics}) > 1:
            raise ValueError('num_samples and seed must be the same in all SwapConsistency metrics')
        rank, processes = get_dist_info()
        rounds = math.ceil(self.num_samples / processes)
        own = [(i * processes + rank) % self.num_samples for i in range(rounds)]
        return DataLoader(
            SwapSeeds(length=self.num_samples, seed=self.seed),
            batch_size=dataloader.batch_size,
            sampler=own,
            collate_fn=pseudo_collate,
        )


def identity_config(config: dict) -> dict:
    """A copy of a config in which MMagic's ArcFace is a class, and its weights are a URL."""
    config = dict(config)
    weights = config.get('ir_se50_weights')
    if weights is not None and '://' not in weights:
        if not Path(weights).is_file():
            raise FileNotFoundError(f'identity.ir_se50_weights: there is no file {weights}')
        config['ir_se50_weights'] = Path(weights).absolute().as_uri()
    if config.get('type') == 'mmagic.IDLossModel':
        # MMagic registers it under another name, ArcFace.
        config['type'] = from_mmagic('models.editors.arcface.id_loss', 'IDLossModel')
    return config
