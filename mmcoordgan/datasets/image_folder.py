"""ImageFolder: every image below a folder, without labels."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.logging import MMLogger

from mmcoordgan.errors import UserError
from mmcoordgan.registry import DATASETS

from .base import Pipeline, PipelineDataset, choose
from .loading import BrokenImageError

IMAGE_EXTENSIONS = ('.jpg', '.jpeg', '.png', '.webp', '.bmp')


def list_images(folder: str, extensions: Sequence[str] = IMAGE_EXTENSIONS) -> list[str]:
    """Relative POSIX paths of the images below ``folder``, sorted; see :class:`ImageFolder`."""

    def fail(error: OSError) -> None:
        raise error

    allowed = tuple(extension.lower() for extension in extensions)
    entered: set[tuple[int, int]] = set()
    found: list[str] = []
    links = [os.path.join(folder, '')]  # they wait, so that a folder keeps its own name
    while links:
        for place, folders, names in os.walk(links.pop(0), onerror=fail):
            status = os.stat(place)
            if (status.st_dev, status.st_ino) in entered:
                folders.clear()
                continue
            entered.add((status.st_dev, status.st_ino))
            folders[:] = sorted(name for name in folders if not name.startswith('.'))
            links += filter(os.path.islink, (os.path.join(place, name) for name in folders))
            images = (n for n in names if n.lower().endswith(allowed) and not n.startswith('.'))
            found += [os.path.join(place, name) for name in images]
    start = len(os.path.join(folder, ''))
    return sorted(path[start:].replace(os.sep, '/') for path in found)


@DATASETS.register_module()
class ImageFolder(PipelineDataset):
    """All images below a folder, in lexicographic order of their relative paths.

    Folders are listed once, at construction. Links are followed, but every folder counts once;
    hidden files are left out. ``get_data_info`` returns ``img_path`` and ``sample_idx``.

    Args:
        data_root: The folder.
        pipeline: See :class:`~mmcoordgan.datasets.base.PipelineDataset`.
        extensions: File name endings that count as images, in any case.
        indices: Take that many images from the start, or those at these positions, in this order.
        on_broken: 'error' raises BrokenImageError for an unreadable image, 'skip' logs a warning
            and takes the next readable image instead.

    FileNotFoundError: ``data_root`` is not a folder. UserError: it holds no image.
    """

    METAINFO = {'dataset_name': 'image_folder'}

    def __init__(
        self,
        *,
        data_root: str,
        pipeline: Pipeline | None = None,
        extensions: Sequence[str] = IMAGE_EXTENSIONS,
        indices: int | Sequence[int] | None = None,
        on_broken: str = 'error',
    ) -> None:
        if on_broken not in ('error', 'skip'):
            raise ValueError(f"on_broken must be 'error' or 'skip', got {on_broken!r}")
        super().__init__(pipeline=pipeline)
        self.data_root = self._folder('data_root', data_root)
        self.on_broken = on_broken
        found = list_images(self.data_root, extensions)
        if not found:
            raise UserError(
                f"the folder '{data_root}' (data_root of ImageFolder) and its subfolders hold no "
                f'file that ends in {", ".join(extensions)}'
            )
        self.paths = choose(found, indices, 'ImageFolder')
        self._broken: set[int] = set()

    def __len__(self) -> int:
        return len(self.paths)

    def get_data_info(self, index: int) -> dict:
        return {'img_path': str(Path(self.data_root) / self.paths[index]), 'sample_idx': index}

    def __getitem__(self, index: int) -> Any:
        start = range(len(self))[index]
        for step in range(len(self)):
            current = (start + step) % len(self)
            if current in self._broken:
                continue
            try:
                return super().__getitem__(current)
            except OSError as error:
                message = f'{self.paths[current]}: {error}.'
                if self.on_broken == 'error':
                    message += " Repair it, or set on_broken='skip'"
                    raise BrokenImageError(message) from error
                self._broken.add(current)
                message += f' Taking the next image instead; {len(self._broken)} broken so far'
                MMLogger.get_current_instance().warning(message)
        raise BrokenImageError(f"none of the {len(self)} images in '{self.data_root}' can be read")
