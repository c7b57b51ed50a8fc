"""What the command-line tools share: options, checkpoints, processes, messages for the user."""

from __future__ import annotations

import datetime
import errno
import os
import pickle
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch.distributed
from mmengine.config import Config, ConfigDict
from mmengine.device import get_device
from mmengine.registry import MODEL_WRAPPERS
from torch.nn.parallel import DistributedDataParallel

from mmcoordgan.models.finite import NonFiniteError
from mmcoordgan.shipped import find_config
from mmcoordgan.work_dir import last_checkpoint as written_last

from .cfg_options import CfgOptionError, check_cfg_options
from .checkpoint_files import check_checkpoint_file
from .resumable_checkpoint_hook import CheckpointWriteError

_FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


class LaunchError(Exception):
    """A request that cannot be met; the message says what the user can do about it."""


@contextmanager
def explained_errors(program: str) -> Iterator[None]:
    """End the program with one message where the user, and not the code, is at fault.

    Requests that a tool itself found impossible (LaunchError) end it with exit code 2: options,
    and checkpoints that :func:`check_checkpoint` refuses. What is met later ends it with exit code
    1: missing or forbidden files, where the message names the line that asked for the file;
    checkpoints that ``torch.load`` refuses; packages that are missing; a full disk; losses that are
    not finite. All other errors keep their traceback.
    """
    try:
        yield
    except (LaunchError, CfgOptionError) as error:
        print(f'{program}: error: {error}', file=sys.stderr)
        sys.exit(2)
    except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        where = f'{frame.filename}, line {frame.lineno}'
        print(f'{program}: error: {error} (asked for by {where})', file=sys.stderr)
        sys.exit(1)
    except ImportError as error:
        print(f'{program}: error: {" ".join(str(error).split())}', file=sys.stderr)
        sys.exit(1)
    except (CheckpointWriteError, NonFiniteError) as error:
        message = error.strerror if isinstance(error, OSError) else error
        print(f'{program}: error: {message}', file=sys.stderr)
        sys.exit(1)
    except OSError as error:
        if error.errno not in _FULL_DISK:
            raise
        print(f'{program}: error: {error}', file=sys.stderr)
        sys.exit(1)
    except pickle.UnpicklingError as error:
        reason = str(error).splitlines()[-1]
        print(
            f'{program}: error: a checkpoint is refused, because reading it would run code that '
            f'it holds: {reason}',
            file=sys.stderr,
        )
        sys.exit(1)


def forbid_unsafe_loading() -> None:
    """Make every ``torch.load`` of this process refuse to run code from the file it reads.

    That is the default of PyTorch >= 2.6, but some libraries fall back to unsafe loading.
    """
    os.environ.pop('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', None)
    os.environ['TORCH_FORCE_WEIGHTS_ONLY_LOAD'] = '1'


def load_config(path: str, options: dict | None, work_dir: str | None = None) -> Config:
    """Read a config file and apply what the command line says about it.

    Args:
        path: The config file, or the name of one that comes with the package, such as
            'coordgan/toyfaces_32.py'.
        options: ``--cfg-options``, as parsed by ``CfgOptionsAction``.
        work_dir: ``--work-dir``. Default: the config's ``work_dir``, or ``work_dirs/<name of the
            config file>``.

    Raises:
        LaunchError: there is no such file, Python cannot parse it, or MMEngine cannot look up a
            base of the form 'package::name'.
        CfgOptionError: an option has no place in the config.
    """
    cfg = read_config(path)
    if options:
        for note in check_cfg_options(cfg, options):
            print(note, file=sys.stderr)
        cfg.merge_from_dict(options)
    default = os.path.join('work_dirs', Path(path).stem)
    cfg.work_dir = work_dir or cfg.get('work_dir') or default
    return cfg


def read_config(path: str) -> Config:
    """A config file, given by its path or its name in the package.

    Raises:
        LaunchError: there is no such file, Python cannot parse it, or it needs a package that is
            missing.
    """
    try:
        path = find_config(path)
    except FileNotFoundError as error:
        raise LaunchError(str(error)) from None
    try:
        return Config.fromfile(path)
    except SyntaxError as error:
        raise LaunchError(f'config file {path} cannot be parsed: {error}') from None
    except ModuleNotFoundError as error:
        reason = str(error)
        if error.name == 'pkg_resources':
            reason = (
                "MMEngine needs pkg_resources for names with '::'. Run: pip install 'setuptools<82'"
            )
        raise LaunchError(f'config file {path}: {reason}') from None


def check_checkpoint(path: str) -> None:
    """Refuse a checkpoint that is missing, damaged or unsafe. Addresses (``https://``) pass.

    Raises:
        LaunchError: with the reason.
    """
    if '://' in path:
        return
    try:
        check_checkpoint_file(path)
    except (FileNotFoundError, ValueError) as error:
        raise LaunchError(str(error)) from None


def last_checkpoint(work_dir: str) -> str | None:
    """The checkpoint that a run in ``work_dir`` wrote last, or None if there is none.

    Raises:
        LaunchError: ``work_dir/last_checkpoint`` names a file that is not there.
    """
    try:
        return written_last(work_dir)
    except FileNotFoundError as error:
        raise LaunchError(
            f'{error}: give a checkpoint with --resume CHECKPOINT, or delete that file to start '
            'afresh'
        ) from None


def has_accelerator() -> bool:
    """Whether MMEngine trains on a GPU or the like here."""
    return get_device() not in ('cpu', 'mps')


def join_processes(cfg: Config, launcher: str, local_rank: int = 0) -> None:
    """Prepare ``cfg`` and this process for ``launcher``: 'none', 'pytorch', 'slurm' or 'mpi'.

    On machines without GPU, where MMEngine's own set-up fails, the processes of torchrun are
    joined with gloo here, whatever ``env_cfg.dist_cfg.backend`` says.

    Raises:
        LaunchError: the launcher has not set its environment, or needs GPUs.
    """
    cfg.launcher = launcher
    os.environ.setdefault('LOCAL_RANK', str(local_rank))
    if launcher == 'none':
        return
    missing = [name for name in ('RANK', 'WORLD_SIZE', 'MASTER_ADDR') if name not in os.environ]
    if launcher == 'pytorch' and missing:
        raise LaunchError(
            f'--launcher pytorch needs {", ".join(missing)} in the environment, which torchrun '
            'sets: start this program with tools/dist_train.sh or torchrun'
        )
    if has_accelerator():
        return
    if launcher != 'pytorch':
        raise LaunchError(
            f'--launcher {launcher} needs GPUs, and there is none here: use torchrun and '
            '--launcher pytorch to train on CPUs'
        )
    if not torch.distributed.is_initialized():
        timeout = cfg.get('env_cfg', {}).get('dist_cfg', {}).get('timeout', 1800)
        torch.distributed.init_process_group('gloo', timeout=datetime.timedelta(seconds=timeout))
    _wrap_on_cpu(cfg)


def leave_processes() -> None:
    """Say goodbye to the other processes, if there are any."""
    if torch.distributed.is_initialized():
        # Destroying the group joins gloo's threads, without giving way to Python threads in older
        # versions of PyTorch: one that still lets go of its last tensor would wait for ever.
        time.sleep(0.2)
        torch.distributed.destroy_process_group()


def _wrap_on_cpu(cfg: Config) -> None:
    """MMEngine gives ``DistributedDataParallel`` the number of a GPU unless told otherwise."""
    wrapper = cfg.get('model_wrapper_cfg') or ConfigDict(
        broadcast_buffers=False, find_unused_parameters=cfg.get('find_unused_parameters', False)
    )
    kind: Any = wrapper.get('type', 'MMDistributedDataParallel')
    if isinstance(kind, str):
        with MODEL_WRAPPERS.switch_scope_and_registry(cfg.get('default_scope')) as registry:
            kind = registry.get(kind)
    if issubclass(kind, DistributedDataParallel):
        wrapper.setdefault('device_ids', None)
    cfg.model_wrapper_cfg = wrapper
