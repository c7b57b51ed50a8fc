"""LabelledFolder: images with masks or key points of your own."""

from __future__ import annotations

import os
from collections.abc import Sequence
from os.path import exists
from pathlib import PurePosixPath

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
        label_dir: Folder of the masks, if there are any.
        classes: Names of the classes, the background first. Needed with ``label_dir``.
        palette: RGB color in 0..255 of each class. Default: PASCAL VOC's.
        ignore_index: Mask value of void pixels, which count nowhere.
        keypoints: File of the key points, see
            :func:`~mmcoordgan.datasets.keypoint_files.read_keypoints`.
        indices: Take these positions of the sorted images, in this order, references first; or so
            many from the start. None takes all.
        allow_missing: Accept images without a mask or key points.
        pipeline: Default: read the image and pack it with its labels.

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
            palette = palette or default_palette(len(self.classes)).tolist()
            palette = [list(color) for color in palette]
            self.METAINFO.update(classes=self.classes, palette=palette, ignore_index=ignore_index)
        self.names = choose(list_images(self.img_dir), indices, f'LabelledFolder {self.img_dir}')
        self.points: dict[str, np.ndarray] | None = None
        if keypoints is not None:
            self.points = read_keypoints(os.path.join(self.data_root, keypoints))
        if not allow_missing:
            self._check_complete(keypoints)

    def __len__(self) -> int:
        return len(self.names)

    def get_data_info(self, index: int) -> dict:
        name = self.names[index]
        path = os.path.join(self.img_dir, name)
        info: dict = {'img_path': path, 'sample_idx': index}
        mask = self._mask_path(name)
        if self.label_dir and exists(mask):
            labels, _ = read_labels(mask, len(self.classes), self.ignore_index)
            check_size(labels, f'mask {mask}', path, image_shape(path))
            info['gt_seg_map'] = labels
            info['num_classes'] = len(self.classes)
            info['ignore_index'] = self.ignore_index
        if self.points is not None and name in self.points:
            height, width = image_shape(path)
            info['gt_points'] = (self.points[name] + 0.5) / np.array([width, height], np.float32)
        return info

    def _mask_path(self, name: str) -> str:
        return os.path.join(self.label_dir or '', str(PurePosixPath(name).with_suffix('.png')))

    def _check_complete(self, keypoints: str | None) -> None:
        """Raise FileNotFoundError if an image has no mask or no key points."""
        no_mask = [n for n in self.names if self.label_dir and not exists(self._mask_path(n))]
        no_points = [n for n in self.names if self.points is not None and n not in self.points]
        for what, names in (
            (f'mask in {self.label_dir} (a PNG of the same name)', no_mask),
            (f'key points in {keypoints}', no_points),
        ):
            if names:
                raise FileNotFoundError(
                    f'{len(names)} of {len(self)} images have no {what}: {", ".join(names[:3])}. '
                    'Set allow_missing=True where references alone are labelled'
                )
