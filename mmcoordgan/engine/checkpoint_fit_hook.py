"""No test with weights that were never loaded."""

from __future__ import annotations

import re
from typing import Any

from mmengine.hooks import Hook

from mmcoordgan.registry import HOOKS

from .unwrap import unwrap

# Parts of the models that only training uses: a checkpoint may lack them.
TRAINING_ONLY = ('discriminator', 'patch_discriminator', 'perceptual', 'losses', 'iteration')


class CheckpointMismatchError(ValueError):
    """A checkpoint that belongs to another model."""


@HOOKS.register_module()
class CheckpointFitHook(Hook):
    """Refuse a checkpoint that leaves weights of the model as they were initialised.

    MMEngine only warns of missing weights, and of weights of other shapes, and goes on with random
    ones. ``tools/test.py`` adds this hook. Parts that only training uses may be missing.
    """

    priority = 'LOWEST'

    def after_load_checkpoint(self, runner: Any, checkpoint: dict) -> None:
        """Compare names and shapes.

        Raises:
            CheckpointMismatchError: A weight is missing or has another shape.
        """
        state = checkpoint.get('state_dict', checkpoint)
        found = {re.sub(r'^module\.', '', str(key)): value for key, value in state.items()}
        model = unwrap(runner.model)
        source = getattr(runner, '_load_from', None) or 'the checkpoint'
        start = f'{source} does not fit the model {type(model).__name__} of the config: '
        reasons = _misfits(model.state_dict(), found)
        if reasons:
            raise CheckpointMismatchError(start + '; '.join(reasons))
        own_check = getattr(model, 'check_state_dict', None)
        if own_check is not None:
            try:
                own_check(found)
            except ValueError as error:
                raise CheckpointMismatchError(start + str(error)) from None


def _misfits(model: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """What keeps the weights ``found`` from filling those of ``model``."""
    wanted = {k: v for k, v in model.items() if k.split('.')[0] not in TRAINING_ONLY}
    missing = [key for key in wanted if key not in found]
    other = [k for k in wanted if k in found and wanted[k].shape != found[k].shape]
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
            f'{len(other)} weights have another shape, such as {key}: '
            f'{tuple(found[key].shape)} there, {tuple(wanted[key].shape)} in the model'
        )
    no_encoder = any(key.startswith('encoder.') for key in missing)
    if no_encoder and any(key.startswith('generator') for key in found):
        reasons.append(
            'it looks like a checkpoint of stage 1, which has no encoder: train stage 2 on it, and '
            'test the checkpoint of stage 2'
        )
    return reasons
