"""Read pretrained weights from a path or URL, without unpickling anything but tensors."""

from __future__ import annotations

import os
import re
from urllib.error import URLError
from urllib.parse import urlparse

import torch
from torch import Tensor

from .files import load_checkpoint


def load_weights(source: str, config_key: str) -> dict[str, Tensor]:
    """Load a state dict onto the CPU with :func:`~.load_checkpoint`.

    A URL is downloaded once, to PyTorch's cache (``$TORCH_HOME/hub/checkpoints``), and checked
    against the hash in its name, if any.

    Args:
        source: Path or http(s) URL.
        config_key: Named in errors.

    Raises:
        FileNotFoundError: If the file does not exist or cannot be downloaded.
        ValueError: If the file is no state dict, or holds more than tensors and plain values.
    """
    path = _download(source, config_key) if source.startswith(('http://', 'https://')) else source
    if not os.path.isfile(path):
        raise FileNotFoundError(
            f'no weights at {path}: put the file there, or set the config key {config_key} to '
            f'its path or URL'
        )
    try:
        state = load_checkpoint(path)
    except ValueError as error:
        raise ValueError(f'config key {config_key}: {error}') from error
    if not isinstance(state, dict):
        raise ValueError(f'{path} (config key {config_key}) holds no state dict')
    return state


def _download(url: str, config_key: str) -> str:
    folder = os.path.join(torch.hub.get_dir(), 'checkpoints')
    name = os.path.basename(urlparse(url).path)
    path = os.path.join(folder, name)
    if not os.path.isfile(path):
        os.makedirs(folder, exist_ok=True)
        digest = re.search(r'-([a-f0-9]{8,})\.', name)
        try:
            torch.hub.download_url_to_file(url, path, digest[1] if digest else None)
        except (URLError, OSError) as error:
            raise FileNotFoundError(
                f'{url} could not be downloaded ({error}). Fetch it on another machine and put it '
                f'at {path}, or set the config key {config_key} to where it is'
            ) from error
    return path
