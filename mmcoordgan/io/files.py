"""Read checkpoints without running what they hold; write files that are complete or not there."""

from __future__ import annotations

import logging
import mmap
import os
import pickle
import re
import secrets
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlparse

import mmengine
import torch
from mmengine.fileio import LocalBackend, register_backend
from mmengine.logging import print_log
from torch import Tensor

MAX_PICKLE = 64 << 20
"""Bytes that the structure of a checkpoint may take, without its tensors."""
MAX_DEPTH = 100
"""How deeply the containers of a checkpoint may be nested."""
ADVICE = (
    'Checkpoints that mmcoordgan writes hold tensors and plain values only. If you trust this '
    'file, convert it where it was written: save its state_dict alone with '
    "torch.save({'state_dict': ...}, path)"
)


@register_backend('mmcoordgan_atomic', force=True)
class AtomicLocalBackend(LocalBackend):
    """Local files that are complete or not there, also if the process is killed."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write ``obj`` to ``filepath``; creates the folder."""
        mmengine.mkdir_or_exist(os.path.dirname(os.path.abspath(filepath)))
        with atomic_file(filepath) as file:
            file.write(obj)

    def remove(self, filepath: str | Path) -> None:
        """Remove a file. One that stays is logged: no reason to end hours of training."""
        try:
            super().remove(filepath)
        except OSError as error:
            print_log(f'{filepath} cannot be removed: {error}', 'current', logging.WARNING)


@contextmanager
def atomic_file(path: str | Path) -> Iterator[IO[bytes]]:
    """Open a binary file for writing that gets its name when it is complete and on the disk.

    Until then it is called ``<path>.<random>.part``. An error removes it and keeps the old file.
    """
    path = os.path.abspath(path)
    temporary = f'{path}.{secrets.token_hex(4)}.part'
    try:
        with open(temporary, 'xb') as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with suppress(FileNotFoundError):  # it may have its name already
            os.unlink(temporary)
        raise
    with suppress(OSError):  # not every system can bring the names of a folder to the disk
        folder = os.open(os.path.dirname(path), os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def load_checkpoint(path: str | Path, trust: bool = False, advice: str = ADVICE) -> Any:
    """Read a local checkpoint onto the CPU without running code from it.

    Compares checksums in PyTorch's archives, and makes nothing larger than the file. Tensors stay
    on the disk until they are used, where the format allows it. ``trust`` reads files that hold
    more, and runs their code. ``advice`` is what the user can do about a file that is refused.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is damaged, holds more than tensors and plain containers, or claims
            objects that are larger than the file.
    """
    path = Path(path).expanduser()
    if not os.path.isfile(path):
        raise FileNotFoundError(f'checkpoint {path} does not exist, or is no file')
    try:
        options: dict[str, Any] = dict(map_location='cpu', mmap=zipfile.is_zipfile(path))
        try:
            _check_bytes(path)
            content = torch.load(str(path), weights_only=True, **options)
            _check_claims(content, os.path.getsize(path))
            return content
        except pickle.UnpicklingError as error:
            if trust:
                return torch.load(str(path), weights_only=False, **options)
            refusal = _reason(error)
    except Exception as error:  # bytes that are no pickle fail in any way
        raise ValueError(
            f'checkpoint {path} cannot be read ({type(error).__name__}: {_reason(error)}): is it '
            'complete, and is it a checkpoint?'
        ) from None
    raise ValueError(
        f'checkpoint {path} is refused: it holds objects that cannot be read without running '
        f'code from the file ({refusal}). {advice}'
    )


def _check_bytes(path: Path) -> None:
    """Compare the checksums of an archive, and refuse what would grow when it is read."""
    size = os.path.getsize(path)
    if size and not zipfile.is_zipfile(path):  # the format before PyTorch 1.6
        with open(path, 'rb') as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            _refuse_bytearray(data)
        return
    with zipfile.ZipFile(path) as archive:
        records = archive.infolist()
        stored = all(record.compress_type == zipfile.ZIP_STORED for record in records)
        if not stored or sum(record.file_size for record in records) > size:
            raise ValueError('its records are larger than the file')
        if damaged := archive.testzip():
            raise ValueError(f'the checksum of {damaged} is wrong')
        for record in records:
            if record.filename.endswith('.pkl'):
                if record.file_size > MAX_PICKLE:
                    raise ValueError(f'{record.filename} takes {record.file_size} bytes')
                _refuse_bytearray(archive.read(record))


def _refuse_bytearray(data: Any) -> None:
    """Refuse the one thing that plain pickles can make of any size: ``bytearray(n)``."""
    if data.find(b'\nbytearray\n') >= 0:
        raise ValueError('it builds a bytearray')


def _check_claims(content: Any, size: int) -> None:
    """Refuse an object that holds more values, counted wherever they occur, than its file can."""
    left, seen = [(content, 0)], 0
    while left:
        value, depth = left.pop()
        seen += 1
        if seen > size or depth > MAX_DEPTH:
            raise ValueError(f'it claims more values than a file of {size} bytes can hold')
        if isinstance(value, Tensor):
            if value.numel() * value.element_size() > size:
                raise ValueError(f'a tensor claims more than a file of {size} bytes can hold')
        elif isinstance(value, Mapping):
            left += [(item, depth + 1) for pair in value.items() for item in pair]
        elif isinstance(value, (list, tuple, set, frozenset)):
            left += [(item, depth + 1) for item in value]


def _reason(error: BaseException) -> str:
    """What went wrong, without PyTorch's advice to switch the protection off."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if 'GLOBAL' in line or 'Unsupported' in line]
    reason = (telling or lines or [type(error).__name__])[0]
    return reason.replace('WeightsUnpickler error: ', '').split(' Please use ')[0].rstrip('.')


def load_weights(source: str, config_key: str) -> dict[str, Tensor]:
    """Load a state dict onto the CPU with :func:`~.load_checkpoint`.

    A URL is downloaded once, to PyTorch's cache (``$TORCH_HOME/hub/checkpoints``), and checked
    against the hash in its name, if any. Errors name ``config_key``.
    """
    path = _download(source, config_key) if source.startswith(('http://', 'https://')) else source
    try:
        state = load_checkpoint(path)
    except (FileNotFoundError, ValueError) as error:
        raise type(error)(f'config key {config_key}: {error}') from error
    if not isinstance(state, dict):
        raise ValueError(f'{path} (config key {config_key}) holds no state dict')
    return state


def _download(url: str, config_key: str) -> str:
    name = os.path.basename(urlparse(url).path)
    path = os.path.join(torch.hub.get_dir(), 'checkpoints', name)
    if not os.path.isfile(path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        digest = re.search(r'-([a-f0-9]{8,})\.', name)
        try:
            torch.hub.download_url_to_file(url, path, digest[1] if digest else None)
        except OSError as error:
            raise FileNotFoundError(
                f'{url} could not be downloaded ({error}). Fetch it on another machine and put it '
                f'at {path}, or set the config key {config_key} to where it is'
            ) from error
    return path
