"""Samples as MMagic's models and metrics take them."""

from __future__ import annotations

from mmcoordgan.registry import TRANSFORMS

from .transforms import PackInputs


@TRANSFORMS.register_module()
class PackMMagicInputs(PackInputs):
    """:class:`PackInputs` with MMagic's ``DataSample``; the last step of a pipeline.

    The data sample holds the picture also as ``gt_img``, uint8 (3, H, W), BGR in 0..255, as
    MMagic's GANs and metrics expect it. ``inputs`` stays RGB. Same arguments.

    Raises:
        ImportError: If MMagic is not installed.
    """

    def transform(self, results: dict) -> dict:
        """Pack one sample."""
        try:
            from mmagic.structures import DataSample
        except ImportError as error:
            raise ImportError(
                f'PackMMagicInputs needs MMagic, whose import fails ({error}): see "With MMagic" '
                'in the README, or take PackInputs'
            ) from error
        packed = super().transform(results)
        plain = packed['data_samples']
        orders = {'img_channel_order': 'RGB', 'gt_channel_order': 'BGR'}
        sample = DataSample(metainfo={**plain.metainfo, **orders})
        sample.set_data({**dict(plain.items()), 'gt_img': packed['inputs'].flip(0)})
        return {'inputs': packed['inputs'], 'data_samples': sample}
