"""The annotated faces and cars of DatasetGAN."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

import numpy as np

from mmcoordgan.registry import DATASETS

from .base import PipelineDataset, Transform
from .image_folder import check_folder
from .loading import LoadImage, check_regular
from .transforms import PackInputs

CLASSES = {
    'face-34': (
        *('background', 'head', 'cheek', 'chin', 'ear', 'ear helix', 'ear lobule', 'bottom lid'),
        *('eyelashes', 'iris', 'pupil', 'sclera', 'tear duct', 'top lid', 'eyebrow', 'forehead'),
        *('frown', 'hair', 'sideburns', 'jaw', 'moustache', 'inferior lip', 'oral commissure'),
        *('superior lip', 'teeth', 'neck', 'nose', 'ala of nose', 'nose bridge', 'nose tip'),
        *('nostril', 'philtrum', 'temple', 'wrinkles'),
    ),
    'car-20': (
        *('background', 'back bumper', 'bumper', 'car body', 'car lights', 'door', 'fender'),
        *('grilles', 'handles', 'hoods', 'license plate', 'mirror', 'roof', 'running boards'),
        *('tail light', 'tire', 'trunk lids', 'wheel hub', 'window', 'windshield'),
    ),
}
FOLDERS = {
    'face-34': ('our_train/face_processed', 'our_test/face_34_class'),
    'car-20': ('our_train/car_processed', 'our_test/car_20_class'),
}


def list_pairs(folder: str) -> list[tuple[str, str]]:
    """Pairs (``image_<i>.jpg``, ``image_mask<i>.npy``), sorted by the image's name.

    Raises:
        ValueError: If an image has no mask or a mask no image, or if there are no pairs.
    """
    found: dict[str, dict[str, str]] = {'image': {}, 'mask': {}}
    for name in sorted(os.listdir(folder)):
        match = re.fullmatch(r'image_(\d+)\.(?:jpg|jpeg|png)|image_mask(\d+)\.npy', name)
        if match is None:
            continue
        of_kind, number = found['image' if match[1] else 'mask'], match[1] or match[2]
        if number in of_kind:
            raise ValueError(
                f"two images have the number {number} in '{folder}': {of_kind[number]}, {name}"
            )
        of_kind[number] = name
    images, masks = found['image'], found['mask']
    alone = [images[number] for number in images if number not in masks]
    alone += [masks[number] for number in masks if number not in images]
    if alone:
        raise ValueError(
            f"images and masks of '{folder}' do not pair: without a partner are "
            f'{", ".join(alone[:10])}{", ..." if len(alone) > 10 else ""}. image_<i>.jpg goes with '
            'image_mask<i>.npy'
        )
    if not images:
        raise ValueError(f"the folder '{folder}' holds no pairs image_<i>.jpg, image_mask<i>.npy")
    return [(images[number], masks[number]) for number in images]


def read_mask(path: str, num_classes: int) -> np.ndarray:
    """Labels from a .npy file; pickled objects are refused.

    Returns:
        (H, W) int64, in 0..num_classes-1.

    Raises:
        OSError: If the file cannot be read as a plain array.
        ValueError: If the array is not (H, W) integer or holds other labels.
    """
    try:
        check_regular(path)
        # Mapped, so that a header which claims a huge array sets no memory aside.
        labels = np.load(path, mmap_mode='r', allow_pickle=False)
    except Exception as error:
        raise OSError(f'cannot read mask {path}: {type(error).__name__}: {error}') from error
    if not isinstance(labels, np.ndarray) or labels.ndim != 2 or labels.dtype.kind not in 'iu':
        raise ValueError(f'mask {path} is no (H, W) array of integers')
    if labels.size == 0 or labels.min() < 0 or labels.max() >= num_classes:
        found = f'{labels.min()}..{labels.max()}' if labels.size else 'nothing'
        raise ValueError(f'mask {path} must hold labels 0..{num_classes - 1}, found {found}')
    return labels.astype(np.int64)


@DATASETS.register_module()
class DatasetGANSegmentation(PipelineDataset):
    """DatasetGAN's annotated images: training folder first, then test folder.

    Within each folder the order is **lexicographic**: image_0, image_1, image_10, ..., image_2.
    The first five samples are the references of CoordGAN's benchmark, the others its queries.
    ``get_data_info`` returns ``img_path``, ``sample_idx``, ``num_classes`` and ``gt_seg_map``
    (H, W) int64 at the mask's own size, which ``ResizeWithSoftLabels`` brings to the model's.

    Args:
        data_root: Folder that holds ``folders``.
        subset: 'face-34' or 'car-20'.
        pipeline: Transforms; the default reads the image and packs it with its labels, which must
            have the same size.
        folders: Folders below ``data_root``, in order; the default is the training and the test
            folder of ``subset``.

    Raises:
        FileNotFoundError: If a folder is missing.
        ValueError: If ``subset`` is unknown, or if images and masks of a folder do not pair.
    """

    def __init__(
        self,
        *,
        data_root: str,
        subset: str = 'face-34',
        pipeline: Sequence[Transform] | None = None,
        folders: Sequence[str] | None = None,
    ) -> None:
        if subset not in CLASSES:
            raise ValueError(f"subset must be 'face-34' or 'car-20', got {subset!r}")
        super().__init__(pipeline=[LoadImage(), PackInputs()] if pipeline is None else pipeline)
        self.data_root = str(data_root)
        check_folder(self.data_root, key='data_root', dataset='DatasetGANSegmentation')
        self.subset = subset
        self.num_classes = len(CLASSES[subset])
        self.pairs: list[tuple[str, str]] = []
        for name in FOLDERS[subset] if folders is None else folders:
            folder = os.path.join(data_root, name)
            check_folder(folder, key='folders', dataset='DatasetGANSegmentation')
            self.pairs += [
                (os.path.join(folder, image), os.path.join(folder, mask))
                for image, mask in list_pairs(folder)
            ]

    @property
    def metainfo(self) -> dict:
        """``dataset_name``, ``classes`` and ``palette`` in plain Python types."""
        # Multiples of the golden ratio on the color circle; the background is black.
        hues = [0.618034 * label % 1 for label in range(self.num_classes)]
        palette = [
            [round(127 + 127 * np.cos(6.2832 * (h - k / 3))) for k in range(3)] for h in hues
        ]
        return {
            'dataset_name': f'datasetgan_{self.subset}',
            'classes': CLASSES[self.subset],
            'palette': [[0, 0, 0], *palette[1:]],
        }

    def __len__(self) -> int:
        return len(self.pairs)

    def get_data_info(self, index: int) -> dict:
        """The dict that enters the pipeline for sample ``index``."""
        index = self._checked(index)
        image, mask = self.pairs[index]
        return {
            'img_path': image,
            'sample_idx': index,
            'num_classes': self.num_classes,
            'gt_seg_map': read_mask(mask, self.num_classes),
        }
