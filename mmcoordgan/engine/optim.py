"""Optimizers: mixed precision on any device, and the networks that each of them trains."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
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
from mmengine.registry import OPTIMIZERS
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
STAGES = (('generator', 'discriminator'), ('encoder',))


def unwrap(module: nn.Module) -> nn.Module:
    """The module inside a (distributed) wrapper or an averaged model, or ``module`` itself."""
    wrapped = is_model_wrapper(module) or isinstance(module, BaseAveragedModel)
    inner = module.module if wrapped else module
    assert isinstance(inner, nn.Module)
    return inner


@OPTIM_WRAPPERS.register_module()
class MixedPrecisionOptimWrapper(AmpOptimWrapper):
    """MMEngine's ``AmpOptimWrapper`` that also works without a GPU.

    Each optimizer scales its losses by itself. Gradients are averaged over the processes, then
    brought back to scale, then clipped (``clip_grad``). A step whose scaled gradients overflow is
    left out and the scale is reduced, on all processes alike, because all see the average.

    Args:
        dtype: 'bfloat16', which has float32's range and needs no scaling, or 'float16'.
        loss_scale: 'dynamic', or a fixed factor, or arguments of ``torch.amp.GradScaler``; not
            used with bfloat16.
        kwargs: Of ``OptimWrapper``: ``optimizer``, ``clip_grad``.

    Raises:
        ValueError: ``dtype`` is another one, or the device cannot train in it.
    """

    def __init__(
        self,
        dtype: str = 'bfloat16',
        loss_scale: str | float | dict = 'dynamic',
        **kwargs: Any,
    ) -> None:
        if dtype not in DTYPES:
            raise ValueError(f'dtype must be one of {list(DTYPES)}, but got {dtype!r}')
        OptimWrapper.__init__(self, **kwargs)  # that of AmpOptimWrapper insists on a GPU
        self.cast_dtype = DTYPES[dtype]
        self.device_type = torch.device(get_device()).type
        self._scale_update_param = None
        settings: dict[str, Any] = {}
        if isinstance(loss_scale, dict):
            settings = dict(loss_scale)
        elif loss_scale != 'dynamic':
            self._scale_update_param = float(loss_scale)
            settings = {'init_scale': float(loss_scale)}
        self.loss_scaler = _scaler(self.device_type, dtype == 'float16', settings)

    def load_state_dict(self, state_dict: dict) -> None:
        """Load the optimizer's state, and the scale where both sides have one."""
        state_dict = dict(state_dict)
        if not (state_dict.get('loss_scaler') and self.loss_scaler.is_enabled()):
            state_dict.pop('loss_scaler', None)
        super().load_state_dict(state_dict)

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Autocast, within what ``OptimWrapper`` does."""
        with (
            OptimWrapper.optim_context(self, model),
            torch.autocast(self.device_type, dtype=self.cast_dtype),
        ):
            yield


def _scaler(device: str, enabled: bool, settings: dict) -> Any:
    """PyTorch's gradient scaler for a device."""
    kind = getattr(torch.amp, 'GradScaler', None)  # since 2.3
    if kind is not None and 'device' in inspect.signature(kind).parameters:
        return kind(device, enabled=enabled, **settings)
    if enabled and device != 'cuda':
        raise ValueError(
            f"dtype='float16' on the device {device} needs PyTorch 2.3 or newer, and this is "
            f"{torch.__version__}: use dtype='bfloat16'"
        )
    return torch.cuda.amp.GradScaler(enabled=enabled, **settings)


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class CoordGANOptimWrapperConstructor:
    """Build the optimizers of both stages, corrected for lazy regularisation.

    A network whose regulariser runs in a step of its own after every ``n`` ordinary steps sees
    ``n + 1`` optimizer steps where ``n`` were meant. With ``r = n / (n + 1)`` the learning rate
    becomes ``lr * r`` and every Adam beta ``beta ** r``, as in StyleGAN2. Configs
    state the uncorrected values; ``regularization_interval=None`` applies no correction.

    The key ``generator`` trains ``model.generator``; the key ``discriminator`` trains
    ``model.discriminator`` and ``model.patch_discriminator``, with one optimizer. The key
    ``encoder``, alone, trains ``model.encoder`` and makes a single optimizer wrapper rather than
    a dict of them. Parameters that do not require gradients are left out.

    Example::

        optim_wrapper = dict(
            constructor='CoordGANOptimWrapperConstructor',
            generator=dict(
                optimizer=dict(type='Adam', lr=0.002, betas=(0.0, 0.99)),
                regularization_interval=4,
                paramwise_cfg=dict(custom_keys={'warp_net': dict(lr_mult=0.25)})),
            discriminator=dict(
                optimizer=dict(type='Adam', lr=0.002, betas=(0.0, 0.99)),
                regularization_interval=16))

    Args:
        optim_wrapper_cfg: A dict with exactly the keys ``generator`` and ``discriminator``, or
            with the key ``encoder`` alone. Each holds ``optimizer`` and optionally
            ``regularization_interval`` (int >= 1 or None), ``paramwise_cfg`` (see MMEngine's
            ``DefaultOptimWrapperConstructor``), ``type`` (an ``OptimWrapper``) and that type's
            arguments, such as ``clip_grad``, and ``accumulative_counts`` with ``encoder`` (stage 1
            has ``model.accumulative_counts``). Names in ``custom_keys`` are matched against names
            that start with the module's own, such as ``generator.warp_net.first.weight`` and
            ``patch_discriminator.trunk.1.conv1.bias``.
        paramwise_cfg: Must be None: it belongs into one of the keys.

    Raises:
        TypeError: ``optim_wrapper_cfg`` or one of its values is not a dict.
        ValueError: a key is missing, unknown or has a value out of range.
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None) -> None:
        if not isinstance(optim_wrapper_cfg, dict):
            raise TypeError(f'optim_wrapper must be a dict, got {type(optim_wrapper_cfg).__name__}')
        if paramwise_cfg is not None:
            raise ValueError(
                'optim_wrapper.paramwise_cfg does not say which optimizer it is for: move it into '
                'optim_wrapper.generator, optim_wrapper.discriminator or optim_wrapper.encoder'
            )
        names = [stage for stage in STAGES if set(stage) == set(optim_wrapper_cfg)]
        if not names:
            raise ValueError(
                'optim_wrapper of CoordGANOptimWrapperConstructor takes exactly the keys '
                f"'generator' and 'discriminator', or 'encoder' alone, besides 'constructor', got "
                f'{sorted(optim_wrapper_cfg)}'
            )
        self.configs = {name: _Config(name, optim_wrapper_cfg[name]) for name in names[0]}

    def __call__(self, model: nn.Module) -> OptimWrapper | OptimWrapperDict:
        """Build the optimizers of ``model``, which may be wrapped for distributed training.

        Raises:
            ValueError: the model has nothing to train under a key, or a name in ``custom_keys``
                matches none of its parameters.
        """
        model = unwrap(model)
        wrappers = {
            name: config.build(_children(model, name, MODULES[name]))
            for name, config in self.configs.items()
        }
        return wrappers['encoder'] if 'encoder' in wrappers else OptimWrapperDict(**wrappers)


class _Config:
    """The checked and corrected config of one optimizer."""

    def __init__(self, name: str, cfg: Any) -> None:
        self.place = f'optim_wrapper.{name}'
        if not isinstance(cfg, dict):
            raise TypeError(f'{self.place} must be a dict, got {type(cfg).__name__}')
        cfg = dict(cfg)
        interval = cfg.pop('regularization_interval', None)
        paramwise = cfg.pop('paramwise_cfg', None)
        if not isinstance(cfg.get('optimizer'), dict) or 'type' not in cfg['optimizer']:
            raise ValueError(f"{self.place} needs optimizer=dict(type='Adam', lr=..., ...)")
        if name != 'encoder' and cfg.get('accumulative_counts', 1) != 1:
            raise ValueError(
                f'{self.place}.accumulative_counts: gradients are accumulated within an iteration, '
                'so that the schedules of all networks agree. Set model.accumulative_counts='
                f'{cfg["accumulative_counts"]} instead, with a train_dataloader.batch_size that '
                'counts all micro-batches'
            )
        ratio = self._ratio(interval)
        cfg['optimizer'] = self._corrected_optimizer(dict(cfg['optimizer']), ratio)
        self.wrapper_cfg = cfg
        self.paramwise_cfg = dict(paramwise or {})
        if 'custom_keys' in self.paramwise_cfg:
            self.paramwise_cfg['custom_keys'] = {
                key: _correct(dict(value), ratio)
                for key, value in self.paramwise_cfg['custom_keys'].items()
            }

    def _ratio(self, interval: Any) -> float:
        if interval is None:
            return 1.0
        if isinstance(interval, bool) or not isinstance(interval, int) or interval < 1:
            raise ValueError(
                f'{self.place}.regularization_interval must be None or an integer >= 1, '
                f'got {interval!r}'
            )
        return interval / (interval + 1)

    def _corrected_optimizer(self, cfg: dict, ratio: float) -> dict:
        if ratio == 1.0:
            return cfg
        optimizer_class = _class_of(cfg)
        for name in ('lr', 'betas'):  # a default has to be corrected as well
            default = inspect.signature(optimizer_class).parameters.get(name)
            if default is not None and default.default is not default.empty:
                cfg.setdefault(name, default.default)
        if 'lr' not in cfg:
            raise ValueError(f'{self.place}.optimizer needs lr')
        return _correct(cfg, ratio)

    def build(self, modules: nn.ModuleDict) -> Any:
        trainable = {name: p for name, p in modules.named_parameters() if p.requires_grad}
        if not trainable:
            raise ValueError(f'{self.place}: no parameter of {list(modules)} requires gradients')
        for key in self.paramwise_cfg.get('custom_keys', {}):
            if not any(key in name for name in trainable):
                raise ValueError(
                    f'{self.place}.paramwise_cfg.custom_keys: {key!r} is part of no trainable '
                    f"parameter's name; the first names are {list(trainable)[:5]}"
                )
        cfg = dict(self.wrapper_cfg, optimizer=dict(self.wrapper_cfg['optimizer']))
        on_gpu = all(p.is_cuda for p in trainable.values())
        if on_gpu and 'fused' in inspect.signature(_class_of(cfg['optimizer'])).parameters:
            cfg['optimizer'].setdefault('fused', True)  # one pass over weights and moments
        constructor = DefaultOptimWrapperConstructor(cfg, self.paramwise_cfg)
        # Without parameter-wise settings MMEngine would take frozen parameters too.
        target = modules if self.paramwise_cfg else nn.ParameterList(trainable.values())
        return constructor(target)


def _class_of(optimizer: dict) -> Any:
    kind = optimizer['type']
    return OPTIMIZERS.get(kind) if isinstance(kind, str) else kind


def _correct(settings: dict, ratio: float) -> dict:
    """Scale ``lr`` and raise ``betas`` to the power of ``ratio``, where they are given."""
    if 'lr' in settings:
        settings['lr'] = settings['lr'] * ratio
    if 'betas' in settings:
        settings['betas'] = tuple(beta**ratio for beta in settings['betas'])
    return settings


def _children(model: nn.Module, key: str, names: tuple[str, ...]) -> nn.ModuleDict:
    found = {name: getattr(model, name, None) for name in names}
    modules = {name: unwrap(module) for name, module in found.items() if module is not None}
    if not modules:
        raise ValueError(
            f'optim_wrapper.{key} trains model.{" and model.".join(names)}, but '
            f'{type(model).__name__} has none of them'
        )
    return nn.ModuleDict(modules)
