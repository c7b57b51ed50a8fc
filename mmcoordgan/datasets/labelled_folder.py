"""LabelledFolder: images with masks or key points of your own."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mmcoordgan.registry import DATASETS

from .base import Pipeline, PipelineDataset, choose
from .image_folder import list_images
from .keypoint_files import read_keypoints
from .label_files import check_size, default_palette, read_labels
from .loading import image_shape


@DATASETS.register_module()
class LabelledFolder(PipelineDataset):
    """Images in a folder, with masks, key points or both.

    Images are sorted by their relative paths. The mask of ``a/b.jpg`` is ``a/b.png`` in
    ``label_dir``: a palette or grey PNG of the image's size whose pixel values are the classes.
    ``get_data_info`` returns ``img_path``, ``sample_idx`` and, where the image has them,

    * ``gt_seg_map`` (H, W) uint8 or int64, with ``num_classes`` and ``ignore_index``;
    * ``gt_points`` (K, 2) float32: key points (x, y) in fractions of the image's width and height;
      (0, 0) is the outer corner of the top left pixel. NaN: not visible.

    Args:
        data_root: Folder that holds the other paths.
        img_dir: Folder of the images.
        label_dir: Folder of the masks; needs ``classes``.
        classes: Names of the classes, the background first.
        palette: RGB color in 0..255 of each class. Default: PASCAL VOC's.
        ignore_index: Mask value of void pixels, which count nowhere.
        keypoints: File of the key points, see
            :func:`~mmcoordgan.datasets.keypoint_files.read_keypoints`.
        indices: Positions of the images to take, references first, or how many from the start.
        allow_missing: Accept images without a mask or key points.
        pipeline: See :class:`~mmcoordgan.datasets.base.PipelineDataset`.

    Raises:
        FileNotFoundError: A folder or file is missing, or images have no mask or key points.
        ValueError: There are no images. From indexing: a mask has another size than its image, or
            a value that is no class.
        OSError: From indexing: a mask cannot be read.
    """

    def __init__(
        self,
        *,
        data_root: str,
        img_dir: str = 'images',
        label_dir: str | None = None,
        classes: Sequence[str] | None = None,
        palette: Sequence[Sequence[int]] | None = None,
        ignore_index: int | None = None,
        keypoints: str | None = None,
        indices: int | Sequence[int] | None = None,
        allow_missing: bool = False,
        pipeline: Pipeline | None = None,
    ) -> None:
        super().__init__(pipeline=pipeline)
        if label_dir is not None and (classes is None or len(classes) < 2):
            raise ValueError('LabelledFolder: label_dir needs classes, the background first')
        self.data_root = self._folder('data_root', data_root)
        self.img_dir = self._folder('img_dir', data_root, img_dir)
        self.label_dir = label_dir and self._folder('label_dir', data_root, label_dir)
        self.classes = tuple(classes or ())
        self.ignore_index = ignore_index
        self.METAINFO = {'dataset_name': 'labelled_folder'}
        if self.classes:
            colors = palette or default_palette(len(self.classes)).tolist()
            self.METAINFO.update(
                classes=self.classes, palette=[*map(list, colors)], ignore_index=ignore_index
            )
        self.names = choose(list_images(self.img_dir), indices, f'LabelledFolder {self.img_dir}')
        self.masks: dict[str, str] = {}
        if self.label_dir:
            paths = [Path(self.label_dir, name).with_suffix('.png') for name in self.names]
            self.masks = {name: str(path) for name, path in zip(self.names, paths) if path.exists()}
        self.points: dict[str, np.ndarray] = {}
        if keypoints is not None:
            self.points = read_keypoints(os.path.join(self.data_root, keypoints))
        for what, source, found in (
            ('mask in {} (a PNG of the same name)', self.label_dir, self.masks),
            ('key points in {}', keypoints, self.points),
        ):
            missing = [name for name in self.names if name not in found]
            if source and missing and not allow_missing:
                raise FileNotFoundError(
                    f'{len(missing)} of {len(self)} images have no {what.format(source)}: '
                    f'{", ".join(missing[:3])}. Set allow_missing=True where references alone are '
                    'labelled'
                )

    def __len__(self) -> int:
        return len(self.names)

    def get_data_info(self, index: int) -> dict:
        name = self.names[index]
        path = os.path.join(self.img_dir, name)
        info: dict = {'img_path': path, 'sample_idx': index}
        if mask := self.masks.get(name):
            labels, _ = read_labels(mask, len(self.classes), self.ignore_index)
            check_size(labels, f'mask {mask}', path, image_shape(path))
            info['gt_seg_map'] = labels
            info['num_classes'] = len(self.classes)
            info['ignore_index'] = self.ignore_index
        if name in self.points:
            height, width = image_shape(path)
            info['gt_points'] = (self.points[name] + 0.5) / np.array([width, height], np.float32)
        return info
