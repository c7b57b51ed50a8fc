"""``mmcoordgan://<name>``: the checkpoint of a bundled model, wherever MMEngine loads one."""

from __future__ import annotations

from mmengine.runner import CheckpointLoader

from mmcoordgan.io.files import load_checkpoint
from mmcoordgan.zoo import model_path

SCHEME = 'mmcoordgan://'


@CheckpointLoader.register_scheme(prefixes=SCHEME, force=True)
def load_from_package(filename: str, map_location: object = None, **_: object) -> dict:
    """The checkpoint of a bundled model.

    Raises:
        FileNotFoundError: There is no model of this name.
    """
    path = model_path(filename[len(SCHEME) :])
    if path is None:
        raise FileNotFoundError(f'there is no bundled model {filename}')
    return load_checkpoint(path)
