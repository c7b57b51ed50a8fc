"""Optimizers: mixed precision on any device, and the networks that each of them trains."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from mmengine.device import get_device
from mmengine.model import BaseAveragedModel, is_model_wrapper
from mmengine.optim import (
    AmpOptimWrapper,
    DefaultOptimWrapperConstructor,
    OptimWrapper,
    OptimWrapperDict,
)
from torch import nn

from mmcoordgan.registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS

DTYPES = {'bfloat16': torch.bfloat16, 'float16': torch.float16}
# Which children of the model each optimizer trains. A child that the model lacks is skipped, but
# at least one of them must be there.
MODULES = {
    'generator': ('generator',),
    'discriminator': ('discriminator', 'patch_discriminator'),
    'encoder': ('encoder',),
}


def unwrap(module: nn.Module) -> nn.Module:
    """The module inside a (distributed) wrapper or an averaged model, or ``module`` itself."""
    wrapped = is_model_wrapper(module) or isinstance(module, BaseAveragedModel)
    inner = module.module if wrapped else module
    assert isinstance(inner, nn.Module)
    return inner


@OPTIM_WRAPPERS.register_module()
class MixedPrecisionOptimWrapper(AmpOptimWrapper):
    """MMEngine's ``AmpOptimWrapper`` that also works without a GPU.

    Each optimizer scales its losses by itself. Gradients are averaged over the processes,
    unscaled, then clipped (``clip_grad``). A step whose scaled gradients overflow is skipped and
    the scale reduced, on all processes.

    Args:
        dtype: 'bfloat16', which needs no loss scaling, or 'float16'.
        loss_scale: 'dynamic', a fixed factor, or arguments of ``torch.amp.GradScaler``; not used
            with bfloat16.
        kwargs: Of ``OptimWrapper``: ``optimizer``, ``clip_grad``.
    """

    def __init__(
        self, dtype: str = 'bfloat16', loss_scale: str | float | dict = 'dynamic', **kwargs: Any
    ) -> None:
        OptimWrapper.__init__(self, **kwargs)  # that of AmpOptimWrapper insists on a GPU
        self.cast_dtype = DTYPES[dtype]
        self.device_type = torch.device(get_device()).type
        self._scale_update_param = None
        settings = dict(loss_scale) if isinstance(loss_scale, dict) else {}
        if not isinstance(loss_scale, dict) and loss_scale != 'dynamic':
            self._scale_update_param = settings['init_scale'] = float(loss_scale)
        scaler: Any = torch.cuda.amp.GradScaler
        if hasattr(torch.amp, 'GradScaler'):
            scaler = partial(torch.amp.GradScaler, self.device_type)
        elif dtype == 'float16' and self.device_type != 'cuda':
            raise ValueError(
                f"float16 on {self.device_type} needs PyTorch 2.3 or newer: use dtype='bfloat16'"
            )
        self.loss_scaler = scaler(enabled=dtype == 'float16', **settings)

    def load_state_dict(self, state_dict: dict) -> None:
        state_dict = dict(state_dict)  # with a scale only where both sides have one
        if not (state_dict.get('loss_scaler') and self.loss_scaler.is_enabled()):
            state_dict.pop('loss_scaler', None)
        super().load_state_dict(state_dict)

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        autocast = torch.autocast(self.device_type, dtype=self.cast_dtype)
        with OptimWrapper.optim_context(self, model), autocast:
            yield


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class CoordGANOptimWrapperConstructor:
    """Build the optimizers of both stages, corrected for lazy regularization.

    A network whose regularizer runs in a step of its own after every ``n`` ordinary steps sees
    ``n + 1`` optimizer steps where ``n`` were meant. With ``r = n / (n + 1)`` the learning rate
    becomes ``lr * r`` and every Adam beta ``beta ** r``, as in StyleGAN2. Configs state the
    uncorrected values.

    The key ``discriminator`` trains ``model.discriminator`` and ``model.patch_discriminator``, with
    one optimizer. Parameters that do not require gradients are left out.

    Args:
        optim_wrapper_cfg: By key: ``optimizer`` and optionally ``regularization_interval`` (n),
            ``paramwise_cfg`` (of MMEngine; names begin with the module's, such as
            ``generator.warp_net.first.weight``), ``type`` (an ``OptimWrapper``) and that type's
            arguments, such as ``clip_grad``, and ``accumulative_counts`` with ``encoder``.

    Raises:
        ValueError: A key is missing, unknown or out of range, has nothing to train, or a name in
            ``custom_keys`` matches nothing.
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None) -> None:
        if paramwise_cfg is not None:
            raise ValueError('paramwise_cfg belongs in optim_wrapper.<network>')
        if set(optim_wrapper_cfg) not in ({'generator', 'discriminator'}, {'encoder'}):
            raise ValueError(
                "optim_wrapper needs exactly the keys 'generator' and 'discriminator', or "
                f"'encoder', besides 'constructor', but got {sorted(optim_wrapper_cfg)}"
            )
        self.configs = optim_wrapper_cfg

    def __call__(self, model: nn.Module) -> OptimWrapper | OptimWrapperDict:
        """Build the optimizers of ``model``, which may be wrapped for distributed training."""
        model = unwrap(model)
        wrappers = {name: _build(name, config, model) for name, config in self.configs.items()}
        return wrappers['encoder'] if 'encoder' in wrappers else OptimWrapperDict(**wrappers)


def _build(name: str, cfg: dict, model: nn.Module) -> Any:
    place = f'optim_wrapper.{name}'
    cfg = dict(cfg)
    interval = cfg.pop('regularization_interval', None)
    paramwise = dict(cfg.pop('paramwise_cfg', None) or {})
    if interval is not None and interval < 1:
        raise ValueError(f'{place}.regularization_interval must be at least 1, got {interval}')
    if name != 'encoder' and cfg.get('accumulative_counts', 1) != 1:
        raise ValueError(
            f'{place}.accumulative_counts: set model.accumulative_counts instead, with a '
            'train_dataloader.batch_size that counts all micro-batches'
        )
    children = {child: getattr(model, child, None) for child in MODULES[name]}
    modules = nn.ModuleDict({k: unwrap(m) for k, m in children.items() if m is not None})
    trainable = {name: p for name, p in modules.named_parameters() if p.requires_grad}
    if not trainable:
        raise ValueError(f'{place}: no parameter of {" and ".join(children)} requires gradients')
    for key in paramwise.get('custom_keys', {}):
        if not any(key in name for name in trainable):
            raise ValueError(
                f'{place}.paramwise_cfg.custom_keys: {key!r} is in no name of a trainable '
                f'parameter, such as {next(iter(trainable))}'
            )
    optimizer = dict(cfg['optimizer'])
    if optimizer['type'] in ('Adam', 'AdamW') and all(p.is_cuda for p in trainable.values()):
        optimizer.setdefault('fused', True)  # one pass over weights and moments
    constructor = DefaultOptimWrapperConstructor({**cfg, 'optimizer': optimizer}, paramwise)
    # Without parameter-wise settings MMEngine would take frozen parameters too.
    wrapper = constructor(modules if paramwise else nn.ParameterList(trainable.values()))
    if interval is not None:
        for group in wrapper.param_groups:
            _correct(group, interval / (interval + 1))
    return wrapper


def _correct(group: dict, ratio: float) -> None:
    """Multiply the learning rate of a parameter group by ``ratio``; raise betas to its power."""
    group['lr'] *= ratio
    if 'betas' in group:
        group['betas'] = tuple(beta**ratio for beta in group['betas'])
