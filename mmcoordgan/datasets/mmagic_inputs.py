"""Samples as MMagic's models and metrics take them."""

from __future__ import annotations

from collections.abc import Sequence

from mmcoordgan.integrations.mmagic import from_mmagic
from mmcoordgan.registry import TRANSFORMS

from .transforms import META_KEYS, PackInputs


@TRANSFORMS.register_module()
class PackMMagicInputs(PackInputs):
    """:class:`PackInputs` with MMagic's ``DataSample``; the last step of a pipeline.

    The data sample holds the picture also as ``gt_img``, uint8 (3, H, W), BGR in 0..255, as
    MMagic's GANs and metrics expect it. ``inputs`` stays RGB. Same arguments.

    Raises:
        ImportError: If MMagic is not installed.
    """

    def __init__(self, *, bgr_to_rgb: bool = False, meta_keys: Sequence[str] = META_KEYS) -> None:
        super().__init__(bgr_to_rgb=bgr_to_rgb, meta_keys=meta_keys)
        self.data_sample_class = from_mmagic(
            'structures', 'DataSample', user='PackMMagicInputs', instead='take PackInputs'
        )

    def transform(self, results: dict) -> dict:
        """Pack one sample."""
        packed = super().transform(results)
        plain = packed['data_samples']
        orders = {'img_channel_order': 'RGB', 'gt_channel_order': 'BGR'}
        sample = self.data_sample_class(metainfo={**plain.metainfo, **orders})
        sample.set_data({**dict(plain.items()), 'gt_img': packed['inputs'].flip(0)})
        return {'inputs': packed['inputs'], 'data_samples': sample}
