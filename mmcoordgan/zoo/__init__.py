"""Trained models that come with the package, one file each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmengine.runner import CheckpointLoader

from mmcoordgan.io.files import load_checkpoint

SCHEME = 'mmcoordgan://'
FOLDER = Path(__file__).parent
"""Holds ``<name>.pth``, as tools/model_converters/publish_model.py writes it."""


def list_models() -> list[str]:
    """Names of the bundled models, in alphabetical order."""
    return sorted(path.stem for path in FOLDER.glob('*.pth'))


def model_path(name: str) -> str | None:
    """The file of a bundled model, or None if there is no model of this name."""
    return str(FOLDER / f'{name}.pth') if name in list_models() else None


@CheckpointLoader.register_scheme(prefixes=SCHEME, force=True)
def load_from_package(filename: str, map_location: object = None, **_: object) -> dict:
    """The checkpoint of a bundled model, wherever MMEngine loads ``mmcoordgan://<name>``.

    FileNotFoundError: there is no model of this name.
    """
    path = model_path(filename[len(SCHEME) :])
    if path is None:
        raise FileNotFoundError(f'there is no bundled model {filename}')
    return load_checkpoint(path)


def model_card(name: str) -> dict[str, Any]:
    """What a bundled model was trained on and how: ``data``, ``terms``, ``config`` and more.

    ValueError: there is no model of this name.
    """
    path = model_path(name)
    if path is None:
        known = ', '.join(list_models()) or 'none'
        raise ValueError(f'there is no bundled model {name}; bundled are: {known}')
    return load_checkpoint(path)['card']
