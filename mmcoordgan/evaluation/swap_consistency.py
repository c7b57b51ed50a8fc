"""Disentanglement: how much an image changes when its texture or its structure is swapped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from mmengine.structures import BaseDataElement
from torch import nn

from mmcoordgan.integrations.mmagic import SwapSeedsSampling, identity_config
from mmcoordgan.registry import METRICS, build_module

from .map_quality import separation

SWAPS = ('texture', 'structure')


@METRICS.register_module()
class SwapConsistency(SwapSeedsSampling, BaseMetric):
    """Distances between an image and what it becomes when one of its codes is swapped.

    For every sample, an image G(s, t) is compared with G(s, t') (texture swap) and G(s', t)
    (structure swap), as in CoordGAN's table on disentanglement (arXiv:2203.16521). This is **not
    the paper's protocol**: compare numbers of this metric with each other only. Reported are the
    means of

    * ``texture_swap_LPIPS`` and ``structure_swap_LPIPS``, named after the perceptual distance,
      and ``AUC_LPIPS``: the probability that a texture swap changes less than a structure swap;
    * with ``identity``, ``texture_swap_identity`` and ``structure_swap_identity``: 1 minus the
      cosine of two faces' features, in [0, 2]. MMagic's ArcFace crops and resizes faces its own
      way.

    Predictions come from :class:`~mmcoordgan.models.CoordGAN`, asked by the data set
    :class:`~mmcoordgan.datasets.SwapSeeds` under MMEngine's loops; under MMagic's
    ``MultiTestLoop`` and ``MultiValLoop`` the metric sends these requests itself.

    Args:
        perceptual: Config or module of a :class:`~mmcoordgan.models.losses.PerceptualDistance`.
        identity: None, or config or module of a network whose ``extract_feats`` turns RGB faces
            in [-1, 1] into features (B, C) of length 1: ``dict(type='mmagic.IDLossModel')``, which
            needs MMagic. Its ``ir_se50_weights`` is a URL or a path.
        num_samples: Number of samples under MMagic's loops; elsewhere the data set decides.
        seed: Of the samples, likewise.
        **kwargs: ``collect_device`` and ``prefix`` of MMEngine's ``BaseMetric``.
    """

    default_prefix = 'swap'

    def __init__(
        self,
        perceptual: dict | nn.Module | None = None,
        *,
        identity: dict | nn.Module | None = None,
        num_samples: int = 1000,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.perceptual = build_module(perceptual or dict(type='mmcoordgan.LPIPSLoss'))
        self.perceptual_name = type(self.perceptual).__name__.removesuffix('Loss')  # e.g. LPIPS
        self.identity: Any = identity
        if isinstance(identity, dict):
            self.identity = build_module(identity_config(identity))
        self.num_samples = num_samples
        self.seed = seed
        for network in (self.perceptual, self.identity):
            if network is not None:
                network.eval().requires_grad_(False)

    @torch.no_grad()
    def process(self, data_batch: Any, data_samples: Sequence[dict | BaseDataElement]) -> None:
        """Add the distances of predictions with ``fake_img``, ``texture_swap_img`` and
        ``structure_swap_img``, each RGB (3, S, S) in about [-1, 1].
        """
        samples = [s.to_dict() if isinstance(s, BaseDataElement) else s for s in data_samples]
        keys = ('fake_img', *(f'{swap}_swap_img' for swap in SWAPS))
        for key in keys:
            if any(key not in sample for sample in samples):
                raise ValueError(
                    f'SwapConsistency: predictions have no {key}; they have it with '
                    "dataset=dict(type='SwapSeeds')"
                )
        images, *others = (torch.stack([sample[key] for sample in samples]) for key in keys)
        perceptual = self.perceptual.to(images.device)
        features = perceptual.features(images)
        if self.identity is not None:
            faces = self.identity.to(images.device).extract_feats(images)
        columns = {}
        for swap, swapped in zip(SWAPS, others):
            distance = perceptual.distance(features, perceptual.features(swapped))
            columns[f'{swap}_swap_{self.perceptual_name}'] = distance
            if self.identity is not None:
                distance = 1 - (faces * self.identity.extract_feats(swapped)).sum(1)
                columns[f'{swap}_swap_identity'] = distance
        rows = zip(*(column.tolist() for column in columns.values()))
        self.results.extend(dict(zip(columns, row)) for row in rows)

    def compute_metrics(self, results: list[dict[str, float]]) -> dict[str, float]:
        columns = {name: torch.tensor([row[name] for row in results]) for name in results[0]}
        numbers = {name: column.double().mean().item() for name, column in columns.items()}
        texture, structure = (columns[f'{swap}_swap_{self.perceptual_name}'] for swap in SWAPS)
        numbers[f'AUC_{self.perceptual_name}'] = separation(texture, structure)
        print_log(f'{type(self).__name__}: {len(results)} samples', 'current')
        return numbers

    def evaluate(self, size: int | None = None) -> dict:
        """Collect from all processes, and report; MMagic's evaluator leaves out ``size``."""
        return super().evaluate(self.num_samples if size is None else size)
