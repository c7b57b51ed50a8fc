"""A training that was interrupted ends like one that was not, to the last bit."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import subprocess
import time

import pytest
import torch
from engine_toy import ToyNoise, runner
from mmengine.hooks import Hook

from mmcoordgan.engine import AtomicLocalBackend, CheckpointWriteError, ResumableCheckpointHook

EQUAL = ('state_dict', 'optimizer', 'param_schedulers', 'random_states', 'data')
SCHEDULE = [dict(type='CosineAnnealingLR', by_epoch=False, eta_min_ratio=0.1, end=6)]
OPTIONS = {
    'randomness.seed': None,
    'train_cfg.max_iters': 6,
    'param_scheduler': dict(generator=SCHEDULE, discriminator=SCHEDULE),
}
CHECKPOINT = 'default_hooks.checkpoint'


def load(folder, iteration):
    return torch.load(folder / 'work' / f'iter_{iteration}.pth', weights_only=True)


def flat(value, place=''):
    """Everything in a checkpoint that must be equal, by its place."""
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, (list, tuple)):
        items = enumerate(value)
    else:
        return {place: value.tolist() if isinstance(value, torch.Tensor) else value}
    return {p: v for key, item in items for p, v in flat(item, f'{place}.{key}').items()}


def assert_same_end(folder, other):
    one, two = ({k: load(f, 6)[k] for k in EQUAL} for f in (folder, other))
    assert flat(one) == flat(two)


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    """Six iterations without interruption, saved at two, four and six."""
    folder = tmp_path_factory.mktemp('whole')
    runner(folder, **OPTIONS).train()
    return folder


@pytest.mark.parametrize('iteration', [2, 4])
@pytest.mark.parametrize('workers', [0, 2])
def test_resumed_is_as_never_interrupted(whole, tmp_path, iteration, workers, monkeypatch):
    asked = []
    original = ToyNoise.__getitem__
    monkeypatch.setattr(ToyNoise, '__getitem__', lambda s, i: asked.append(i) or original(s, i))
    start = str(whole / 'work' / f'iter_{iteration}.pth')
    more = {'train_dataloader.num_workers': workers}
    runner(tmp_path, load_from=start, resume=True, **OPTIONS, **more).train()
    assert_same_end(whole, tmp_path)
    if not workers:  # nothing is loaded that was trained on before
        assert len(asked) == 2 * (6 - iteration)
    rate = load(tmp_path, 6)['optimizer']['generator']['param_groups'][0]['lr']
    assert rate < 0.0005  # the schedule was followed to its end


def test_more_data_for_each_iteration_goes_on_behind_what_was_seen(whole, tmp_path):
    start, more = str(whole / 'work' / 'iter_2.pth'), {'train_dataloader.batch_size': 4}
    runner(tmp_path, load_from=start, resume=True, **OPTIONS, **more).train()
    assert load(whole, 2)['data']['position'] == 4
    assert load(tmp_path, 6)['data']['position'] == 4 + 4 * 4


@pytest.mark.parametrize('content', ['two processes', 'none'])
def test_other_random_states_begin_afresh_with_a_warning(whole, tmp_path, content, monkeypatch):
    checkpoint = load(whole, 4)
    states = checkpoint.pop('random_states')
    if content == 'two processes':
        checkpoint['random_states'] = 2 * states
    torch.save(checkpoint, tmp_path / 'changed.pth')
    run = runner(tmp_path, load_from=str(tmp_path / 'changed.pth'), resume=True, **OPTIONS)
    warnings = []
    monkeypatch.setattr(run.logger, 'warning', warnings.append)
    run.train()
    count = 2 if content == 'two processes' else 0
    assert any(f'holds random states of {count} processes, and 1 resume' in w for w in warnings)
    assert load(tmp_path, 6)['data'] == load(whole, 6)['data']


def test_starting_from_weights_is_not_resuming(whole, tmp_path):
    start = str(whole / 'work' / 'iter_4.pth')
    runner(tmp_path, load_from=start, **{**OPTIONS, 'randomness.seed': 5}).train()
    assert load(tmp_path, 6)['data']['position'] == 12
    assert load(tmp_path, 6)['data']['seed'] != load(whole, 6)['data']['seed']


def test_epochs_are_refused():
    with pytest.raises(ValueError, match='ResumableCheckpointHook counts iterations'):
        ResumableCheckpointHook(by_epoch=True, interval=1)


# ---------------------------------------------------------------------- writing


def test_the_old_goes_when_the_new_is_named(tmp_path, monkeypatch):
    """Of one checkpoint to keep there is always a complete one, which last_checkpoint names."""
    work, seen = tmp_path / 'work', []
    put, remove = AtomicLocalBackend.put, AtomicLocalBackend.remove

    def note(action, path):
        pointer = work / 'last_checkpoint'
        named = os.path.basename(pointer.read_text()) if pointer.exists() else None
        files = sorted(p.name for p in work.glob('*.pth'))
        seen.append((action, os.path.basename(path), named, files))

    def spy_put(self, obj, path):
        note('write', path)
        put(self, obj, path)

    def spy_remove(self, path):
        note('remove', path)
        remove(self, path)

    monkeypatch.setattr(AtomicLocalBackend, 'put', spy_put)
    monkeypatch.setattr(AtomicLocalBackend, 'remove', spy_remove)
    runner(tmp_path, **{f'{CHECKPOINT}.max_keep_ckpts': 1}).train()
    assert seen == [
        ('write', 'iter_2.pth', None, []),
        ('write', 'iter_4.pth', 'iter_2.pth', ['iter_2.pth']),
        ('remove', 'iter_2.pth', 'iter_4.pth', ['iter_2.pth', 'iter_4.pth']),
    ]
    assert [p.name for p in work.glob('*.pth')] == ['iter_4.pth']


def test_a_failed_write_leaves_what_was_there(tmp_path, monkeypatch):
    def full(self, obj, path):
        if 'iter_4' in str(path):
            raise OSError(errno.ENOSPC, 'No space left on device')
        put(self, obj, path)

    put = AtomicLocalBackend.put
    monkeypatch.setattr(AtomicLocalBackend, 'put', full)
    with pytest.raises(CheckpointWriteError, match=r'iter_4.pth cannot be written \(No space left'):
        runner(tmp_path, **{f'{CHECKPOINT}.max_keep_ckpts': 1}).train()
    work = tmp_path / 'work'
    assert (work / 'last_checkpoint').read_text() == str(work / 'iter_2.pth')
    assert load(tmp_path, 2)['meta']['iter'] == 2


def test_unfinished_files_are_removed_and_superfluous_ones(whole, tmp_path):
    work = tmp_path / 'work'
    work.mkdir()
    unfinished = [work / 'iter_8.pth.abc.part', work / 'last_checkpoint.abc.part']
    mine = [work / 'notes.part', work / 'iter_7.pth']
    for path in unfinished + mine:
        path.write_text('x')
    runner(tmp_path, **{f'{CHECKPOINT}.max_keep_ckpts': 2, 'train_cfg.max_iters': 6}).train()
    assert not any(path.exists() for path in unfinished) and all(path.exists() for path in mine)
    assert sorted(p.name for p in work.glob('iter_[0-6].pth')) == ['iter_4.pth', 'iter_6.pth']
    # Killed between naming the new one and removing the old one: the next start removes it.
    (work / 'iter_2.pth').write_text('x')
    checkpoint = load(tmp_path, 6)
    assert checkpoint['message_hub']['runtime_info']['keep_ckpt_ids'] == [2, 4, 6]
    more = {f'{CHECKPOINT}.max_keep_ckpts': 2, 'train_cfg.max_iters': 6}
    runner(tmp_path, load_from=str(work / 'iter_6.pth'), resume=True, **more).train()
    assert not (work / 'iter_2.pth').exists() and (work / 'iter_6.pth').exists()


# ---------------------------------------------------------------------- signals


class Sender(Hook):
    """Sends a signal in the fifth iteration, also to the data loader's workers, as Slurm does.

    By then all of them have begun to work.
    """

    def __init__(self, *numbers):
        self.numbers = numbers
        self.others = multiprocessing.active_children()  # left by other tests

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if batch_idx == 4:
            children = multiprocessing.active_children()
            workers = [str(child.pid) for child in children if child not in self.others]
            if workers:
                subprocess.run(['kill', f'-{int(self.numbers[0])}', *workers], check=True)
                time.sleep(0.2)
            for number in self.numbers:
                os.kill(os.getpid(), number)


@pytest.mark.parametrize('workers', [0, 2])
@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_ends_and_loses_nothing(whole, tmp_path, number, workers):
    before = signal.getsignal(number)
    start, more = str(whole / 'work' / 'iter_2.pth'), {'train_dataloader.num_workers': workers}
    first = runner(tmp_path, load_from=start, resume=True, **OPTIONS, **more)
    first.register_hook(Sender(number))
    with pytest.raises(SystemExit) as end:
        first.train()
    assert end.value.code == {signal.SIGTERM: 143, signal.SIGINT: 130}[number]
    assert signal.getsignal(number) is before
    last = (tmp_path / 'work' / 'last_checkpoint').read_text()
    assert last.endswith('iter_5.pth') and not (tmp_path / 'work' / 'iter_6.pth').exists()
    runner(tmp_path, load_from=last, resume=True, **OPTIONS, **more).train()
    assert_same_end(whole, tmp_path)


def test_a_second_ctrl_c_does_not_wait(tmp_path):
    run = runner(tmp_path, **OPTIONS)
    run.register_hook(Sender(signal.SIGINT, signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        run.train()
    assert not (tmp_path / 'work' / 'iter_5.pth').exists()


def test_validation_leaves_the_training_as_it_is(tmp_path):
    run = runner(tmp_path)
    run.message_hub.update_info('loop_stage', 'train')
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    run.call_hook('before_val')
    torch.rand(2)
    run.call_hook('after_val')
    assert torch.equal(torch.rand(3), expected)
