"""Start from the generator of an earlier training."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mmengine.logging import print_log
from torch import Tensor

from mmcoordgan.io.weights import load_weights
from mmcoordgan.work_dir import last_checkpoint

if TYPE_CHECKING:
    from .coordgan import CoordGAN

CONFIG_KEY = 'model.pretrained_generator'
STAGE1_KEY = 'model.stage1_checkpoint'


def load_pretrained_generator(model: CoordGAN, source: str) -> None:
    """Load generator, averaged generator and iteration from a checkpoint of a CoordGAN.

    Only upsampling levels may be missing, as when pictures get larger; they keep their fresh
    weights. The discriminators are left alone.

    Args:
        model: Receives the weights.
        source: Path or URL of a checkpoint of CoordGAN, or the work dir of its training, which
            stands for the checkpoint that was written last.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it holds no CoordGAN, or tensors that do not fit (lists them).
    """
    path = _checkpoint_path(source, CONFIG_KEY)
    state: Any = load_weights(path, CONFIG_KEY)
    state = state.get('state_dict', state)
    for name in ('generator', 'generator_ema'):
        tensors = part_of(state, name)
        if not tensors:
            raise ValueError(f'{path} ({CONFIG_KEY}) holds no {name}: not a CoordGAN checkpoint')
        fresh = _load(getattr(model, name), tensors, f'{path} ({CONFIG_KEY}), {name}')
        if fresh:
            print_log(
                f'{name}: levels {", ".join(fresh)} are not in {path}, start fresh', 'current'
            )
    if 'iteration' in state:
        model.iteration.copy_(state['iteration'])


def load_stage1_generator(generator: Any, source: str) -> None:
    """Load the averaged generator of a stage-1 checkpoint, all of it.

    Args:
        generator: Receives the weights of the checkpoint's ``generator_ema``.
        source: Path or URL of a checkpoint of CoordGAN, or the work dir of its training, which
            stands for the checkpoint that was written last.

    Raises:
        FileNotFoundError: If there is no such checkpoint.
        ValueError: If it holds no ``generator_ema``, or tensors that do not fit (lists them).
    """
    path = _checkpoint_path(source, STAGE1_KEY)
    state: Any = load_weights(path, STAGE1_KEY)
    tensors = part_of(state.get('state_dict', state), 'generator_ema')
    if not tensors:
        raise ValueError(
            f'{path} (config key {STAGE1_KEY}) holds no generator_ema: it is no checkpoint of '
            'stage 1 (CoordGAN)'
        )
    check_fit(generator, tensors, f'{path} (config key {STAGE1_KEY}), generator_ema')
    generator.load_state_dict(tensors)
    print_log(f'generator: the averaged generator of {path}', 'current')


def _checkpoint_path(source: str, config_key: str) -> str:
    """A work dir stands for the checkpoint that was written last in it."""
    if source.startswith(('http://', 'https://')):
        return source
    path = last_checkpoint(source) if os.path.isdir(source) else source
    if path is None or not os.path.isfile(path):
        raise FileNotFoundError(
            f'no checkpoint of stage 1 at {source}: train stage 1 first, or set the config key '
            f'{config_key} to its checkpoint or work dir'
        )
    return path


def part_of(state: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """The tensors of one child of a model, under the child's own names."""
    return {k[len(name) + 1 :]: v for k, v in state.items() if k.startswith(f'{name}.')}


def check_fit(network: Any, tensors: Mapping[str, Tensor], source: str) -> None:
    """Raise ValueError unless the tensors are exactly those of the network."""
    own = network.state_dict()
    missing = [f'{k} is missing' for k in own if k not in tensors]
    _raise_problems(source, missing + _misfits(own, tensors))


def _misfits(own: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> list[str]:
    unknown = [f'{k} is not in this network' for k in tensors if k not in own]
    return unknown + [
        f'{k} has shape {tuple(v.shape)}, needed is {tuple(own[k].shape)}'
        for k, v in tensors.items()
        if k in own and v.shape != own[k].shape
    ]


def _raise_problems(source: str, problems: list[str]) -> None:
    if problems:
        more = f'; and {len(problems) - 20} more' if len(problems) > 20 else ''
        raise ValueError(f'{source} does not fit: ' + '; '.join(problems[:20]) + more)


def _load(generator: Any, tensors: dict[str, Tensor], source: str) -> list[str]:
    """Load strictly up to missing upsampling levels, whose names are returned."""
    own = generator.state_dict()
    upsampling = [f'levels.{i}' for i, level in enumerate(generator.levels) if level.scale > 1]
    missing = [k for k in own if k not in tensors]
    fresh = [level for level in upsampling if f'{level}.conv1.bias' in missing]
    problems = [f'{k} is missing' for k in missing if not k.startswith(tuple(fresh) or ('\0',))]
    _raise_problems(source, problems + _misfits(own, tensors))
    generator.load_state_dict(tensors, strict=False)
    return fresh
