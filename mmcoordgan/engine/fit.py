"""Whether a checkpoint belongs to the model and the optimizers of a config."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from typing import Any

import torch
from mmengine.optim import OptimWrapperDict

from mmcoordgan.models.pretrained import misfits

from .optim import unwrap

# Children that a checkpoint to test may lack: only training uses them, or, the averages of the
# encoder, the model takes its encoder for them.
TRAINING_ONLY = (
    *('discriminator', 'patch_discriminator', 'perceptual', 'losses', 'iteration'),
    *('encoder_ema', 'encoder_teacher'),
)
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
    needed = {key.split('.')[0] for key in own}
    there = {key.split('.')[0] for key in found}
    if 'encoder' in needed - there and 'generator' in there:
        reasons.append('it is a checkpoint of stage 1, which has no encoder')
    return [reason for reason in reasons if reason]


def resume_misfits(checkpoint: Mapping, optim_wrapper: Any, schedulers: Any) -> list[str]:
    """Reasons why a training cannot resume from a checkpoint, apart from the weights."""
    reasons = []
    meta = checkpoint.get('meta')
    counters = [meta.get(k) for k in ('epoch', 'iter')] if isinstance(meta, Mapping) else [None]
    if any(type(counter) is not int or counter < 0 for counter in counters):
        reasons.append('it does not say which iteration it is of')
    if _counts(checkpoint.get('param_schedulers', schedulers)) != _counts(schedulers):
        reasons.append('its scheduler state belongs to other schedulers')
    if 'optimizer' not in checkpoint:  # converted, or published without; the hook warns
        return reasons
    saved, wrappers = {'optimizer': checkpoint['optimizer']}, {'optimizer': optim_wrapper}
    if isinstance(optim_wrapper, OptimWrapperDict):
        saved, wrappers = checkpoint['optimizer'], dict(optim_wrapper.items())
    for name, wrapper in wrappers.items():
        state = saved.get(name) if isinstance(saved, Mapping) else None
        if not _optimizer_fits(wrapper.optimizer, state):
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


def _optimizer_fits(optimizer: torch.optim.Optimizer, state: Any) -> bool:
    """Whether the optimizer can continue from a saved state; tries one step on copies.

    Loading would ignore moments of unknown parameters, and start afresh where there are none.
    """
    try:
        trial = copy.deepcopy(optimizer)
        trial.load_state_dict(copy.deepcopy(state))  # whose tensors it keeps
        parameters = [p for group in trial.param_groups for p in group['params']]
        for parameter in parameters:
            parameter.grad = torch.zeros_like(parameter)
        trial.step()
        finite = all(p.isfinite().all() for p in parameters)
        known = {place for group in state['param_groups'] for place in group['params']}
        moments = state['state'].keys()
        return finite and moments <= known and bool(moments) == bool(trial.state)
    except Exception:  # malformed states can raise anything
        return False
