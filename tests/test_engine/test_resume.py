"""A training that was interrupted ends like one that was not, to the last bit."""

import multiprocessing
import os
import signal
import subprocess
import time

import pytest
import torch
from engine_toy import ToyNoise, runner
from mmengine.hooks import Hook

from mmcoordgan.engine import loop
from mmcoordgan.engine.fit import steps_on_cpu
from mmcoordgan.io.work_dir import last_checkpoint

EQUAL = ('state_dict', 'optimizer', 'param_schedulers', 'random_states', 'data')
SCHEDULE = [dict(type='CosineAnnealingLR', by_epoch=False, eta_min_ratio=0.1, end=6)]
OPTIONS = {
    'randomness.seed': None,
    'train_cfg.max_iters': 6,
    'param_scheduler': dict(generator=SCHEDULE, discriminator=SCHEDULE),
}


def load(folder, iteration, work_dir='work'):
    return torch.load(folder / work_dir / f'iter_{iteration}.pth', weights_only=True)


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
    more['train_dataloader.persistent_workers'] = bool(workers)
    before = multiprocessing.active_children()  # left by other tests
    run = runner(tmp_path, load_from=start, resume=True, **OPTIONS, **more)
    run.train()
    assert set(multiprocessing.active_children()) <= set(before)
    assert_same_end(whole, tmp_path)
    if not workers:  # nothing is loaded that was trained on before
        assert len(asked) == 2 * (6 - iteration)
    rate = load(tmp_path, 6)['optimizer']['generator']['param_groups'][0]['lr']
    assert rate < 0.0005  # the schedule was followed to its end


def test_step_counters_of_adam_stay_on_the_cpu():
    """MMEngine reads a checkpoint to the GPU, where each counter would make the host wait."""

    class OnGPU(torch.Tensor):
        def cpu(self):
            return torch.ones(())

    weights, step = torch.ones(2), torch.zeros(()).as_subclass(OnGPU)
    state = {'generator': {'state': {0: {'step': step, 'exp_avg': weights}}}}
    steps_on_cpu(state)
    assert state['generator']['state'][0] == {'step': 1, 'exp_avg': weights}


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
def test_a_signal_saves_ends_and_loses_nothing(whole, tmp_path, capfd, number, workers):
    before = signal.getsignal(number)
    start, more = str(whole / 'work' / 'iter_2.pth'), {'train_dataloader.num_workers': workers}
    first = runner(tmp_path, load_from=start, resume=True, **OPTIONS, **more)
    first.register_hook(Sender(number))
    with pytest.raises(SystemExit) as end:
        first.train()
    assert end.value.code == {signal.SIGTERM: 143, signal.SIGINT: 130}[number]
    assert signal.getsignal(number) is before
    assert 'finishing this iteration, then saving; Ctrl-C' in capfd.readouterr().err
    last = last_checkpoint(tmp_path / 'work')
    assert last.endswith('iter_5.pth') and not (tmp_path / 'work' / 'iter_6.pth').exists()
    runner(tmp_path, load_from=last, resume=True, **OPTIONS, **more).train()
    assert_same_end(whole, tmp_path)


def test_a_signal_while_waiting_for_data_saves_what_there_is(whole, tmp_path, monkeypatch):
    """As where a worker is frozen: the fifth iteration never gets its data."""
    original, asked = ToyNoise.__getitem__, []

    def stuck(self, index):
        asked.append(index)
        if len(asked) == 9:
            os.kill(os.getpid(), signal.SIGTERM)
        return original(self, index)

    monkeypatch.setattr(ToyNoise, '__getitem__', stuck)
    with pytest.raises(SystemExit) as end:
        runner(tmp_path, **{**OPTIONS, 'randomness.seed': load(whole, 2)['meta']['seed']}).train()
    assert end.value.code == 143
    last = last_checkpoint(tmp_path / 'work')
    assert last.endswith('iter_4.pth')
    runner(tmp_path, load_from=last, resume=True, **OPTIONS).train()
    assert_same_end(whole, tmp_path)


def test_processes_act_on_what_they_agreed_upon(tmp_path, monkeypatch):
    """Another process got a signal before the third iteration; this one's own came too late."""
    asked = []

    def told(value, op):
        asked.append(op)
        value.fill_(int(signal.SIGTERM) if len(asked) == 5 else 0)
        if len(asked) == 4:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(loop, 'all_reduce', told)
    with pytest.raises(SystemExit) as end:
        runner(tmp_path, **OPTIONS).train()
    assert end.value.code == 143 and set(asked) == {'max'}
    assert last_checkpoint(tmp_path / 'work').endswith('iter_2.pth')


def test_accumulated_gradients_are_not_lost(tmp_path, monkeypatch):
    """A signal in the fifth iteration, where gradients are applied in every seventh one."""
    complete = property(lambda self: self._iter % 7 == 0)
    monkeypatch.setattr(loop.ResumableTrainLoop, 'complete', complete)
    run = runner(tmp_path, **{**OPTIONS, 'train_cfg.max_iters': 9})
    run.register_hook(Sender(signal.SIGTERM))
    with pytest.raises(SystemExit):
        run.train()
    assert last_checkpoint(tmp_path / 'work').endswith('iter_7.pth')
