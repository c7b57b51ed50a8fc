"""Partners within a batch: images 2k and 2k + 1 exchange their textures (CoordGAN)."""

from __future__ import annotations

from torch import Tensor

from mmcoordgan.errors import UserError


def check_even_batch(batch: int) -> None:
    """Raise UserError unless a batch of this size consists of pairs."""
    if batch < 2 or batch % 2:
        raise UserError(
            f'the batch size on every device must be even, not {batch}, because images are '
            'trained in pairs: set train_dataloader.batch_size'
        )


def swap_partners(x: Tensor) -> Tensor:
    """Exchange entries 2k and 2k + 1 of the first dimension, whose size must be even."""
    check_even_batch(x.shape[0])
    return x.unflatten(0, (-1, 2)).flip(1).flatten(0, 1)
