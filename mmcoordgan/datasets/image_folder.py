"""ImageFolder: every image below a folder, without labels."""

from __future__ import annotations

import heapq
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mmengine.logging import MMLogger

from mmcoordgan.errors import UserError
from mmcoordgan.registry import DATASETS

from .base import PipelineDataset, Transform, choose
from .loading import BrokenImageError

IMAGE_EXTENSIONS = ('.jpg', '.jpeg', '.png', '.webp', '.bmp')


def check_folder(folder: str, *, key: str, dataset: str) -> str:
    """Return ``folder``, or explain which config key names a folder that is missing."""
    if not os.path.isdir(folder):
        found = 'is a file' if os.path.exists(folder) else 'does not exist'
        raise FileNotFoundError(
            f"the folder '{folder}' {found}. It comes from {key} of {dataset} in the config: "
            'set it to your data, for example with --cfg-options'
        )
    return folder


def _walk(root: str) -> Iterator[str]:
    """Relative paths of all files below ``root``, in no particular order.

    Every folder is entered once. Links to folders wait until all others are listed, so that a
    folder keeps its own name where links lead to it as well, and loops of links end.
    """
    entered: set[tuple[int, int]] = set()
    folders: list[str] = ['']
    links: list[str] = []
    while folders or links:
        prefix = folders.pop() if folders else heapq.heappop(links)
        status = os.stat(os.path.join(root, prefix))
        if (status.st_dev, status.st_ino) in entered:
            continue
        entered.add((status.st_dev, status.st_ino))
        with os.scandir(os.path.join(root, prefix)) as entries:
            for entry in entries:
                if entry.name.startswith('.'):
                    continue
                try:
                    is_folder = entry.is_dir()
                except OSError:  # a circle of links
                    is_folder = False
                if not is_folder:
                    yield prefix + entry.name
                elif entry.is_symlink():
                    heapq.heappush(links, f'{prefix}{entry.name}/')
                else:
                    folders.append(f'{prefix}{entry.name}/')


def list_images(folder: str, extensions: Sequence[str] = IMAGE_EXTENSIONS) -> list[str]:
    """Relative POSIX paths of the images below ``folder``, sorted; see :class:`ImageFolder`."""
    allowed = tuple(extension.lower() for extension in extensions)
    return sorted(path for path in _walk(folder) if path.lower().endswith(allowed))


@DATASETS.register_module()
class ImageFolder(PipelineDataset):
    """All images below a folder, in lexicographic order of their relative paths.

    Folders are listed once, at construction. Links are followed, but every folder counts once;
    hidden files are left out. ``get_data_info`` returns ``img_path`` and ``sample_idx``.

    Args:
        data_root: The folder.
        pipeline: Transforms; the default reads the image and packs it at its own size.
        extensions: File name endings that count as images, in any case.
        indices: Take that many images from the start, or those at these positions, in this order.
        on_broken: 'error' raises BrokenImageError for an unreadable image, 'skip' logs a warning
            and takes the next readable image instead.

    Raises:
        FileNotFoundError: If ``data_root`` is not a folder.
        UserError: If it holds no image.
    """

    METAINFO = {'dataset_name': 'image_folder'}

    def __init__(
        self,
        *,
        data_root: str,
        pipeline: Sequence[Transform] | None = None,
        extensions: Sequence[str] = IMAGE_EXTENSIONS,
        indices: int | Sequence[int] | None = None,
        on_broken: str = 'error',
    ) -> None:
        if on_broken not in ('error', 'skip'):
            raise ValueError(f"on_broken must be 'error' or 'skip', got {on_broken!r}")
        super().__init__(pipeline=pipeline)
        self.data_root = check_folder(str(data_root), key='data_root', dataset='ImageFolder')
        self.on_broken = on_broken
        self.paths = list_images(self.data_root, extensions)
        if not self.paths:
            raise UserError(
                f"the folder '{data_root}' (data_root of ImageFolder) and its subfolders hold no "
                f'file that ends in {", ".join(extensions)}'
            )
        self.paths = choose(self.paths, indices, 'ImageFolder')
        self._broken: set[int] = set()

    def __len__(self) -> int:
        return len(self.paths)

    def get_data_info(self, index: int) -> dict:
        return {'img_path': str(Path(self.data_root) / self.paths[index]), 'sample_idx': index}

    def __getitem__(self, index: int) -> Any:
        start = range(len(self))[index]
        for step in range(len(self)):
            current = (start + step) % len(self)
            if current in self._broken and self.on_broken == 'skip':
                continue
            try:
                return super().__getitem__(current)
            except OSError as error:
                message = str(error)
                if self.paths[current] not in message:
                    message = f'cannot read image {self.paths[current]}: {error}'
                if self.on_broken == 'error':
                    raise BrokenImageError(
                        f"{message}. Repair it, or set on_broken='skip'"
                    ) from error
                self._broken.add(current)
                logger = MMLogger.get_current_instance()
                logger.warning(f'{message}. Taking the next image instead')
        raise BrokenImageError(
            f"none of the {len(self)} images in '{self.data_root}' can be read; the first is "
            f'{self.paths[0]}'
        )
