"""Whether a checkpoint belongs to the model and the optimizers of a config."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from typing import Any

import torch
from mmengine.optim import OptimWrapperDict

from .optim import unwrap

# Parts of the models that only training uses: a checkpoint to test may lack them.
TRAINING_ONLY = ('discriminator', 'patch_discriminator', 'perceptual', 'losses', 'iteration')
# Parts whose weights do not come from a checkpoint, not even where training goes on from it.
READ_ELSEWHERE = ('perceptual', 'losses')


def model_misfits(model: Any, checkpoint: Mapping, not_needed: tuple[str, ...]) -> list[str]:
    """Find what keeps a checkpoint from filling the weights of a model.

    Args:
        model: The model, possibly wrapped.
        checkpoint: With the key ``state_dict``, or a bare state dict.
        not_needed: Children of the model whose weights may be missing.

    Returns:
        Reasons, none where the checkpoint fits.
    """
    state = checkpoint.get('state_dict', checkpoint)
    if not isinstance(state, Mapping):
        return ['it holds no state_dict']
    found = {re.sub(r'^module\.', '', str(key)): value for key, value in state.items()}
    model = unwrap(model)
    wanted = {k: v for k, v in model.state_dict().items() if k.split('.')[0] not in not_needed}
    missing = [key for key in wanted if not isinstance(found.get(key), torch.Tensor)]
    other = [k for k in wanted if k not in missing and wanted[k].shape != found[k].shape]
    reasons = []
    if missing:
        modules = ', '.join(sorted({key.split('.')[0] for key in missing}))
        reasons.append(
            f'{len(missing)} of {len(wanted)} weights are missing (of {modules}), such as '
            f'{missing[0]}'
        )
    if other:
        key = other[0]
        reasons.append(
            f'{len(other)} weights have another shape, such as {key}: {tuple(found[key].shape)} in '
            f'the checkpoint, {tuple(wanted[key].shape)} in the model'
        )
    encoder_missing = any(key.startswith('encoder.') for key in missing)
    if encoder_missing and any(key.startswith('generator') for key in found):
        reasons.append(
            'it looks like a checkpoint of stage 1, which has no encoder: train stage 2 on it, and '
            'take the checkpoint of stage 2'
        )
    own_check = getattr(model, 'check_state_dict', None)
    if not reasons and own_check is not None:
        try:
            own_check(found)
        except ValueError as error:
            reasons.append(str(error))
    return reasons


def resume_misfits(checkpoint: Mapping, optim_wrapper: Any, schedulers: Any) -> list[str]:
    """Find what keeps a training from going on from a checkpoint, apart from the weights.

    Args:
        checkpoint: Of a training.
        optim_wrapper: The optimizer wrapper, or several, of the training that resumes.
        schedulers: Its schedulers: a list, a dict of lists, or None.

    Returns:
        Reasons, none where the training can go on.
    """
    reasons = []
    meta = checkpoint.get('meta')
    counts = [meta.get(name) for name in ('epoch', 'iter')] if isinstance(meta, Mapping) else [None]
    if not all(isinstance(count, int) and count >= 0 for count in counts):
        reasons.append('it does not say which iteration it is of')
    hub = checkpoint.get('message_hub')
    kept = hub.get('resumed_keys') if isinstance(hub, Mapping) else None
    if not isinstance(kept, Mapping) or not all(isinstance(v, bool) for v in kept.values()):
        reasons.append('it holds no message_hub')
    states = _states(schedulers)
    if _other_kinds(states, checkpoint.get('param_schedulers', states)):
        reasons.append('its state of the schedulers belongs to others')
    if 'optimizer' not in checkpoint:  # converted, or published without; the hook warns
        return reasons
    saved = checkpoint['optimizer']
    wrappers = {'optimizer': optim_wrapper}
    if isinstance(optim_wrapper, OptimWrapperDict):
        wrappers = dict(optim_wrapper.items())
    else:
        saved = {'optimizer': saved}
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
    if not isinstance(state, dict):
        return
    for key, value in state.items():
        if key == 'step' and isinstance(value, torch.Tensor):
            state[key] = value.cpu()
        else:
            steps_on_cpu(value)


def _optimizer_fits(optimizer: torch.optim.Optimizer, state: Any) -> bool:
    """Whether a saved state has the optimizer's parameters, moments of their shapes, all it needs.

    What an optimizer needs differs between classes: a step with single numbers in place of the
    parameters finds out.
    """
    try:
        own = [group['params'] for group in optimizer.param_groups]
        saved = [group['params'] for group in state['param_groups']]
        if list(map(len, own)) != list(map(len, saved)):
            return False
        trial = copy.copy(optimizer)
        groups, moments = [], {}
        for group, params, places in zip(state['param_groups'], own, saved):
            numbers = [torch.nn.Parameter(p.detach().new_zeros(())) for p in params]
            groups.append({**group, 'params': numbers})
            for number, parameter, place in zip(numbers, params, places):
                number.grad = torch.zeros_like(number)
                moment = state['state'].get(place, {})
                if any(
                    moment[key].shape != parameter.shape
                    for key in ('exp_avg', 'exp_avg_sq', 'momentum_buffer')
                    if moment.get(key) is not None
                ):
                    return False
                moments[number] = {key: _single(value) for key, value in moment.items()}
        trial.__setstate__({'state': moments, 'param_groups': groups})
        trial.step()
    except (AttributeError, KeyError, TypeError, ValueError):  # nonsense of any kind
        return False
    except RuntimeError:  # an optimizer whose moments are no numbers
        pass
    return True


def _single(value: Any) -> Any:
    """The first number of a tensor, as a copy."""
    return value.detach().flatten()[0].clone() if isinstance(value, torch.Tensor) else value


def _states(schedulers: Any) -> Any:
    if isinstance(schedulers, dict):
        return {name: _states(listed) for name, listed in schedulers.items()}
    return [scheduler.state_dict() for scheduler in schedulers or ()]


def _other_kinds(own: Any, saved: Any) -> bool:
    """Whether a saved value is of another kind than the present number, text, list or dict."""
    if isinstance(own, bool):
        return not isinstance(saved, bool)
    if isinstance(own, (int, float)):
        return isinstance(saved, bool) or not isinstance(saved, (int, float, torch.Tensor))
    if isinstance(own, dict):
        if not isinstance(saved, Mapping):
            return True
        return any(_other_kinds(value, saved[key]) for key, value in own.items() if key in saved)
    if isinstance(own, (list, tuple)):
        if not isinstance(saved, (list, tuple)) or len(own) != len(saved):
            return True
        return any(map(_other_kinds, own, saved))
    return isinstance(own, str) and own != saved
