"""Whether a checkpoint belongs to the model and the optimizers of a config."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from mmengine.optim import OptimWrapperDict

from mmcoordgan.models.pretrained import misfits

from .optim import unwrap

# Children of the models that only training uses: a checkpoint to test may lack them.
TRAINING_ONLY = ('discriminator', 'patch_discriminator', 'perceptual', 'losses', 'iteration')
# Children whose weights do not come from a checkpoint, not even from the one to resume.
READ_ELSEWHERE = ('perceptual', 'losses')


def model_misfits(model: Any, checkpoint: Mapping, not_needed: tuple[str, ...]) -> list[str]:
    """Reasons why a checkpoint (or bare state dict) does not fill the weights of a model.

    Weights of the model's children ``not_needed`` may be missing.
    """
    state = checkpoint.get('state_dict', checkpoint)
    if not isinstance(state, Mapping):
        return ['it holds no state_dict']
    found = {re.sub(r'^module\.', '', str(key)): value for key, value in state.items()}
    own = unwrap(model).state_dict()
    wanted = {k: v for k, v in own.items() if k.split('.')[0] not in not_needed}
    reasons = [misfits(wanted, {k: v for k, v in found.items() if k in wanted})]
    needs, has = ({key.split('.')[0] for key in names} for names in (own, found))
    if 'encoder' in needs - has and 'generator' in has:
        reasons.append('it is a checkpoint of stage 1, which has no encoder')
    return [reason for reason in reasons if reason]


def resume_misfits(checkpoint: Mapping, optim_wrapper: Any, schedulers: Any) -> list[str]:
    """Reasons why a training cannot resume from a checkpoint, apart from the weights."""
    reasons = []
    meta = checkpoint.get('meta')
    counters = [meta.get(k) for k in ('epoch', 'iter')] if isinstance(meta, Mapping) else [None]
    if any(type(counter) is not int for counter in counters):
        reasons.append('it does not say which iteration it is of')
    if not isinstance(checkpoint.get('message_hub'), Mapping):
        reasons.append('it holds no message_hub')
    if _counts(checkpoint.get('param_schedulers', schedulers)) != _counts(schedulers):
        reasons.append('its scheduler state belongs to other schedulers')
    if 'optimizer' not in checkpoint:  # converted, or published without; the hook warns
        return reasons
    saved, wrappers = {'optimizer': checkpoint['optimizer']}, {'optimizer': optim_wrapper}
    if isinstance(optim_wrapper, OptimWrapperDict):
        saved, wrappers = checkpoint['optimizer'], dict(optim_wrapper.items())
    for name, wrapper in wrappers.items():
        state = saved.get(name) if isinstance(saved, Mapping) else None
        if not isinstance(state, Mapping) or not _optimizer_fits(wrapper.optimizer, state):
            reasons.append(
                f'its state of the optimizer {name} is missing or belongs to other parameters'
            )
    return reasons


def steps_on_cpu(state: Any) -> None:
    """Move Adam's step counters in a saved state of optimizers to the CPU, where it makes them.

    A checkpoint that was read to a GPU has them there, and every step would wait for it twice per
    parameter. Optimizers that need them on the GPU (``fused``, ``capturable``) move them back.
    """
    for key, value in state.items() if isinstance(state, dict) else ():
        if key == 'step' and isinstance(value, torch.Tensor):
            state[key] = value.cpu()
        else:
            steps_on_cpu(value)


def _counts(schedulers: Any) -> Any:
    """Numbers of schedulers, by optimizer where there are several."""
    if isinstance(schedulers, Mapping):
        return {name: _counts(listed) for name, listed in schedulers.items()}
    return len(schedulers) if isinstance(schedulers, list) else schedulers or 0


def _optimizer_fits(optimizer: torch.optim.Optimizer, state: Mapping) -> bool:
    """Whether a saved state has the optimizer's parameters, and moments of their shapes."""
    groups = state.get('param_groups', ())
    if len(groups) != len(optimizer.param_groups):
        return False
    for own, saved in zip(optimizer.param_groups, groups):
        settings = {'lr', 'betas', 'params'} & own.keys()
        if settings - saved.keys() or len(own['params']) != len(saved['params']):
            return False
        for parameter, place in zip(own['params'], saved['params']):
            moments = state['state'].get(place, {})
            found = [moments.get(k) for k in ('exp_avg', 'exp_avg_sq', 'momentum_buffer')]
            if any(moment is not None and moment.shape != parameter.shape for moment in found):
                return False
    return True
