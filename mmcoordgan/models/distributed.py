"""Train on several devices: the same weights everywhere."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.dist import broadcast
from torch import nn

from mmcoordgan.registry import MODEL_WRAPPERS


@MODEL_WRAPPERS.register_module()
class CoordGANDistributed(nn.Module):
    """Wraps a model whose ``train_step`` averages its gradients itself; refuses others.

    Copies rank 0's weights to all ranks. ``DistributedDataParallel`` synchronizes only what passes
    through its ``forward`` once; a GAN's networks are called several times per step, and
    differentiated twice.
    """

    module: Any

    def __init__(self, module: nn.Module):
        super().__init__()
        if not getattr(module, 'averages_gradients', False):
            raise ValueError(
                f'{type(module).__name__} leaves averaging gradients to its wrapper: set '
                "model_wrapper_cfg=dict(type='MMDistributedDataParallel', broadcast_buffers=False)"
            )
        self.module = module
        with torch.no_grad():
            for tensor in (*module.parameters(), *module.buffers()):
                broadcast(tensor, src=0)

    def forward(self, *args, **kwargs):
        return self.module(*args, **kwargs)

    def train_step(self, data, optim_wrapper):
        return self.module.train_step(data, optim_wrapper)

    def val_step(self, data):
        return self.module.val_step(data)

    def test_step(self, data):
        return self.module.test_step(data)
