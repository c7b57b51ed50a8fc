"""Where results of command-line tools go, checked before anything is computed."""

from __future__ import annotations

import errno
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mmcoordgan.apis.domain import Domain
from mmcoordgan.apis.images import EXTENSIONS, folder_images
from mmcoordgan.datasets import BrokenImageError, image_folder
from mmcoordgan.errors import UserError, printable
from mmcoordgan.io.files import atomic_file
from mmcoordgan.io.tables import add_rows, read_rows


def list_images(paths: Iterable[str]) -> list[str]:
    """Images of files and folders, with all below; says which other files folders hold."""
    found: list[str] = []
    for path in paths:
        if os.path.isdir(path):
            note_skipped(path)
            found += folder_images(path)
        elif os.path.lexists(path):
            found.append(path)
        else:
            raise UserError(f'there is no image or folder {path}')
    return found


def note_skipped(folder: str) -> None:
    """Say which files of a folder are not read as images, such as HEIC."""
    files = image_folder.list_images(folder, ('',)) if os.path.isdir(folder) else ()
    others = (path for path in files if not path.lower().endswith(EXTENSIONS))
    kinds = Counter(os.path.splitext(path)[1].lower() or 'no extension' for path in others)
    if kinds:
        listed = ', '.join(f'{count} {kind}' for kind, count in sorted(kinds.items()))
        print(printable(f'{folder}: not read as images: {listed}'), file=sys.stderr)


def name_results(paths: Sequence[str]) -> dict[str, str]:
    """Names for the results of the images in files and folders, without an extension.

    A file keeps its name, an image in a folder its path below that folder. Images whose names
    differ only in their extension keep it; the same name twice is a UserError.
    """
    names: dict[str, str] = {}
    for path in paths:
        root = path if os.path.isdir(path) else os.path.dirname(path) or '.'
        names.update({image: os.path.relpath(image, root) for image in list_images([path])})
    stems = Counter(os.path.splitext(name)[0] for name in names.values())
    owners: dict[str, str] = {}
    for image, name in names.items():
        stem = os.path.splitext(name)[0]
        result = stem if stems[stem] == 1 else name
        other = owners.setdefault(result, image)
        if other != image:
            raise UserError(f'{other} and {image} have the same name: run each folder by itself')
    return {image: result for result, image in owners.items()}


def make_folder(path: str) -> None:
    """Create a folder if it is not there; UserError says why nothing can be written into it."""
    try:
        os.makedirs(path, exist_ok=True)
        tempfile.TemporaryFile(dir=path).close()  # permissions do not tell
    except OSError as error:
        raise UserError(f'cannot write into {path}: {error.strerror or error}') from None


def check_file(
    path: str, endings: Sequence[str], *, force: bool = False, protected: Iterable[str] = ()
) -> None:
    """Make sure that a single output file can be written; UserError says why not."""
    if not path.lower().endswith(tuple(endings)):
        raise UserError(f'--out {path}: the name must end in {" or ".join(endings)}')
    if os.path.realpath(path) in {os.path.realpath(other) for other in protected}:
        raise UserError(f'{path} is an input: give another name')
    if os.path.lexists(path) and not force:
        raise UserError(f'{path} exists already: give another name, or --force to overwrite it')
    make_folder(os.path.dirname(path) or '.')


class OutputFolder:
    """The folder for the results of a run: ``root``, new or empty.

    ``force`` writes into one that holds something, over files of the same names; ``go_on`` adds to
    what it holds. ``inputs`` are files and folders that the run reads, away from the results.
    """

    def __init__(
        self, root: str, inputs: Iterable[str], force: bool = False, go_on: bool = False
    ) -> None:
        self.root, self.go_on = root, go_on
        self.failures: list[str] = []
        self.doubtful: list[str] = []
        self.written: set[str] = set()
        self.skipped = 0
        self.judged: set[str] = set()
        out = Path(os.path.realpath(root))
        for path in inputs:
            given = Path(os.path.realpath(path))
            if given.exists() and (out.is_relative_to(given) or given.is_relative_to(out)):
                raise UserError(f'{root} holds the input {path} or lies in it: give another folder')
        make_folder(root)
        if os.listdir(root) and not (force or go_on):
            raise UserError(f'{root} is not empty: give a new folder, or --force to write into it')
        if go_on:
            with suppress(OSError, ValueError):  # there may be none
                rows = read_rows(os.path.join(root, 'domain.csv'), ['picture'])
                self.judged.update(row['picture'] for row in rows)

    def still_to_do(self, names: Mapping[str, str], pattern: str) -> list[str]:
        """The images, keys of ``names``, whose results are not there; counts the others.

        ``pattern`` is the path of a result, with braces for the image's name: 'codes/{}.npz'.
        """

        def there(name: str) -> bool:
            return self.go_on and os.path.lexists(os.path.join(self.root, pattern.format(name)))

        left = [image for image, name in names.items() if not there(name)]
        self.skipped = len(names) - len(left)
        return left

    def fail(self, name: str, error: Exception) -> None:
        """Remember an image that could not be read, or a result that could not be written."""
        message = str(error)
        self.failures.append(message if name in message else f'{name}: {message}')

    def judge(self, image: str, domain: Domain) -> None:
        """Add an image to ``domain.csv``, once, and remember it if it is doubtful."""
        if image in self.judged:
            return
        self.judged.add(image)
        row = image, f'{domain.score:.4f}', f'{domain.percentile:.0f}', int(domain.doubtful)
        self.add('domain.csv', ('picture', 'score', 'percentile', 'doubtful'), [row])
        if domain.doubtful:
            self.doubtful.append(image)

    def add(self, name: str, columns: Sequence[str], rows: Iterable[Iterable]) -> None:
        """Add rows to a table, which replaces that of an earlier run unless this one goes on."""
        new = name not in self.written and not self.go_on
        add_rows(os.path.join(self.root, name), columns, rows, new)
        self.written.add(name)

    def save(self, image: str, name: str, made: Any, **options: Any) -> None:
        """Write a result of ``image``, complete or not at all.

        ``made`` are named arrays for a .npz, which loads with ``allow_pickle=False``; an image,
        (H, W, 3) uint8 RGB or of Pillow, saved with ``options``; or a function that reads images
        to draw one. A name that the disk does not take is a failure, and so is an image that can
        no longer be read; other errors are raised.
        """
        path = os.path.join(self.root, name)
        try:
            made = made() if callable(made) else made
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with atomic_file(path) as file:
                if isinstance(made, dict):
                    np.savez_compressed(file, **made)
                else:
                    drawn = made if isinstance(made, Image.Image) else Image.fromarray(made)
                    drawn.save(file, Path(name).suffix[1:], **options)
            self.written.add(name)
        except OSError as error:
            named = error.errno in (errno.ENAMETOOLONG, errno.EILSEQ)
            if not named and not isinstance(error, BrokenImageError):
                raise
            self.fail(image, error)

    def report(self, program: str) -> int:
        """Say what is doubtful and what was left out; returns the exit code."""
        for messages, what in (
            (self.doubtful, 'are unlike what the model knows: their results are doubtful'),
            (self.failures, 'or results were left out'),
        ):
            if messages:
                print(f'{program}: {len(messages)} images {what}:', file=sys.stderr)
            for message in messages:
                print(f'  {printable(message)}', file=sys.stderr)
        return int(bool(self.failures))
