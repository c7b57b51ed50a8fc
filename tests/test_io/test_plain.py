import os
from collections import OrderedDict, deque, namedtuple
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.logging import HistoryBuffer

from mmcoordgan.io.plain import to_history, to_plain

Point = namedtuple('Point', 'x y')


@pytest.mark.parametrize(
    ('value', 'expected'),
    [
        (np.float64(0.5), 0.5),
        (np.int32(3), 3),
        (np.bool_(True), True),
        (np.str_('a'), 'a'),
        (np.array(['a', 'b']), ['a', 'b']),
        (ConfigDict(a=[ConfigDict(b=np.float32(2))]), {'a': [{'b': 2.0}]}),
        (deque([1, 2], 5), [1, 2]),
        (Point(1, np.int64(2)), (1, 2)),
        (OrderedDict({np.int64(1): (2,)}), {1: (2,)}),
        (frozenset({1}), [1]),
        (Path('a') / 'b', os.path.join('a', 'b')),
        ({'none': None, 'dtype': torch.float16}, None),
    ],
)
def test_to_plain(value, expected, tmp_path):
    plain = to_plain(value)
    expected = value if expected is None else expected
    assert plain == expected and type(plain) is type(expected)
    torch.save(plain, tmp_path / 'x.pth')
    assert torch.load(tmp_path / 'x.pth', weights_only=True) == expected


@pytest.mark.parametrize('array', [np.arange(6.0)[::-2], np.float16([1, 2]), np.array(3)])
def test_arrays_become_tensors(array):
    plain = to_plain({'a': array})['a']
    assert isinstance(plain, torch.Tensor)
    assert plain.numpy().dtype == array.dtype
    np.testing.assert_array_equal(plain.numpy(), array)


class Unknown:
    pass


@pytest.mark.parametrize('value', [Unknown(), Unknown, len, np.longdouble(1), range(3)])
def test_what_cannot_be_stored_is_named(value):
    with pytest.raises(TypeError, match=r"^checkpoint\['best'\]\[1\] is a "):
        to_plain({'best': [1, value]}, 'checkpoint')


def test_histories_there_and_back():
    plain = to_plain(HistoryBuffer([1.0, 2.5], [1, 2], max_length=3))
    assert type(plain) is dict
    back = to_history(plain)
    assert back.data[0].dtype == float and back.data[1].dtype == int
    back.update(4.0)
    back.update(8.0)
    np.testing.assert_array_equal(back.data[0], [2.5, 4.0, 8.0])
    assert back.statistics('mean', 2) == 6.0
    assert to_history(3) == 3  # of a foreign checkpoint
