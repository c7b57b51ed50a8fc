"""Where results go: decided and checked before anything is computed."""

from __future__ import annotations

import errno
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import PurePath
from typing import Any

import numpy as np
from PIL import Image

from mmcoordgan.apis.pictures import folder_pictures
from mmcoordgan.datasets import BrokenImageError
from mmcoordgan.engine.checkpoint_files import atomic_file
from mmcoordgan.engine.launch import LaunchError


class Failures:
    """Pictures that could not be read and results that could not be written, told at the end."""

    def __init__(self, program: str) -> None:
        self.program = program
        self.found: list[str] = []

    def add(self, name: str, error: Exception) -> None:
        """Remember one; an ``on_broken`` of the inferencer."""
        message = str(error)
        self.found.append(message if name in message else f'{name}: {message}')

    def report(self) -> int:
        """Print them, and return the exit code."""
        if not self.found:
            return 0
        count = len(self.found)
        print(f'{self.program}: {count} pictures or results were left out:', file=sys.stderr)
        for message in self.found:
            print(f'  {message}', file=sys.stderr)
        return 1

    def write(self, name: str, path: str, write: Callable[..., Any], *values: Any) -> None:
        """``write(path, *values)`` in its folder.

        A name that the disk does not take is a failure, and so is a picture to draw on that can no
        longer be read.

        Raises:
            OSError: The disk is full, or the like.
        """
        try:
            os.makedirs(os.path.dirname(path) or '.', exist_ok=True)
            write(path, *values)
        except OSError as error:
            named = error.errno in (errno.ENAMETOOLONG, errno.EILSEQ)
            if not named and not isinstance(error, BrokenImageError):
                raise
            self.add(name, error)


def list_inputs(paths: Sequence[str]) -> dict[str, str]:
    """Pictures of files and folders, each with its name below the output folder.

    A file keeps its name, a picture in a folder its path below that folder.

    Raises:
        LaunchError: A path does not exist, or a folder holds no picture.
    """
    found: dict[str, str] = {}
    for path in paths:
        if os.path.isdir(path):
            try:
                pictures = folder_pictures(path)
            except (ValueError, OSError) as error:
                raise LaunchError(str(error)) from None
            found.update({picture: os.path.relpath(picture, path) for picture in pictures})
        elif os.path.lexists(path):
            found[path] = os.path.basename(path)
        else:
            raise LaunchError(f'there is no picture or folder {path}')
    return found


def list_pictures(paths: Sequence[str]) -> list[str]:
    """Every picture of :func:`list_inputs`, as often as it is named."""
    return [picture for path in paths for picture in list_inputs([path])]


def plan_outputs(
    inputs: dict[str, str],
    out: str,
    ending: str,
    *,
    folders: Iterable[str] = (),
    protected: Iterable[str] = (),
    keep_extension: bool = False,
    force: bool = False,
    skip_existing: bool = False,
) -> dict[str, str]:
    """The file for the result of each picture.

    Args:
        inputs: Pictures and their names, as :func:`list_inputs` gives them.
        out: The output folder.
        ending: Replaces the name's extension, e.g. '.png'.
        folders: Input folders, which may not hold ``out``: the next run would take results for
            pictures.
        protected: Further files that must not be overwritten.
        keep_extension: Append ``ending`` to the whole name instead.
        force: Overwrite results of an earlier run.
        skip_existing: Leave out pictures whose result exists.

    Raises:
        LaunchError: Results would overwrite each other, an input or, without ``force``, anything
            at all.
    """
    for folder in folders:
        if os.path.isdir(folder) and _is_below(out, folder):
            raise LaunchError(
                f'results in {out} would lie in the folder of pictures {folder}, so that the next '
                'run would take them for pictures: give another folder'
            )
    planned: dict[str, str] = {}
    for picture, name in inputs.items():
        # PurePath.suffix, so that the name .png is no extension.
        stem = name if keep_extension else name[: len(name) - len(PurePath(name).suffix)]
        planned[picture] = os.path.join(out, stem + ending)
    _check_distinct(planned)
    own = {os.path.realpath(path) for path in (*inputs, *protected)}
    for picture, path in planned.items():
        if os.path.realpath(path) in own:
            raise LaunchError(
                f'the result for {picture} would overwrite the input {path}: give another folder'
            )
    existing = [path for path in planned.values() if os.path.lexists(path)]
    if skip_existing:
        planned = {k: path for k, path in planned.items() if not os.path.lexists(path)}
    elif existing and not force:
        raise LaunchError(
            f'{len(existing)} results exist already, the first is {existing[0]}: give another '
            'folder, --force to overwrite them, or (encode, transfer-labels) --skip-existing'
        )
    return planned


def check_file(
    path: str, endings: Sequence[str], *, force: bool = False, protected: Iterable[str] = ()
) -> None:
    """Make sure that one output file can be written.

    Raises:
        LaunchError: It has another ending, is an input, or exists and ``force`` is not given.
    """
    if not path.lower().endswith(tuple(endings)):
        raise LaunchError(f'{path}: the name must end in {" or ".join(endings)}')
    if os.path.isdir(path):
        raise LaunchError(f'{path} is a folder: give the name of a file')
    if os.path.realpath(path) in {os.path.realpath(other) for other in protected}:
        raise LaunchError(f'{path} is an input: give another name')
    if os.path.lexists(path) and not force:
        raise LaunchError(f'{path} exists already: give another name, or --force to overwrite it')
    prepare_folder(os.path.dirname(path) or '.')


def check_distinct_folders(names: Iterable[str], *folders: str | None) -> None:
    """Raise LaunchError if results of two kinds, with one ending, would be the same file.

    So they would in one folder, and in ``look`` and ``look/sub`` for pictures ``sub/a`` and ``a``.

    Args:
        names: Of the pictures, as :func:`list_inputs` gives them.
        folders: One for each kind, or None where it is not asked for.
    """
    stems = [os.path.splitext(name)[0] for name in names]
    owners: dict[str, int] = {}
    for number, folder in enumerate(folders):
        if folder is None:
            continue
        root = os.path.realpath(folder)
        for path in (os.path.normpath(os.path.join(root, stem)) for stem in stems):
            other = owners.setdefault(path, number)
            if other != number:
                raise LaunchError(
                    f'results in {folders[other]} and in {folder} would both be {path}: each kind '
                    'of result needs its own folder'
                )


def prepare_folder(folder: str) -> None:
    """Create a folder if need be, and make sure that files can be written there.

    Raises:
        LaunchError: They cannot; says why.
    """
    try:
        os.makedirs(folder, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise LaunchError(f'cannot write into {folder}: {error.strerror or error}') from None


def write_png(path: str, image: np.ndarray) -> None:
    """Write (H, W, 3) uint8 RGB, complete or not at all."""
    with atomic_file(path) as file:
        Image.fromarray(image).save(file, 'PNG')


def write_npz(path: str, arrays: dict[str, Any]) -> None:
    """Write named arrays, complete or not at all; they load with ``allow_pickle=False``."""
    with atomic_file(path) as file:
        np.savez_compressed(file, **arrays)


def _check_distinct(planned: dict[str, str]) -> None:
    owners: dict[str, str] = {}
    for picture, path in planned.items():
        other = owners.setdefault(os.path.normpath(path), picture)
        if other != picture:
            raise LaunchError(
                f'the results for {other} and {picture} would both be {path}: give '
                '--keep-extension (a.jpg becomes a.jpg.png) if only their extensions differ, or '
                'run each folder by itself'
            )


def _is_below(path: str, folder: str) -> bool:
    inner, outer = os.path.realpath(path), os.path.realpath(folder)
    return inner == outer or inner.startswith(os.path.join(outer, ''))
