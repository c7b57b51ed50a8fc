"""What training and testing share: options, checkpoints, processes, the Runner."""

from __future__ import annotations

import argparse
import datetime
import logging
import os
import time
from typing import Any

import torch.distributed
from mmengine.config import Config, ConfigDict
from mmengine.device import get_device
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.registry import MODEL_WRAPPERS
from mmengine.runner import Runner
from torch.nn.parallel import DistributedDataParallel

from mmcoordgan.errors import UserError, explained
from mmcoordgan.io.files import load_checkpoint

from .config import CfgOptionsAction

LAUNCHERS = ('none', 'pytorch', 'slurm', 'mpi')
FILE_ONLY = (
    'Config:',
    'Hooks will be executed',
    '\n---',
    'paramwise_options',
    'Distributed training is',
    '"FileClient" will',
    '"HardDiskBackend" is',
    '`save_param_scheduler` is',
)
"""Beginnings of messages that go to the log file alone."""


def forbid_unsafe_loading() -> None:
    """Make every ``torch.load`` of this process refuse to run code from the file it reads.

    That is the default of PyTorch >= 2.6, but some libraries fall back to unsafe loading.
    """
    os.environ.pop('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', None)
    os.environ['TORCH_FORCE_WEIGHTS_ONLY_LOAD'] = '1'


def add_common_arguments(parser: argparse.ArgumentParser, example: str) -> None:
    """Add what ``train.py`` and ``test.py`` share: options for the config, and the launcher."""
    add = parser.add_argument
    text = (
        f'change values of the config, such as {example}; lists are written [1,2] and tuples '
        '"(1,2)", without spaces; a text with commas needs quotes of its own, KEY=\'"a,b"\''
    )
    add('--cfg-options', nargs='+', action=CfgOptionsAction, metavar='KEY=VALUE', help=text)
    text = 'what started this process [none]; see tools/dist_*.sh and tools/slurm_*.sh'
    add('--launcher', choices=LAUNCHERS, default='none', help=text)
    add('--local_rank', '--local-rank', type=int, default=0, help='set by some launchers')


def check_checkpoint(path: str) -> None:
    """Refuse a checkpoint that is missing, damaged or unsafe. Addresses (``https://``) pass."""
    if '://' not in path:
        with explained():
            load_checkpoint(path)


class ToolRunner(Runner):
    """MMEngine's Runner, as the tools use it."""

    def dump_config(self) -> None:
        """Write no config: the tools change it after the user."""

    def register_default_hooks(self, hooks: dict | None = None) -> None:
        """Register the default hooks; None switches any of them off."""
        hooks = {name: Hook() if hook is None else hook for name, hook in (hooks or {}).items()}
        super().register_default_hooks(hooks)

    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        """Build the logger. The screen shows no environment, config and hooks."""
        logger = super().build_logger(*args, **kwargs)
        for handler in logger.handlers:
            stream: Any = getattr(handler, 'stream', None)
            if not isinstance(handler, logging.FileHandler):
                handler.addFilter(_on_screen)
            elif not stream.closed:
                stream.reconfigure(errors='backslashreplace')
        return logger

    def load_checkpoint(self, *args: Any, **kwargs: Any) -> dict:
        """Load a checkpoint, without the text that MMEngine would run as a config."""
        checkpoint = super().load_checkpoint(*args, **kwargs)
        if isinstance(checkpoint.get('meta'), dict):
            checkpoint['meta'].pop('config', None)
        return checkpoint

    def load_or_resume(self) -> None:
        """Load the checkpoint; UserError names one that cannot be used."""
        try:
            super().load_or_resume()
        except (UserError, OSError):
            raise
        except Exception as error:  # nonsense in a checkpoint fails in any way
            raise UserError(
                f'checkpoint {self._load_from} cannot be used ({type(error).__name__}: {error})'
            ) from error


def _on_screen(record: logging.LogRecord) -> bool:
    """Whether a message is for the screen; metrics of a test are printed as a table instead."""
    text = record.getMessage()
    metrics = text.startswith('Iter(test)') and 'eta:' not in text
    return not (metrics or text.startswith(FILE_ONLY))


def has_accelerator() -> bool:
    """Whether MMEngine trains on a GPU or the like here."""
    return get_device() not in ('cpu', 'mps')


def join_processes(cfg: Config, launcher: str, local_rank: int = 0) -> None:
    """Prepare ``cfg`` and this process for ``launcher``, one of :data:`LAUNCHERS`.

    Without a GPU, where MMEngine's own set-up fails, joins the processes of torchrun with gloo,
    whatever ``env_cfg.dist_cfg.backend`` says.
    """
    cfg.launcher = launcher
    os.environ.setdefault('LOCAL_RANK', str(local_rank))
    if launcher == 'none':
        return
    missing = [name for name in ('RANK', 'WORLD_SIZE', 'MASTER_ADDR') if name not in os.environ]
    if launcher == 'pytorch' and missing:
        raise UserError(
            f'--launcher pytorch needs {", ".join(missing)} in the environment: start with '
            'tools/dist_train.sh or torchrun'
        )
    wrapper = cfg.get('model_wrapper_cfg') or {}
    kind: Any = wrapper.get('type')
    if isinstance(kind, type):  # of a lazy config; MMEngine takes a name
        wrapper['type'] = f'{kind.__module__}.{kind.__qualname__}'
    if has_accelerator():
        return
    if launcher != 'pytorch':
        advice = 'on CPUs, use torchrun and --launcher pytorch'
        raise UserError(f'--launcher {launcher} needs GPUs; {advice}')
    if not torch.distributed.is_initialized():
        timeout = cfg.get('env_cfg', {}).get('dist_cfg', {}).get('timeout', 1800)
        torch.distributed.init_process_group('gloo', timeout=datetime.timedelta(seconds=timeout))
    wrapper = wrapper or ConfigDict(
        broadcast_buffers=False, find_unused_parameters=cfg.get('find_unused_parameters', False)
    )
    with MODEL_WRAPPERS.switch_scope_and_registry(cfg.get('default_scope')) as registry:
        kind = registry.get(wrapper.get('type', 'MMDistributedDataParallel'))
    if issubclass(kind, DistributedDataParallel):
        wrapper.setdefault('device_ids', None)  # MMEngine would give it the number of a GPU
    cfg.model_wrapper_cfg = wrapper


def leave_processes() -> None:
    """Destroy the process group, if there is one."""
    if torch.distributed.is_initialized():
        # Older versions of PyTorch join gloo's threads without releasing Python's lock. A thread
        # that has yet to free its last tensor would wait for that lock for ever.
        time.sleep(0.2)
        torch.distributed.destroy_process_group()
