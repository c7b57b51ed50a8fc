"""Crop faces as FFHQ aligns them, and find in images what was found in their crops."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Callable, NamedTuple

import cv2
import numpy as np
from torch import Tensor

from mmcoordgan.datasets import BrokenImageError
from mmcoordgan.io.tables import read_rows

COLUMNS = ('picture', 'left_x', 'left_y', 'right_x', 'right_y', 'mouth_x', 'mouth_y')
CENTRAL = 0.75
"""The part of FFHQ's square that is kept, along each side."""
MAX_SIDE = 4096
YUNET = 'https://github.com/opencv/opencv_zoo/tree/main/models/face_detection_yunet'


class Crop(NamedTuple):
    """Where the square that the networks see lies in an image; all of it by default."""

    matrix: np.ndarray
    """(2, 3): from places in the square, (0, 0) to (1, 1), to pixels of the image, x first."""
    shape: tuple[int, int]
    """(H, W) of the image."""
    inner: tuple[int, int]
    """(H, W) of the crop."""

    @property
    def side(self) -> float:
        """Of the square, in pixels of the image; of a rectangle, the mean."""
        return abs(np.linalg.det(self.matrix[:, :2])) ** 0.5

    def to_pixels(self, places: Tensor) -> Tensor:
        """Places (2, ...) of the square as pixels (x, y) of the image, inside it."""
        matrix, flat = places.new_tensor(self.matrix), places.flatten(1)
        pixels = (matrix[:, :2] @ flat + matrix[:, 2:]).clamp(min=0)
        last = places.new_tensor([[self.shape[1] - 1], [self.shape[0] - 1]])
        return pixels.minimum(last).view_as(places)

    def to_places(self, points: Tensor) -> Tensor:
        """Pixels (N, 2) of the image as places of the square."""
        matrix = points.new_tensor(self.matrix)
        return (points - matrix[:, 2]) @ matrix[:, :2].inverse().T

    def take(self, values: np.ndarray, fill: int | None = None) -> np.ndarray:
        """The crop of an image (H, W, 3), or of labels: ``fill`` is that of what lies outside."""
        if fill is None:
            flags, border = cv2.INTER_LINEAR, cv2.BORDER_REFLECT
        else:
            flags, border = cv2.INTER_NEAREST, cv2.BORDER_CONSTANT
        flags |= cv2.WARP_INVERSE_MAP
        size = self.inner[::-1]
        return cv2.warpAffine(values, self._warp(), size, None, flags, border, fill or 0)

    def put(self, labels: np.ndarray, fill: int) -> np.ndarray:
        """Labels of the crop as labels of the image: ``fill`` is that of what lies outside."""
        size, flags = self.shape[::-1], cv2.INTER_NEAREST
        return cv2.warpAffine(labels, self._warp(), size, None, flags, borderValue=fill)

    def _warp(self) -> np.ndarray:
        """From pixels of the crop to pixels of the image."""
        linear = self.matrix[:, :2] / self.inner[::-1]
        return np.column_stack([linear, self.matrix[:, 2] + linear.sum(1) / 2])


Cropper = Callable[[str, np.ndarray], Crop]
"""The crop of an image, given its name and itself; raises BrokenImageError if it finds none."""


def whole(shape: tuple[int, int]) -> Crop:
    """All of an image (H, W)."""
    height, width = shape
    return Crop(np.array([[width, 0, -0.5], [0, height, -0.5]]), shape, shape)


def face_crop(name: str, points: np.ndarray, shape: tuple[int, int]) -> Crop:
    """The central three quarters, along each side, of the square that FFHQ crops.

    ``points`` (3, 2) are the centres of both eyes and of the mouth, in an image of ``shape``
    (H, W). BrokenImageError names it if they span no face.
    """
    left, right, mouth = points.astype(float)
    across, down = right - left, mouth - (left + right) / 2
    if across[0] * down[1] < across[1] * down[0]:  # the eyes are swapped
        across = -across
    x = across - [-down[1], down[0]]
    length = max(2 * np.linalg.norm(across), 1.8 * np.linalg.norm(down)) * CENTRAL
    if not (1 <= length <= MAX_SIDE and np.linalg.norm(x) > 0):
        raise BrokenImageError(f'{name}: eyes and mouth at {points.tolist()} span no face')
    x *= length / np.linalg.norm(x)
    y = np.array([-x[1], x[0]])
    corner = (left + right) / 2 + 0.1 * down - x - y
    inner = round(2 * length)
    return Crop(np.column_stack([2 * x, 2 * y, corner]), shape, (inner, inner))


def read_cropper(path: str) -> Cropper:
    """What finds the faces of images.

    ``path`` is a CSV file with the columns picture, left_x, left_y, right_x, right_y, mouth_x and
    mouth_y: the name of an image, and the centres of its eyes and mouth in pixels. Or the ONNX file
    of OpenCV's face finder YuNet, which takes the largest face. Other files raise ValueError.
    """
    read = {'.csv': _listed_faces, '.onnx': _found_faces}.get(Path(path).suffix.lower())
    if read is None or not os.path.isfile(path):
        raise ValueError(
            f'--crop {path} is neither a CSV file nor face_detection_yunet_2023mar.onnx, which is '
            f'at {YUNET}'
        )
    try:
        locate = read(path)
    except (ValueError, cv2.error) as error:
        raise ValueError(f'--crop {path} cannot be read: {error}') from None
    return lambda name, image: face_crop(name, locate(name, image), image.shape[:2])


def _listed_faces(path: str) -> Callable[[str, np.ndarray], np.ndarray]:
    faces = {
        row['picture']: [float(row[column]) for column in COLUMNS[1:]]
        for row in read_rows(path, COLUMNS)
    }

    def locate(name: str, image: np.ndarray) -> np.ndarray:
        face = faces.get(name, faces.get(os.path.basename(name)))
        if face is None:
            raise BrokenImageError(f'{name}: {path} does not name it')
        return np.reshape(face, (3, 2))

    return locate


def _found_faces(path: str) -> Callable[[str, np.ndarray], np.ndarray]:
    finder = cv2.FaceDetectorYN.create(path, '', (320, 320))

    def locate(name: str, image: np.ndarray) -> np.ndarray:
        finder.setInputSize(image.shape[1::-1])
        faces = finder.detect(np.ascontiguousarray(image[..., ::-1]))[1]
        if faces is None:
            raise BrokenImageError(f'{name}: no face is found')
        face = max(faces, key=lambda face: face[2] * face[3])
        eyes, mouth = face[4:8].reshape(2, 2), face[10:14].reshape(2, 2)
        return np.array([*eyes, mouth.mean(0)])

    return locate
