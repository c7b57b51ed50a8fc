"""Preprocess the data of GANs: real images, or requests for samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.model import ImgDataPreprocessor

from mmcoordgan.registry import MODELS


@MODELS.register_module()
class GANDataPreprocessor(ImgDataPreprocessor):
    """MMEngine's ``ImgDataPreprocessor``, to which ``inputs`` may also be a request for samples.

    Real images are scaled to [-1, 1] by default. A request (a dict, see
    :meth:`CoordGAN.forward`) is only moved to the model's device. MMagic's data samples are
    stacked into one when testing, as MMagic's metrics expect.

    ``mean`` and ``std`` of each channel are in units of the pixels; further arguments are those of
    ``ImgDataPreprocessor``.
    """

    def __init__(
        self,
        mean: Sequence[float] = (127.5, 127.5, 127.5),
        std: Sequence[float] = (127.5, 127.5, 127.5),
        **kwargs: Any,
    ):
        kwargs.setdefault('non_blocking', True)  # with pin_memory=True of the data loader
        super().__init__(mean=mean, std=std, **kwargs)

    def forward(self, data: dict, training: bool = False) -> dict:
        """Prepare ``inputs``: uint8 images (B, 3, H, W), a list of B of them, or a request."""
        request = isinstance(data['inputs'], Mapping)
        data = self.cast_data(data) if request else super().forward(data, training)
        samples = data.get('data_samples')
        if not training and isinstance(samples, list) and hasattr(samples[0], 'stack'):
            data = {**data, 'data_samples': type(samples[0]).stack(samples)}
        return data
