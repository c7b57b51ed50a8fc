"""The annotated faces and cars of DatasetGAN."""

from __future__ import annotations

import os
import re

from mmcoordgan.registry import DATASETS

from .base import Pipeline, PipelineDataset
from .label_files import default_palette, read_labels

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
    """Paths of pairs (``image_<i>.jpg``, ``image_mask<i>.npy``), sorted by the image's name."""
    images: dict[str, str] = {}
    masks: dict[str, str] = {}
    for name in sorted(os.listdir(folder)):
        if match := re.fullmatch(r'image_(\d+)\.(?:jpg|jpeg|png)', name):
            images[match[1]] = os.path.join(folder, name)
        elif match := re.fullmatch(r'image_mask(\d+)\.npy', name):
            masks[match[1]] = os.path.join(folder, name)
    alone = sorted(images.keys() ^ masks.keys())
    if alone or not images:
        raise ValueError(
            f"the folder '{folder}' must hold pairs image_<i>.jpg, image_mask<i>.npy; without a "
            f'partner are the numbers {", ".join(alone[:10]) or "of no image"}'
        )
    return [(image, masks[number]) for number, image in images.items()]


@DATASETS.register_module()
class DatasetGANSegmentation(PipelineDataset):
    """DatasetGAN's annotated images: training folder first, then test folder.

    Within each folder the order is **lexicographic**: image_0, image_1, image_10, ..., image_2.
    The first five samples are the references of CoordGAN's benchmark, the others its queries.
    ``get_data_info`` returns ``img_path``, ``sample_idx``, ``num_classes`` and ``gt_seg_map``
    (H, W) uint8 at the mask's own size.

    Args:
        data_root: Folder that holds our_train and our_test.
        subset: 'face-34' or 'car-20'.
        pipeline: See :class:`~mmcoordgan.datasets.base.PipelineDataset`.

    FileNotFoundError: a folder is missing. ValueError: images and masks of a folder do not pair.
    """

    def __init__(
        self, *, data_root: str, subset: str = 'face-34', pipeline: Pipeline | None = None
    ) -> None:
        super().__init__(pipeline=pipeline)
        self.data_root = self._folder('data_root', data_root)
        self.num_classes = len(CLASSES[subset])
        self.METAINFO = dict(
            dataset_name=f'datasetgan_{subset}',
            classes=CLASSES[subset],
            palette=default_palette(self.num_classes).tolist(),
        )
        self.pairs: list[tuple[str, str]] = []
        for name in FOLDERS[subset]:
            self.pairs += list_pairs(self._folder('data_root', data_root, name))

    def __len__(self) -> int:
        return len(self.pairs)

    def get_data_info(self, index: int) -> dict:
        image, mask = self.pairs[index]
        return dict(
            img_path=image,
            sample_idx=index,
            num_classes=self.num_classes,
            gt_seg_map=read_labels(mask, self.num_classes)[0],
        )
