"""CelebAMask-HQ: faces with masks of their parts."""

from __future__ import annotations

import os
import re

import numpy as np

from mmcoordgan.registry import DATASETS

from .base import Pipeline, PipelineDataset
from .label_files import check_labels, check_size, default_palette, read_mask
from .loading import grey_levels, open_image

MASKS_PER_FOLDER = 2000
PNG_CLASSES_KEY = 'mmcoordgan:num_classes'
"""Key of the text chunk in packed label PNGs with the number of classes."""
CLASSES = {
    7: ('background', 'mouth', 'eye', 'brow', 'ear', 'nose', 'face'),
    19: (
        *('background', 'skin', 'nose', 'eye_g', 'l_eye', 'r_eye', 'l_brow', 'r_brow', 'l_ear'),
        *('r_ear', 'mouth', 'u_lip', 'l_lip', 'hair', 'hat', 'ear_r', 'neck_l', 'neck', 'cloth'),
    ),
}
# What is painted as which class, in this order: later parts cover earlier ones.
PAINT = {
    7: {
        **{'skin': 6, 'u_lip': 1, 'l_lip': 1, 'l_eye': 2, 'r_eye': 2, 'l_brow': 3, 'r_brow': 3},
        **{'l_ear': 4, 'r_ear': 4, 'nose': 5, 'mouth': 1},
    },
    19: {part: label for label, part in enumerate(CLASSES[19]) if label > 0},
}
BENCHMARK = (1, 3, 5, 6, 8, *range(100, 200))
SUBSETS = {'benchmark': BENCHMARK, 'validation': (*BENCHMARK[:5], *range(200, 300))}


def mask_path(mask_dir: str, number: int, part: str) -> str:
    """Path of CelebAMask-HQ's mask of one part of image ``number``."""
    return os.path.join(mask_dir, str(number // MASKS_PER_FOLDER), f'{number:05d}_{part}.png')


def paint_labels(mask_dir: str, number: int, num_classes: int) -> np.ndarray:
    """Labels (H, W) uint8 of image ``number`` from the masks of its parts in ``mask_dir``.

    Parts without a file are absent; FileNotFoundError if all are. ``num_classes`` is 7 or 19.
    """
    labels: np.ndarray | None = None
    paint = PAINT[num_classes]
    for part in dict.fromkeys([*paint, *PAINT[19]]):
        path = mask_path(mask_dir, number, part)
        # A part that is not painted gives the size, if no other does.
        if not os.path.lexists(path) or (part not in paint and labels is not None):
            continue
        with open_image(path, what='mask') as image:
            grey = grey_levels(image) if image.mode[0] == 'I' else np.array(image.convert('L'))
        mask = grey > 127
        if labels is None:
            labels = np.zeros(mask.shape, np.uint8)
        check_size(mask, f'mask {path}', 'another mask of the image', labels.shape)
        labels[mask] = paint.get(part, 0)
    if labels is None:
        raise FileNotFoundError(
            f'image {number} has no mask at all: no {mask_path(mask_dir, number, "*")}'
        )
    return labels


def read_packed_labels(path: str, num_classes: int) -> np.ndarray:
    """Labels (H, W) uint8 from one PNG of ``tools/dataset_converters/celebamask_hq.py``.

    ValueError: it holds other labels, or was packed for another number of classes.
    """
    if not os.path.lexists(path):
        raise FileNotFoundError(
            f'no packed labels {path}: run tools/dataset_converters/celebamask_hq.py'
        )
    labels, _, texts = read_mask(path)
    packed_for = texts.get(PNG_CLASSES_KEY, str(num_classes))
    if packed_for != str(num_classes):
        raise ValueError(f'{path} holds labels of {packed_for} classes, not {num_classes}')
    check_labels(labels, f'mask {path}', num_classes)
    return labels.astype(np.uint8)


def list_numbered_images(folder: str) -> list[str]:
    """Names ``<number>.jpg`` (or .png) in a folder, sorted lexicographically."""
    names = sorted(name for name in os.listdir(folder) if re.fullmatch(r'\d+\.(jpg|png)', name))
    if not names:
        raise ValueError(f"the folder '{folder}' holds no images named <number>.jpg")
    return names


@DATASETS.register_module()
class CelebAMaskHQ(PipelineDataset):
    """CelebAMask-HQ, in **lexicographic** order of the file names: 0.jpg, 1.jpg, 10.jpg, ...

    ``get_data_info`` returns ``img_path``, ``sample_idx``, ``num_classes`` and ``gt_seg_map``
    (H, W) uint8 at the masks' own size (512 x 512). Later parts cover earlier ones (``PAINT``);
    with 7 classes, hair, glasses and clothes are not painted.

    Args:
        data_root: Folder that holds CelebA-HQ-img and CelebAMask-HQ-mask-anno.
        num_classes: 7 (CoordGAN's benchmark) or 19 (all parts).
        subset: 'all', 'benchmark' (five references, at the positions 1, 3, 5, 6, 8 of the list,
            then 100 queries, 100 to 199) or 'validation' (the references, then 200 to 299).
        pipeline: See :class:`~mmcoordgan.datasets.base.PipelineDataset`.
        label_dir: Folder with one packed label PNG per image; read instead of the masks.

    Raises:
        FileNotFoundError: A folder is missing; from indexing, an image has no labels.
        ValueError: There are too few images for ``subset``.
    """

    def __init__(
        self,
        *,
        data_root: str,
        num_classes: int = 7,
        subset: str = 'all',
        pipeline: Pipeline | None = None,
        label_dir: str | None = None,
    ) -> None:
        super().__init__(pipeline=pipeline)
        self.num_classes = num_classes
        self.METAINFO = dict(
            dataset_name='celebamask_hq',
            classes=CLASSES[num_classes],
            palette=default_palette(num_classes).tolist(),
        )
        self.data_root = self._folder('data_root', data_root)
        self.img_dir = self._folder('data_root', data_root, 'CelebA-HQ-img')
        self.label_dir = label_dir and self._folder('label_dir', data_root, label_dir)
        self.mask_dir = os.path.join(data_root, 'CelebAMask-HQ-mask-anno')
        self.names = list_numbered_images(self.img_dir)
        if subset != 'all':
            positions = SUBSETS[subset]
            if len(self.names) <= positions[-1]:
                raise ValueError(
                    f'subset={subset!r} needs at least {positions[-1] + 1} images, but '
                    f"'{self.img_dir}' holds {len(self.names)}"
                )
            self.names = [self.names[position] for position in positions]

    def __len__(self) -> int:
        return len(self.names)

    def get_data_info(self, index: int) -> dict:
        number = int(os.path.splitext(self.names[index])[0])
        if self.label_dir:
            path = os.path.join(self.label_dir, f'{number}.png')
            labels = read_packed_labels(path, self.num_classes)
        else:
            labels = paint_labels(self.mask_dir, number, self.num_classes)
        return dict(
            img_path=os.path.join(self.img_dir, self.names[index]),
            sample_idx=index,
            num_classes=self.num_classes,
            gt_seg_map=labels,
        )
