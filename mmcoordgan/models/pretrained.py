"""Start from the generator of an earlier training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mmengine.logging import print_log
from torch import Tensor

from .losses.weights import load_weights

if TYPE_CHECKING:
    from .coordgan import CoordGAN

CONFIG_KEY = 'model.pretrained_generator'


def load_pretrained_generator(model: CoordGAN, path: str) -> None:
    """Load generator, averaged generator and iteration from a checkpoint of a CoordGAN.

    Only upsampling levels may be missing, as when pictures get larger; they keep their fresh
    weights. The discriminators are left alone.

    Args:
        model: Receives the weights.
        path: Path or URL of a checkpoint with a ``state_dict``.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it holds no CoordGAN, or tensors that do not fit (lists them).
    """
    state: Any = load_weights(path, CONFIG_KEY)
    state = state.get('state_dict', state)
    for name in ('generator', 'generator_ema'):
        tensors = {k[len(name) + 1 :]: v for k, v in state.items() if k.startswith(f'{name}.')}
        if not tensors:
            raise ValueError(f'{path} ({CONFIG_KEY}) holds no {name}: not a CoordGAN checkpoint')
        fresh = _load(getattr(model, name), tensors, f'{path} ({CONFIG_KEY}), {name}')
        if fresh:
            print_log(
                f'{name}: levels {", ".join(fresh)} are not in {path}, start fresh', 'current'
            )
    if 'iteration' in state:
        model.iteration.copy_(state['iteration'])


def _load(generator: Any, tensors: dict[str, Tensor], source: str) -> list[str]:
    """Load strictly up to missing upsampling levels, whose names are returned."""
    own = generator.state_dict()
    upsampling = [f'levels.{i}' for i, level in enumerate(generator.levels) if level.scale > 1]
    missing = [k for k in own if k not in tensors]
    fresh = [level for level in upsampling if f'{level}.conv1.bias' in missing]
    problems = [f'{k} is missing' for k in missing if not k.startswith(tuple(fresh) or ('\0',))]
    problems += [f'{k} is not in this generator' for k in tensors if k not in own]
    problems += [
        f'{k} has shape {tuple(v.shape)}, needed is {tuple(own[k].shape)}'
        for k, v in tensors.items()
        if k in own and v.shape != own[k].shape
    ]
    if problems:
        raise ValueError(f'{source} does not fit: ' + '; '.join(problems))
    generator.load_state_dict(tensors, strict=False)
    return fresh
