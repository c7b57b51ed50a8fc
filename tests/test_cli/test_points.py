"""Points in files: CSV and what the explorer saves, and nothing else."""

import json
import os

import numpy as np
import pytest

from mmcoordgan.cli.points import read_painted, read_points


def write(path, text: str) -> str:
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize(
    'text, labels',
    [
        ('label,x,y\nnose,1.5,2\n,3,4\n', ['nose', '1']),
        ('\ufeffx,y\r\n1.5,2\r\n3,4\r\n', ['0', '1']),
        ('label, x, y\nnose, 1.5, 2\n, 3, 4\n', ['nose', '1']),
        ('y,label,x\n2,"a\n""b""",1.5\n4,0,3\n', ['a\n"b"', '0']),
        ("label,x,y\n'=x,1.5,2\n'quoted',3,4\n", ['=x', "'quoted'"]),
    ],
)
def test_csv(text, labels, tmp_path):
    found, points = read_points(write(tmp_path / 'x.csv', text), 'any.png')
    assert found == labels
    assert points.tolist() == [[1.5, 2.0], [3.0, 4.0]] and points.dtype == np.float32


def explorer() -> dict:
    """A page of two images with maps of 4 x 4 pixels; its second image is 40 x 8."""
    images = [dict(name='a.png', width=4, height=4), dict(name='b.png', width=40, height=8)]
    labels = [dict(label=1, name='nose'), dict(label=2, name='Label 2')]
    points = [dict(label=1, positions=[[0, 0], [3, 1]]), dict(label=2, positions=[[2, 2], [0, 0]])]
    head = dict(format='mmcoordgan explorer 1', size=4)
    return {**head, 'pictures': images, 'labels': labels, 'points': points}


def test_points_of_the_explorer(tmp_path):
    """A pixel of the map covers 10 x 2 pixels of the second image."""
    path = write(tmp_path / 'x.json', json.dumps(explorer()))
    labels, points = read_points(path, 'photos/b.png')
    assert labels == ['nose', 'Label 2'] and points.tolist() == [[34.5, 2.5], [4.5, 0.5]]
    assert read_points(path, 'a.png')[1].tolist() == [[0, 0], [2, 2]]


BAD = {
    'empty.csv': ('', 'its first line must name the columns x, y.*but names nothing'),
    'semicolons.csv': ('x;y\n1;2\n', 'separated by commas, but names x;y'),
    'text.csv': ('x,y\n1,two\n', "could not convert string to float: 'two'"),
    'short.csv': ('x,y\n1\n', "could not convert string to float: ''"),
    'quoted.csv': ('x,y\n1,"2', 'unexpected end of data after line 1'),
    'nan.csv': ('x,y\n1,nan\n', 'point 0 is not finite'),
    'deep.json': ('[' * 100_000, 'recursion'),
    'other.json': ('{"format": "x"}', 'the explorer did not save it'),
    'image.json': (json.dumps(explorer()), r'its images are a\.png, b\.png, not c\.png'),
    'none.json': (json.dumps({**explorer(), 'points': []}), 'it lists none'),
    'label zero.json': (
        json.dumps({**explorer(), 'points': [dict(label=0, positions=[[0, 0]] * 2)]}),
        'a point has the label 0',
    ),
    'size.json': (json.dumps({**explorer(), 'size': 0}), 'division by zero'),
}


@pytest.mark.parametrize('name', BAD)
def test_what_is_no_points_file(name, tmp_path):
    text, reason = BAD[name]
    with pytest.raises(ValueError, match=rf'{name} holds no points') as error:
        read_points(write(tmp_path / name, text), 'b.png' if name != 'image.json' else 'c.png')
    error.match(reason)


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / 'points.csv')
    with pytest.raises(OSError, match=r'points\.csv does not exist, or is no regular file'):
        read_points(str(tmp_path / 'points.csv'), 'a.png')


def test_painted_labels_of_the_explorer(tmp_path):
    """A pixel of the map covers 10 x 2 pixels of the second image."""
    saved = explorer()
    for picture in saved['pictures']:
        picture['labels'] = np.arange(16).reshape(4, 4).tolist()
    path = write(tmp_path / 'x.json', json.dumps(saved))
    expected = np.arange(16).reshape(4, 4).repeat(2, 0).repeat(10, 1)
    assert np.array_equal(read_painted(path, 'photos/b.png', (8, 40)), expected)
    for labels in ([[1, 2], [3]], [[0] * 4] * 3, [[-1] * 4] * 4, [[256] * 4] * 4, 'a', None):
        saved['pictures'][1]['labels'] = labels
        path = write(tmp_path / 'bad.json', json.dumps(saved))
        with pytest.raises(ValueError, match=r'bad\.json holds no labels'):
            read_painted(path, 'b.png', (8, 40))
