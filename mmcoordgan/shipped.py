"""The configs and tools of the package: inside it in a wheel, beside it in a checkout."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path, PurePath

from mmengine.config import Config

from mmcoordgan.errors import UserError

PACKAGE = Path(__file__).parent


def shipped_root() -> Path:
    """The folder that holds ``configs`` and ``tools``."""
    for folder in (PACKAGE / '.mim', PACKAGE.parent):
        if (folder / 'model-index.yml').is_file():
            return folder
    raise FileNotFoundError(
        f'there are no configs and tools in {PACKAGE / ".mim"} or {PACKAGE.parent}: install the '
        'wheel, or a checkout with pip install -e'
    )


def config_names() -> list[str]:
    """Names of the configs that come with the package, such as 'coordgan/toyfaces_32.py'."""
    folder = shipped_root() / 'configs'
    names = (path.relative_to(folder).as_posix() for path in sorted(folder.glob('*/**/*.py')))
    return [name for name in names if not name.startswith('_base_/')]


def find_config(path: str) -> str:
    """The path of a config file, given by its path, or else by one of :func:`config_names`, with or
    without 'configs/' before it; UserError if there is neither.
    """
    if Path(path).is_file():
        return path
    name = PurePath(path).as_posix()
    name = name[len('configs/') :] if name.startswith('configs/') else name
    if name in config_names():
        return str(shipped_root() / 'configs' / name)
    near = get_close_matches(name, config_names(), n=1)
    hint = f'; did you mean {near[0]}, which comes with the package?' if near else ''
    raise UserError(f'config file {path} does not exist{hint}')


def read_config(path: str) -> Config:
    """Read a config file, given by its path or its name in the package; UserError says why not."""
    path = find_config(path)
    try:
        return Config.fromfile(path)
    except Exception as error:  # MMEngine fails in many ways
        hint = ''
        if 'pkg_resources' in str(error):
            hint = ". MMEngine finds configs of packages with it: pip install 'setuptools<82'"
        raise UserError(f'config file {path}: {type(error).__name__}: {error}{hint}') from error
