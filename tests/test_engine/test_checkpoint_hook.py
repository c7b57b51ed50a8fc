from __future__ import annotations

import copy
import os
import pickle
from collections import OrderedDict, deque, namedtuple
from pathlib import Path

import numpy as np
import pytest
import torch
from engine_toy import runner
from mmengine.config import ConfigDict
from mmengine.logging import HistoryBuffer

from mmcoordgan.engine import AtomicLocalBackend, PlainCheckpointHook, check_checkpoint_file
from mmcoordgan.engine.checkpoint_hook import to_plain


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """A run of four iterations that saved at two and at four."""
    folder = tmp_path_factory.mktemp('plain')
    run = runner(folder)
    run.train()
    return folder, run


def histories(run):
    return {name: h.data for name, h in run.message_hub.log_scalars.items()}


def test_checkpoint_loads_with_weights_only(trained):
    folder, run = trained
    checkpoint = torch.load(folder / 'work' / 'iter_4.pth', weights_only=True)
    assert checkpoint['meta']['iter'] == 4
    scalars = checkpoint['message_hub']['log_scalars']
    np.testing.assert_array_equal(
        scalars['train/loss_g']['log_history'].numpy(), histories(run)['train/loss_g'][0]
    )
    assert scalars['train/loss_g']['max_length'] == 1000000
    check_checkpoint_file(folder / 'work' / 'iter_4.pth')


def test_without_the_hook_it_does_not(tmp_path):
    run = runner(tmp_path, custom_hooks=[], **{'train_cfg.max_iters': 1})
    run.train()
    path = tmp_path / 'work' / 'iter_1.pth'
    with pytest.raises(ValueError, match=rf'{path} is refused: .*(HistoryBuffer|getattr)'):
        check_checkpoint_file(path)


def test_resume_continues_where_the_checkpoint_was_written(trained, tmp_path):
    folder, first = trained
    start = str(folder / 'work' / 'iter_2.pth')
    second = runner(tmp_path, load_from=start, resume=True)
    saved = {}

    class Spy(PlainCheckpointHook):
        def before_train(self, runner):
            saved['iter'] = runner.iter
            saved['histories'] = histories(runner)
            saved['optimizer'] = copy.deepcopy(runner.optim_wrapper.state_dict())

    second.register_hook(Spy())
    second.train()
    assert saved['iter'] == 2

    before = torch.load(start, weights_only=True)
    for name, state in before['optimizer'].items():
        for index, moments in state['state'].items():
            for key, value in moments.items():
                assert torch.equal(value, saved['optimizer'][name]['state'][index][key])
        assert state['param_groups'] == saved['optimizer'][name]['param_groups']

    whole = histories(first)
    assert saved['histories'].keys() == whole.keys()
    for name in whole:
        for resumed, complete in zip(saved['histories'][name], whole[name]):
            assert resumed.dtype == complete.dtype
            np.testing.assert_array_equal(resumed, complete[: len(resumed)])
    assert len(saved['histories']['train/loss_g'][0]) == 2
    assert len(histories(second)['train/loss_g'][0]) == 4
    assert second.iter == 4


def test_a_resumed_history_is_a_working_one(trained):
    hook = PlainCheckpointHook()
    buffer = HistoryBuffer([1.0, 2.5], [1, 2], max_length=3)
    checkpoint = {'message_hub': {'log_scalars': OrderedDict(a=buffer)}}
    hook.before_save_checkpoint(None, checkpoint)
    assert type(checkpoint['message_hub']['log_scalars']['a']) is dict
    hook.after_load_checkpoint(None, checkpoint)
    back = checkpoint['message_hub']['log_scalars']['a']
    assert back.data[0].dtype == float and back.data[1].dtype == int
    back.update(4.0)
    back.update(8.0)
    np.testing.assert_array_equal(back.data[0], [2.5, 4.0, 8.0])
    assert back.statistics('mean', 2) == 6.0


def test_foreign_checkpoints_pass_untouched():
    hook = PlainCheckpointHook()
    for checkpoint in ({'state_dict': {}}, {'message_hub': {'log_scalars': {'a': 3}}}):
        hook.after_load_checkpoint(None, checkpoint)
    assert checkpoint['message_hub']['log_scalars'] == {'a': 3}


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
        ({np.int64(1): (2,)}, {1: (2,)}),
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


def test_state_dicts_keep_their_metadata_and_their_tensors():
    state = torch.nn.Sequential(torch.nn.BatchNorm1d(2)).state_dict()
    plain = to_plain(state)
    assert type(plain) is OrderedDict and plain._metadata['0'] == {'version': 2}
    assert all(plain[key] is state[key] for key in state)


class Unknown:
    pass


@pytest.mark.parametrize('value', [Unknown(), Unknown, len, np.longdouble(1), range(3)])
def test_what_cannot_be_stored_is_named(value):
    checkpoint = {'meta': {}, 'message_hub': {'runtime_info': {'best': [1, value]}}}
    place = r"^checkpoint\['message_hub'\]\['runtime_info'\]\['best'\]\[1\] is a "
    with pytest.raises(TypeError, match=place):
        PlainCheckpointHook().before_save_checkpoint(None, checkpoint)


def test_it_runs_after_the_other_hooks(trained):
    assert type(trained[1].hooks[-1]) is PlainCheckpointHook


class Malicious:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize('legacy', [False, True])
def test_malicious_checkpoint_is_refused_and_runs_nothing(tmp_path, legacy):
    target, path = tmp_path / 'executed', tmp_path / 'bad.pth'
    content = {'state_dict': {'a': torch.zeros(2)}, 'extra': Malicious(target)}
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(ValueError, match=rf'{path} is refused: .*mkdir.*state_dict'):
        check_checkpoint_file(path)
    assert not target.exists()


def test_bare_pickles_damaged_and_missing_files(tmp_path):
    target, path = tmp_path / 'executed', tmp_path / 'bad.pth'
    path.write_bytes(pickle.dumps(Malicious(target)))
    with pytest.raises(ValueError, match=r'bad\.pth'):
        check_checkpoint_file(path)
    assert not target.exists()
    torch.save({'a': torch.zeros(1000)}, path)
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(ValueError, match=r'bad\.pth'):
        check_checkpoint_file(path)
    path.write_bytes(b'')
    with pytest.raises(ValueError, match=r'bad\.pth'):
        check_checkpoint_file(path)
    with pytest.raises(FileNotFoundError, match=r'none\.pth does not exist'):
        check_checkpoint_file(tmp_path / 'none.pth')


def test_atomic_writes(tmp_path, monkeypatch):
    path = tmp_path / 'new folder' / 'a.pth'
    backend = AtomicLocalBackend()
    backend.put(b'old', path)
    assert path.read_bytes() == b'old'
    (tmp_path / 'ordinary').touch()
    assert path.stat().st_mode == (tmp_path / 'ordinary').stat().st_mode

    def killed(descriptor):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, 'fsync', killed)
    with pytest.raises(KeyboardInterrupt):
        backend.put(b'half of the new', path)
    assert path.read_bytes() == b'old'
    assert os.listdir(path.parent) == ['a.pth']


def test_the_runner_writes_through_the_atomic_backend(trained, monkeypatch, tmp_path):
    written = []
    monkeypatch.setattr(
        AtomicLocalBackend, 'put', lambda self, obj, path: written.append(Path(path).name)
    )
    runner(tmp_path).train()
    assert written == ['iter_2.pth', 'iter_4.pth']
