"""Start from networks of an earlier training."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from mmcoordgan.io.files import load_weights
from mmcoordgan.io.work_dir import last_checkpoint

CONFIG_KEY = 'model.pretrained_generator'
STAGE1_KEY = 'model.stage1_checkpoint'
SHOWN = 20  # so many misfits of a checkpoint are listed


def load_pretrained(networks: Mapping[str, nn.Module], source: str) -> Tensor | None:
    """Load networks by their names in a checkpoint of stage 1; returns its iteration, if any.

    Levels of the generators and a patch discriminator that the checkpoint lacks keep their fresh
    weights. ``source`` is the path or URL of a checkpoint, or the work dir of its training.
    Tensors that do not fit are listed by a ValueError.
    """
    path, state = _read(source, CONFIG_KEY)
    for name, network in networks.items():
        tensors = part_of(state, name)
        if not tensors:
            if 'generator' in name:
                raise ValueError(f'{path} ({CONFIG_KEY}) holds no {name}: not a CoordGAN')
            print_log(f'{name}: not in {path}, starts fresh', 'current')
            continue
        found = {_level(key) for key in tensors}
        fresh = {k: v for k, v in network.state_dict().items() if _level(k) not in found}
        check_fit(network, {**fresh, **tensors}, f'{path} ({CONFIG_KEY}), {name}')
        network.load_state_dict({**fresh, **tensors})
        if fresh:
            levels = ', '.join(dict.fromkeys(map(_level, fresh)))
            print_log(f'{name}: {levels} are not in {path}, start fresh', 'current')
    return state.get('iteration')


def load_stage1_generator(generator: Any, source: str) -> None:
    """Load the averaged generator of a stage-1 checkpoint, all of it."""
    path, state = _read(source, STAGE1_KEY)
    tensors = part_of(state, 'generator_ema')
    if not tensors:
        raise ValueError(
            f'{path} (config key {STAGE1_KEY}) holds no generator_ema: it is no checkpoint of '
            'stage 1 (CoordGAN)'
        )
    check_fit(generator, tensors, f'{path} (config key {STAGE1_KEY}), generator_ema')
    generator.load_state_dict(tensors)
    print_log(f'generator: the averaged generator of {path}', 'current')


def _level(key: str) -> str:
    """The level of a generator that a tensor belongs to, such as 'levels.3'; empty for others."""
    return '.'.join(key.split('.')[:2]) if key.startswith('levels.') else ''


def part_of(state: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """The tensors of one child of a model, under the child's own names."""
    return {k[len(name) + 1 :]: v for k, v in state.items() if k.startswith(f'{name}.')}


def averaged_part(state: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """The tensors of a network's average, ``<name>_ema``, or of the network if none was kept."""
    return part_of(state, f'{name}_ema') or part_of(state, name)


def check_fit(network: nn.Module, tensors: Mapping[str, Tensor], source: str) -> None:
    """Raise ValueError, which names ``source``, unless the tensors are those of the network."""
    if problems := misfits(network.state_dict(), tensors):
        raise ValueError(f'{source} does not fit: {problems}')


def misfits(own: Mapping[str, Tensor], found: Mapping[str, Any]) -> str:
    """What is missing, left over or no such tensor in ``found``; empty if nothing is."""
    problems = [f'{k} is missing' for k in own if k not in found]
    problems += [f'{k} is not in this network' for k in found if k not in own]
    for name, tensor in own.items():
        value = found.get(name, tensor)
        if not is_plain(value) and value is not tensor:
            problems.append(f'{name} is no plain tensor')
        elif value.shape != tensor.shape:
            problems.append(
                f'{name} has shape {tuple(value.shape)}, needed is {tuple(tensor.shape)}'
            )
    more = [f'and {len(problems) - SHOWN} more'] if len(problems) > SHOWN else []
    return '; '.join(problems[:SHOWN] + more)


def is_plain(value: Any) -> bool:
    """Whether a value from a file is a tensor of real numbers, all of which are there."""
    strided = isinstance(value, Tensor) and value.layout == torch.strided
    return strided and not (value.is_meta or value.is_quantized or value.is_complex())


def _read(source: str, config_key: str) -> tuple[str, dict[str, Any]]:
    """The path of a checkpoint, and its state dict."""
    path: str | None = source
    if not source.startswith(('http://', 'https://')):
        path = last_checkpoint(source) if os.path.isdir(source) else source
        if path is None or not os.path.isfile(path):
            raise FileNotFoundError(
                f'no checkpoint of stage 1 at {source}: train stage 1 first, or set the config '
                f'key {config_key} to its checkpoint or work dir'
            )
    state: Any = load_weights(path or source, config_key)
    return path or source, state.get('state_dict', state)
