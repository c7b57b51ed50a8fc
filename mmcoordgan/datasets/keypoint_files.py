"""Key points of many images in one file."""

from __future__ import annotations

import zipfile

import numpy as np

from mmcoordgan.io.tables import read_rows

from .loading import check_regular

MAX_BYTES = 2**30  # a million images of a hundred points


def read_keypoints(path: str) -> dict[str, np.ndarray]:
    """Key points by image.

    A file ``.npz`` holds ``names`` (N,) and ``points`` (N, K, 2), NaN where a point is not
    visible. A CSV has one line per point and a header with the columns ``image``, ``x``, ``y``
    and, optionally, ``label``; an empty x or y, or no line at all, is a point that is not visible.
    Points without a label are counted through their image.

    Convention: x, then y, in pixels of the image at its own size; (0, 0) is the centre of the top
    left pixel.

    Returns:
        (K, 2) float32 for each name. Points have the same order for all images.

    Raises:
        OSError: The file cannot be read.
        ValueError: It holds something else; says what.
    """
    try:
        check_regular(path)
        found = _read_npz(path) if path.lower().endswith('.npz') else _read_csv(path)
        if not found:
            raise ValueError('it is empty')
        return found
    except OSError as error:
        raise OSError(f'cannot read key points {path}: {error}') from error
    except Exception as error:  # zipfile and NumPy raise BadZipFile, EOFError, MemoryError, ...
        raise ValueError(
            f'{path} holds no key points ({type(error).__name__}: {error}): a .npz needs names '
            '(N,) and points (N, K, 2), a CSV a header with image, x, y and optionally label'
        ) from error


def _read_npz(path: str) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(path) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > MAX_BYTES:
            raise ValueError(f'its arrays take more than {MAX_BYTES} bytes')
    with np.load(path, allow_pickle=False) as arrays:
        names, points = arrays['names'].tolist(), arrays['points'].astype(np.float32)
    found = dict(zip(names, points))
    if points.shape != (len(names), *points.shape[1:2], 2) or len(found) < len(names):
        raise ValueError(f'points are {points.shape}, of {len(found)} different names')
    return found


def _read_csv(path: str) -> dict[str, np.ndarray]:
    found: dict[str, dict[str, tuple[float, float]]] = {}
    labels: dict[str, None] = {}  # in order of appearance
    for row in read_rows(path, ('image', 'x', 'y')):
        points = found.setdefault(row['image'], {})
        label = row.get('label') or str(len(points))
        if label in points:
            raise ValueError(f'it repeats the point {label} of {row["image"]}')
        points[label] = (float(row['x'] or 'nan'), float(row['y'] or 'nan'))
        labels[label] = None
    if 8 * len(found) * len(labels) > MAX_BYTES:
        raise ValueError(
            f'{len(found)} images of {len(labels)} points each take more than {MAX_BYTES} bytes'
        )
    hidden = (float('nan'), float('nan'))
    return {
        name: np.array([points.get(label, hidden) for label in labels], np.float32)
        for name, points in found.items()
    }
