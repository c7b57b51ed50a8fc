"""MMagic's preprocessor for RGB models. Imports MMagic: name it in ``custom_imports``."""

from __future__ import annotations

from typing import Any

from mmagic.models import DataPreprocessor
from mmagic.structures import DataSample
from torch import Tensor

from mmcoordgan.registry import MODELS


@MODELS.register_module()
class GenerativeDataPreprocessor(DataPreprocessor):
    """MMagic's ``DataPreprocessor`` that knows the channel order of images made from noise.

    MMagic's metrics ask for such images without data samples, and its preprocessor then takes
    them as BGR, whatever the model was trained on: the metrics of a model with
    ``output_channel_order='RGB'`` would compare swapped colors. Same arguments.
    """

    def destruct(
        self, outputs: Tensor, data_samples: Any = None, key: str = 'img'
    ) -> list | Tensor:
        """Images (B, 3, H, W) as the model makes them -> BGR in 0..255; arguments are MMagic's.

        Without ``data_samples`` the images are in ``output_channel_order``.
        """
        if data_samples is None and self.output_channel_order is not None:
            order = {f'{key}_output_channel_order': self.output_channel_order}
            data_samples = DataSample(metainfo=order)
        return super().destruct(outputs, data_samples, key)
