"""Faces cropped as FFHQ aligns them, and results found again in the images."""

import os

import cv2
import numpy as np
import pytest
from PIL import Image

from mmcoordgan.apis import CoordGANInferencer
from mmcoordgan.apis.cropping import COLUMNS, face_crop, read_cropper
from mmcoordgan.datasets import BrokenImageError, ToyFaces

UPRIGHT = np.array([[80.0, 50], [120, 50], [100, 94]])


def test_the_crop_by_hand():
    """Half a side is 0.75 * max(2 * 40, 1.8 * 44); the centre a tenth of the way to the mouth."""
    crop = face_crop('a', UPRIGHT, (200, 300))
    assert np.allclose(crop.matrix, [[120, 0, 40], [0, 120, -5.6]])
    assert crop.inner == (120, 120) and crop.side == pytest.approx(120)
    swapped = face_crop('a', UPRIGHT[[1, 0, 2]], (200, 300))
    assert np.allclose(swapped.matrix, crop.matrix)
    turned = UPRIGHT @ [[0, 1], [-1, 0]] + [300, 0]  # by a quarter, clockwise
    found = face_crop('a', turned, (200, 300)).matrix
    assert np.allclose(found[:, :2], [[0, -120], [120, 0]])
    for points in (UPRIGHT * np.nan, UPRIGHT * 0, UPRIGHT * 1e4):
        with pytest.raises(BrokenImageError, match=r'a: eyes and mouth at .* span no face'):
            face_crop('a', points, (200, 300))


@pytest.fixture
def faces(tmp_path, monkeypatch):
    """Two faces of 32 x 32, turned, enlarged and moved in images of 150 x 200."""
    monkeypatch.chdir(tmp_path)
    rows, toys = [','.join(COLUMNS)], ToyFaces(size=32, seed=2000)
    matrices = []
    for number, angle in enumerate((20, -35)):
        info = toys.get_data_info(number)
        matrix = cv2.getRotationMatrix2D((15.5, 15.5), angle, 3)
        matrix[:, 2] += [80 + 20 * number, 60]
        for name, values in (('face', info['img']), ('mask', info['gt_seg_map'])):
            moved = cv2.warpAffine(values, matrix, (200, 150), flags=cv2.INTER_NEAREST)
            Image.fromarray(values).save(f'{name}{number}.png')
            Image.fromarray(moved).save(f'large_{name}{number}.png')
        # Points whose crop is the face: half a side of 16 is 0.75 * 2 * 32 / 3.
        points = np.array([[15.5 - 16 / 3, 14.5], [15.5 + 16 / 3, 14.5], [15.5, 24.5]])
        moved = points @ matrix[:, :2].T + matrix[:, 2]
        rows.append(f'large_face{number}.png,{",".join(map(str, moved.ravel()))}')
        matrices.append(matrix)
    (tmp_path / 'crop.csv').write_text('\n'.join(rows))
    return matrices


def test_results_are_those_of_the_crops(faces):
    """Labels and points of cropped images, in their own pixels."""
    plain = CoordGANInferencer('toyfaces_32', device='cpu', show_progress=False)
    model = CoordGANInferencer('toyfaces_32', device='cpu', show_progress=False, crop='crop.csv')
    (expected,) = plain.transfer_labels('face0.png', 'mask0.png', 'face1.png')
    (found,) = model.transfer_labels('large_face0.png', 'large_mask0.png', 'large_face1.png')
    assert found.labels.shape == (150, 200)
    back = cv2.warpAffine(
        found.labels, faces[1], (32, 32), flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    )
    assert (back == expected.labels).mean() > 0.9
    outside = cv2.warpAffine(np.ones((32, 32), np.uint8), faces[1], (200, 150)) == 0
    assert (found.labels[outside] == 0).mean() > 0.98
    points = np.array([[10.0, 14], [22, 15], [16, 24]])
    (expected,) = plain.transfer_points('face0.png', points, 'face1.png')
    large = points @ faces[0][:, :2].T + faces[0][:, 2]
    (found,) = model.transfer_points('large_face0.png', large, 'large_face1.png')
    truth = expected.points @ faces[1][:, :2].T + faces[1][:, 2]
    assert np.abs(found.points - truth).max() < 3  # a pixel of the face
    assert np.allclose(found.expected_error, 3 * expected.expected_error, rtol=0.3)
    (encoding,) = model.encode('large_face1.png')
    assert np.allclose(encoding.crop[:, :2] / 32, faces[1][:, :2], atol=1e-3)
    with pytest.raises(ValueError, match='cannot be matched where it is cropped'):
        model.correspond('large_face0.png', 'large_face1.png')


def test_images_that_are_not_listed(faces, tmp_path):
    left_out = {}
    model = CoordGANInferencer('toyfaces_32', device='cpu', show_progress=False, crop='crop.csv')
    images = ['face0.png', 'large_face0.png', np.zeros((9, 9, 3), np.uint8)]
    found = model.encode(images, on_broken=left_out.__setitem__)
    assert [encoding.name for encoding in found] == ['large_face0.png']
    assert sorted(left_out) == ['face0.png', 'image 2']
    assert 'crop.csv does not name it' in str(left_out['face0.png'])
    (tmp_path / 'bad.csv').write_text('picture,x,y\n')
    with pytest.raises(ValueError, match='must name the columns picture, left_x'):
        read_cropper('bad.csv')
    (tmp_path / 'bad.csv').write_text(','.join(COLUMNS) + '\na.png,1,2,3,x,5,6\n')
    with pytest.raises(ValueError, match=r"bad\.csv cannot be read: .* to float: 'x'"):
        read_cropper('bad.csv')
    with pytest.raises(
        ValueError, match=r'nor face_detection_yunet_2023mar.onnx, which is at https'
    ):
        read_cropper('auto')
    os.mkfifo('pipe.csv')  # reading it may never end
    with pytest.raises(ValueError, match='is neither a CSV file'):
        read_cropper('pipe.csv')
    for name, content in (('long.csv', 'x' * 200_000), ('garbage.onnx', 'garbage')):
        (tmp_path / name).write_text(content)
        with pytest.raises(ValueError, match=f'{name} cannot be read: '):
            read_cropper(name)


def test_a_face_finder(monkeypatch, tmp_path):
    """The largest face, from rows of box, right eye, left eye, nose, corners of the mouth, score;
    it sees BGR."""
    small = np.array([0, 0, 5, 5, *range(10), 0.9])
    large = np.array([40, 10, 99, 99, 80, 50, 120, 50, 99, 70, 90, 94, 110, 94, 0.8])

    class Finder:
        def setInputSize(self, size):
            assert size == (300, 200)

        def detect(self, image):
            assert image[0, 0].tolist() == [3, 2, 1]
            return 1, (np.stack([small, large]) if image[0, 1, 0] else None)

    monkeypatch.setattr(cv2.FaceDetectorYN, 'create', lambda path, config, size: Finder())
    (tmp_path / 'yunet.onnx').touch()
    find = read_cropper(str(tmp_path / 'yunet.onnx'))
    image = np.full((200, 300, 3), [1, 2, 3], np.uint8)
    assert np.allclose(find('a', image).matrix, [[120, 0, 40], [0, 120, -5.6]])
    image[0, 1] = 0
    with pytest.raises(BrokenImageError, match='a: no face is found'):
        find('a', image)
