"""Points in files: what is written can be read, and nothing else is."""

from __future__ import annotations

import csv
import json
import os
from contextlib import suppress

import numpy as np
import pytest

from mmcoordgan.apis.points import points_writer, read_points
from mmcoordgan.apis.results import PointTransfer


def write(path, text: str) -> str:
    path.write_text(text)
    return str(path)


def test_csv_and_json_say_the_same(tmp_path):
    expected = [[1.5, 2.0], [3.0, 4.0]]
    for name, text, labels in (
        ('a.csv', 'label,x,y\nnose,1.5,2\n,3,4\n', ['nose', '1']),
        ('b.csv', '\ufeffx,y\r\n1.5,2\r\n3,4\r\n', ['0', '1']),
        ('spaces.csv', 'label, x, y\nnose, 1.5, 2\n, 3, 4\n', ['nose', '1']),
        ('c.json', '{"points": [{"label": "nose", "x": 1.5, "y": 2}, {"x": 3, "y": 4}]}', None),
        ('d.json', '[{"label": "nose", "x": 1.5, "y": 2}, {"x": 3, "y": 4}]', None),
    ):
        found, points = read_points(write(tmp_path / name, text))
        assert found == (labels or ['nose', '1'])
        assert points.tolist() == expected and points.dtype == np.float32


def test_labels_that_are_numbers(tmp_path):
    path = write(
        tmp_path / 'x.json', '[{"label": 7, "x": 1, "y": 2}, {"label": 0, "x": 3, "y": 4}]'
    )
    assert read_points(path)[0] == ['7', '0']
    path = write(
        tmp_path / 'y.json', '[{"label": "", "x": 1, "y": 2}, {"label": null, "x": 3, "y": 4}]'
    )
    assert read_points(path)[0] == ['0', '1']


BAD = {
    'empty.csv': '',
    'header.csv': 'x,y\n',
    'names.csv': 'a,b\n1,2\n',
    'text.csv': 'x,y\n1,two\n',
    'short.csv': 'x,y\n1\n',
    'nan.csv': 'x,y\n1,nan\n',
    'list.json': '[[1, 2]]',
    'number.json': '7',
    'nan.json': '[{"x": NaN, "y": 1}]',
    'huge.json': '[{"x": 1' + '0' * 400 + ', "y": 1}]',
    'deep.json': '[' * 100_000,
    'broken.json': '{"points": [',
    'empty.json': '{"points": []}',
}


@pytest.mark.parametrize('name', BAD)
def test_what_is_no_points_file(name, tmp_path):
    with pytest.raises(ValueError, match=rf'{name} holds no points'):
        read_points(write(tmp_path / name, BAD[name]))


def transfers() -> list[PointTransfer]:
    odd = os.fsdecode(b'b\xff.png')
    points = np.array([[1.25, 2], [3, 4]], np.float32)
    sure = np.array([1, 0.5], np.float32)
    return [PointTransfer(name, points + n, sure) for n, name in enumerate(['a, "b".png', odd])]


def test_csv_comes_back(tmp_path):
    path = tmp_path / 'x.csv'
    with points_writer(str(path), ['nose', '="x"']) as add:
        for found in transfers():
            add(found)
    rows = list(csv.DictReader(path.open(newline='', errors='surrogateescape')))
    assert [row['picture'] for row in rows] == [t.name for t in transfers() for _ in range(2)]
    assert [row['label'] for row in rows] == ['nose', '="x"'] * 2
    assert [float(row['x']) for row in rows] == [1.25, 3, 2.25, 4]
    assert [float(row['confidence']) for row in rows] == [1, 0.5] * 2
    assert read_points(str(path))[1].tolist() == [[1.25, 2], [3, 4], [2.25, 3], [4, 5]]


def test_json_comes_back(tmp_path):
    path = tmp_path / 'x.json'
    for count in (2, 1, 0):
        with points_writer(str(path), ['nose', 'mouth']) as add:
            for found in transfers()[:count]:
                add(found)
        found = json.loads(path.read_text())['pictures']
        assert [picture['picture'] for picture in found] == [t.name for t in transfers()[:count]]
    with points_writer(str(path), ['nose', 'mouth']) as add:
        add(transfers()[0])
    point = json.loads(path.read_text())['pictures'][0]['points'][1]
    assert point == {'label': 'mouth', 'x': 3.0, 'y': 4.0, 'confidence': 0.5}


@pytest.mark.parametrize('error', [KeyboardInterrupt, OSError, RuntimeError])
@pytest.mark.parametrize('ending', ['csv', 'json'])
def test_an_error_keeps_what_was_added(ending, error, tmp_path):
    path, whole = tmp_path / f'x.{ending}', tmp_path / f'whole.{ending}'
    for target, stop in ((path, True), (whole, False)):
        with suppress(error), points_writer(str(target), ['nose', 'mouth']) as add:
            for found in transfers():
                add(found)
            if stop:
                raise error
    assert path.read_bytes() == whole.read_bytes()
    assert sorted(os.listdir(tmp_path)) == [whole.name, path.name]
    with pytest.raises(error), points_writer(str(path), ['nose', 'mouth']):
        raise error  # before the first picture: the file of the run before is kept
    assert path.read_bytes() == whole.read_bytes()
    path.unlink()
    with pytest.raises(error), points_writer(str(path), ['nose', 'mouth']):
        raise error
    assert os.listdir(tmp_path) == [whole.name]
