"""Reading and writing checkpoint files safely."""

from __future__ import annotations

import inspect
import os
import pickle
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import mmengine
import torch
from mmengine.fileio import LocalBackend, register_backend


@register_backend('mmcoordgan_atomic', force=True)
class AtomicLocalBackend(LocalBackend):
    """Local files that are either complete or not there.

    ``put`` writes to a temporary file in the same folder and renames it, so that a run that is
    killed while it saves leaves no truncated checkpoint behind. Use it with
    ``CheckpointHook(backend_args=dict(backend='mmcoordgan_atomic'))``.
    """

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write ``obj`` to ``filepath``; its folder is created if need be."""
        mmengine.mkdir_or_exist(os.path.dirname(os.path.abspath(filepath)))
        with atomic_file(filepath) as file:
            file.write(obj)


@contextmanager
def atomic_file(path: str | Path) -> Iterator[IO[bytes]]:
    """A binary file to write, which gets its name when it is complete and on the disk.

    Until then it lies beside ``path``, as ``<name>.<random>.part`` (the file's own ``name``); an
    error removes it and leaves alone what ``path`` held before.
    """
    folder, name = os.path.split(os.path.abspath(path))
    handle, temporary = tempfile.mkstemp(dir=folder, prefix=f'{name}.', suffix='.part')
    os.close(handle)
    try:
        with open(temporary, 'wb') as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
        _sync_folder(folder)
    except BaseException:
        with suppress(FileNotFoundError):  # it may have its name already
            os.unlink(temporary)
        raise


def _sync_folder(folder: str) -> None:
    """Bring the names of a folder to the disk, on systems that can."""
    if hasattr(os, 'O_DIRECTORY'):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _umask() -> int:
    """The process's umask, which can only be read by setting it."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def check_checkpoint_file(path: str | Path) -> None:
    """Make sure that a local checkpoint can be read without running any code that it holds.

    A checkpoint is a pickle, and unpickling may run arbitrary code. PyTorch's ``weights_only``
    loading reads tensors and plain containers and refuses everything else, without running it.

    Args:
        path: A local file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, or holds more than tensors and plain containers.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f'checkpoint {path} does not exist')
    try:
        torch.load(str(path), **safe_load_options(path))
    except pickle.UnpicklingError as error:
        raise ValueError(
            f'checkpoint {path} is refused: it holds objects that cannot be read without running '
            f'code from the file ({refusal_reason(error)}). Checkpoints that mmcoordgan writes '
            '(with PlainCheckpointHook among its hooks) hold tensors and plain values only. If you '
            'trust the origin of this file, convert it where it was written: keep its state_dict '
            "alone and save it with torch.save({'state_dict': ...}, path)."
        ) from None
    except Exception as error:  # bytes that are no pickle fail in any way
        raise unreadable(path, error) from None


def safe_load_options(path: Path) -> dict[str, Any]:
    """Arguments for ``torch.load``: plain data only, memory-mapped where the format allows it.

    Memory-mapping reads the structure and leaves the tensors on the disk until they are used.
    """
    options: dict[str, Any] = {'map_location': 'cpu', 'weights_only': True}
    if zipfile.is_zipfile(path) and 'mmap' in inspect.signature(torch.load).parameters:
        options['mmap'] = True
    return options


def unreadable(path: Path, error: Exception) -> ValueError:
    """What to raise where reading a file failed; many errors say little beside their type."""
    kind, reason = type(error).__name__, refusal_reason(error)
    told = kind if reason == kind else f'{kind}: {reason}'
    return ValueError(
        f'checkpoint {path} cannot be read ({told}): is it complete, and is it a checkpoint?'
    )


def refusal_reason(error: BaseException) -> str:
    """What went wrong, without PyTorch's advice to switch the protection off."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if 'GLOBAL' in line or 'Unsupported' in line]
    reason = (telling or lines or [type(error).__name__])[0]
    return reason.replace('WeightsUnpickler error: ', '').split(' Please use ')[0].rstrip('.')
