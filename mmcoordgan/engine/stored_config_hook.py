"""No code from checkpoints."""

from __future__ import annotations

from typing import Any

from mmengine.hooks import Hook

from mmcoordgan.registry import HOOKS


@HOOKS.register_module()
class StoredConfigHook(Hook):
    """Take away a checkpoint's ``meta['config']`` before MMEngine runs it.

    To compare numbers of GPUs, ``Runner.resume`` executes that text as a Python config, although
    no checkpoint of MMEngine has one (theirs is ``meta['cfg']``, and is only text). A file that
    holds nothing but tensors and text could run code in this way. ``tools/train.py`` adds this
    hook to every run that resumes.
    """

    def after_load_checkpoint(self, runner: Any, checkpoint: dict) -> None:
        """Remove the text, with a warning."""
        meta = checkpoint.get('meta')
        if isinstance(meta, dict) and meta.pop('config', None) is not None:
            runner.logger.warning(
                f'meta.config of the checkpoint {getattr(runner, "_load_from", None)} is ignored: '
                'it is a text that resuming would run as Python'
            )
