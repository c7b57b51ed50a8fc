"""FID by torch-fidelity, under MMEngine's loops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.evaluator import BaseMetric
from torch import Tensor

from mmcoordgan.models.images import to_bytes
from mmcoordgan.registry import METRICS

EXTRACTOR = 'inception-v3-compat'  # torch-fidelity's name of TensorFlow's Inception of 2015
LARGEST = 8.0  # of images in about [-1, 1]; bytes exceed it and are never negative


@METRICS.register_module()
class FID(BaseMetric):
    """Fréchet Inception Distance between the images of a data set and as many generated ones.

    Features and distance are torch-fidelity's, as in the reference implementation. The number is
    named after samples, extractor and layer, such as ``FID-10000-inception-v3-compat-2048``. The
    reference's recipe is in ``configs/evaluation/fid_celeba_128.py``. Predictions come from
    :class:`~mmcoordgan.models.CoordGAN`, which generates one image for each real one.

    Args:
        weights: Path of torch-fidelity's weights of the extractor. None: download them.
        layer: Which features of it, by their number: '2048' as published, or '64', '192', '768'.
        **kwargs: ``collect_device`` and ``prefix`` of MMEngine's ``BaseMetric``.

    Raises:
        ImportError: torch-fidelity is not installed.
        FileNotFoundError: There is no file ``weights``, or they cannot be downloaded.
    """

    default_prefix = ''

    def __init__(self, *, weights: str | None = None, layer: str = '2048', **kwargs: Any) -> None:
        super().__init__(**kwargs)
        try:
            from torch_fidelity import feature_extractor_inceptionv3 as inception
        except ImportError as error:
            raise ImportError(
                f'FID needs torch-fidelity ({error}). Run: pip install torch-fidelity'
            ) from error
        self.layer = layer
        try:
            network = inception.FeatureExtractorInceptionV3(EXTRACTOR, [layer], weights)
        except OSError as error:
            raise FileNotFoundError(
                f'FID: could not read or download Inception weights ({error}). Download '
                f'{inception.URL_INCEPTION_V3} on another machine and set FID.weights to its path'
            ) from error
        self.extractor: Any = network.eval()

    @torch.no_grad()
    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Add the features of real ``inputs``, uint8 RGB (3, H, W), and of as many ``fake_img``.

        The latter are RGB (3, S, S) in about [-1, 1].
        """
        fake = torch.stack([sample['fake_img'] for sample in data_samples])
        largest = float(fake.max())
        if largest > LARGEST and float(fake.min()) >= 0:
            raise ValueError(
                f'FID takes fake_img in about [-1, 1], but a value is {largest:.0f}, as of BGR in '
                'bytes: end the pipeline with PackInputs, or take mmagic.FrechetInceptionDistance'
            )
        real = torch.stack(list(data_batch['inputs'])).to(fake.device)
        rows = zip(self._features(real), self._features(to_bytes(fake)))
        # A row of a batch would be pickled with all of the batch.
        self.results.extend((row_real.clone(), row_fake.clone()) for row_real, row_fake in rows)

    def compute_metrics(self, results: list[tuple[Tensor, Tensor]]) -> dict[str, float]:
        """The distance between all real and all generated images."""
        from torch_fidelity import metric_fid as fid

        real, fake = (fid.fid_features_to_statistics(torch.stack(c)) for c in zip(*results))
        distance = fid.fid_statistics_to_metric(real, fake, verbose=False)[fid.KEY_METRIC_FID]
        return {f'FID-{len(results)}-{EXTRACTOR}-{self.layer}': distance}

    def _features(self, images: Tensor) -> Tensor:
        features: Tensor = self.extractor.to(images.device)(images)[0]  # (B, features)
        return features.cpu()
