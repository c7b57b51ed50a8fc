import random

import numpy as np
import pytest
import torch

from mmcoordgan.utils.random_state import random_state, seeded, set_random_state


def draw() -> list[float]:
    """From every source and kind of distribution; an odd number of normal ones."""
    numbers = [random.random(), random.gauss(0, 1), np.random.rand(), np.random.randn()]
    return [*numbers, *torch.rand(2).tolist(), *torch.randn(3).tolist()]


def test_a_restored_state_draws_the_same(tmp_path):
    draw()  # leaves half a pair of normal numbers behind in random and NumPy
    torch.save(random_state(), tmp_path / 'state.pth')
    expected = [draw(), draw()]
    random.seed(5), np.random.seed(5), torch.manual_seed(5)
    assert draw() != expected[0]
    set_random_state(torch.load(tmp_path / 'state.pth', weights_only=True))
    assert [draw(), draw()] == expected


def test_seeded_streams_depend_on_the_key_alone_and_leave_no_trace():
    set_random_state(before := random_state())
    expected = draw()
    set_random_state(before)
    with seeded((1, 2)):
        first = draw()
    assert draw() == expected
    with seeded((1, 2)):
        assert draw() == first
    with seeded((2, 1)):
        others = draw()
    assert all(a != b for a, b in zip(first, others))
    with pytest.raises(ZeroDivisionError), seeded((3,)):
        _ = 1 / 0
    assert draw() != first
