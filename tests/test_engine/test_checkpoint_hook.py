"""What the checkpoint hook writes, believes, refuses and removes."""

import errno
import os

import numpy as np
import pytest
import torch
from engine_toy import runner
from mmengine.hooks import Hook
from mmengine.visualization import LocalVisBackend
from test_resume import flat, load

from mmcoordgan.errors import UserError
from mmcoordgan.io.files import AtomicLocalBackend

HOOK = 'default_hooks.checkpoint'
VALIDATE = {
    'val_cfg': dict(type='ValLoop'),
    'val_dataloader': dict(
        batch_size=2,
        sampler=dict(type='DefaultSampler', shuffle=False),
        dataset=dict(type='ToyNoise', length=4),
    ),
    'val_evaluator': dict(type='ToyMetric'),
    'train_cfg.val_interval': 2,
}


def resume(folder, path, **options):
    """A Runner that goes on from a file."""
    return runner(folder, load_from=str(path), resume=True, **options)


def both_ends(folder, iterations, **options):
    """The last checkpoints of a whole training and of one that goes on from iteration 2."""
    options['train_cfg.max_iters'] = iterations
    runner(folder, 'whole', **options).train()
    resume(folder, folder / 'whole' / 'iter_2.pth', work_dir='rest', **options).train()
    return [load(folder, iterations, work_dir) for work_dir in ('whole', 'rest')]


def histories(run):
    return {name: h.data for name, h in run.message_hub.log_scalars.items()}


def test_what_was_logged_is_resumed(trained, tmp_path):
    folder, first = trained
    second = resume(tmp_path, folder / 'work' / 'iter_2.pth')
    resumed = {}
    hook = Hook()
    hook.before_train = lambda runner: resumed.update(histories(runner))
    second.register_hook(hook, 'LOWEST')
    second.train()
    whole = histories(first)
    assert resumed.keys() == whole.keys()
    for name in whole:
        for before, complete in zip(resumed[name], whole[name]):
            assert before.dtype == complete.dtype
            np.testing.assert_array_equal(before, complete[: len(before)])
    assert len(histories(second)['train/loss_g'][0]) == 4


SCHEDULERS = {
    'ConstantLR': {},
    'CosineAnnealingLR': dict(T_max=5),
    'CosineRestartLR': dict(periods=[3, 3], restart_weights=[1, 0.5], eta_min=0.0),
    'ExponentialLR': dict(gamma=0.9),
    'LinearLR': dict(end=5),
    'LinearMomentum': dict(end=5),
    'CosineAnnealingMomentum': dict(T_max=5),
    'MultiStepLR': dict(milestones=[3]),
    'OneCycleLR': dict(eta_max=0.1, total_steps=12),
    'PolyLR': dict(eta_min=1e-4, end=6),
    'ReduceOnPlateauLR': dict(monitor='loss_g', rule='less', patience=0),
    'StepLR': dict(step_size=2),
}


@pytest.mark.parametrize('name', SCHEDULERS)
def test_every_scheduler_goes_on_as_if_never_stopped(tmp_path, name):
    by_iter = dict(type=name, by_epoch=False, **SCHEDULERS[name])
    if name == 'ReduceOnPlateauLR':
        by_iter.pop('by_epoch')
    ends = both_ends(tmp_path, 6, param_scheduler=[by_iter])
    groups = [end['optimizer']['generator']['param_groups'][0] for end in ends]
    assert groups[0] == groups[1]
    assert ends[0]['param_schedulers'] == ends[1]['param_schedulers']


def test_averaged_weights_go_on_too(tmp_path):
    ends = both_ends(tmp_path, 4, custom_hooks=[dict(type='EMAHook', momentum=0.1)])
    for key in ('state_dict', 'ema_state_dict'):
        assert all(torch.equal(value, ends[1][key][name]) for name, value in ends[0][key].items())
    assert not torch.equal(
        ends[0]['state_dict']['discriminator.score.weight'],
        ends[0]['ema_state_dict']['module.discriminator.score.weight'],
    )


def test_validation_leaves_the_training_as_it_is(tmp_path):
    """Random states before the validation are those that are saved, also where it saves again."""
    for name, more in (('plain', {}), ('best', {f'{HOOK}.save_best': 'toy/iou'})):
        runner(tmp_path, name, **VALIDATE, **more).train()
    for iteration in (2, 4):
        plain, validated = (load(tmp_path, iteration, name) for name in ('plain', 'best'))
        for key in ('random_states', 'state_dict'):
            assert flat(plain[key]) == flat(validated[key]), key


@pytest.mark.parametrize(
    ('save_best', 'iteration'),
    [('auto', 4), ('toy/error', 2), ('toy/pck@0.1', 4), ('toy/nme', 2), ('toy/structure_swap', 4)],
)
def test_the_hook_knows_which_metrics_are_better_high(tmp_path, save_best, iteration):
    runner(tmp_path, **VALIDATE, **{f'{HOOK}.save_best': save_best}).train()
    (best,) = (tmp_path / 'work').glob('best_*')
    assert best.name.endswith(f'_iter_{iteration}.pth')


def resume_claiming(checkpoint, folder, path, options, **claims):
    hub = checkpoint['message_hub']
    for key, value in claims.items():
        hub['runtime_info'][key], hub['resumed_keys'][key] = value, True
    torch.save(checkpoint, folder / path)
    more = {f'{HOOK}.save_best': 'toy/iou', **VALIDATE}
    resume(folder, folder / path, **options, **more).train()


def test_only_own_files_are_removed(trained, tmp_path):
    """A checkpoint from elsewhere names files and numbers: nothing of them is believed."""
    checkpoint = load(trained[0], 2)
    victim = tmp_path / 'home'
    victim.mkdir()
    (tmp_path / 'work').mkdir()
    others = [tmp_path / 'work' / name for name in ('iter_1.pth', 'best_toy_iou_iter_1.pth')]
    for path in others:
        path.write_text('of another run')
    claims = dict(best_ckpt=str(victim), best_score='high', keep_ckpt_ids=[1, '../home', 2, 3])
    resume_claiming(checkpoint, tmp_path, 'evil.pth', {f'{HOOK}.max_keep_ckpts': 1}, **claims)
    assert victim.is_dir() and all(path.exists() for path in others)
    names = sorted(p.name for p in (tmp_path / 'work').glob('*.pth'))
    assert names == [
        'best_toy_iou_iter_1.pth',
        'best_toy_iou_iter_4.pth',
        'iter_1.pth',
        'iter_4.pth',
    ]


def test_no_folder_is_removed(trained, tmp_path):
    """Not even one that a checkpoint of the same work dir calls the best one."""
    checkpoint, folder = load(trained[0], 2), tmp_path / 'work' / 'best_of_all'
    folder.mkdir(parents=True)
    resume_claiming(checkpoint, tmp_path, 'work/evil.pth', {}, best_ckpt=str(folder))
    assert folder.is_dir()


def test_the_old_goes_when_the_new_is_named(tmp_path, monkeypatch):
    """Of one checkpoint to keep there is always a complete one, which last_checkpoint names."""
    work, seen = tmp_path / 'work', []
    put, remove = AtomicLocalBackend.put, AtomicLocalBackend.remove

    def note(action, path):
        pointer = work / 'last_checkpoint'
        named = pointer.read_text() if pointer.exists() else None
        files = sorted(p.name for p in work.glob('*.pth'))
        seen.append((action, path.rpartition('/')[2], named, files))

    monkeypatch.setattr(
        AtomicLocalBackend, 'put', lambda s, obj, path: note('write', path) or put(s, obj, path)
    )
    monkeypatch.setattr(
        AtomicLocalBackend, 'remove', lambda s, path: note('remove', path) or remove(s, path)
    )
    runner(tmp_path, **{f'{HOOK}.max_keep_ckpts': 1}).train()
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
    with pytest.raises(UserError, match=r'iter_4.pth cannot be written \(No space left') as error:
        runner(tmp_path, **{f'{HOOK}.max_keep_ckpts': 1}).train()
    assert error.value.exit_code == 1
    assert (tmp_path / 'work' / 'last_checkpoint').read_text() == 'iter_2.pth'
    assert load(tmp_path, 2)['meta']['iter'] == 2


def test_what_a_disk_refuses_does_not_end_hours_of_training(tmp_path, monkeypatch):
    """To remove a file, or to take a line of numbers or an image."""

    def refuse(*_):
        raise OSError(errno.EIO, 'Input/output error')

    told = []
    monkeypatch.setattr('mmcoordgan.engine.hooks.visualization.atomic_file', refuse)
    monkeypatch.setattr(os, 'remove', refuse)
    monkeypatch.setattr(LocalVisBackend, '_dump', refuse)
    (tmp_path / 'work').mkdir()
    (tmp_path / 'work' / 'iter_8.pth.abc.part').touch()
    more = {f'{HOOK}.max_keep_ckpts': 1, f'{HOOK}.save_best': 'toy/iou', **VALIDATE}
    run = runner(tmp_path, **more)
    monkeypatch.setattr(run.logger, 'warning', told.append)
    run.train()
    assert [t for t in told if 'an image is left out, because it cannot be written' in t]
    names = sorted(path.name for path in (tmp_path / 'work').glob('*.pth'))
    assert names == [f'{best}iter_{n}.pth' for best in ('best_toy_iou_', '') for n in (2, 4)]


def test_unfinished_files_are_removed_and_superfluous_ones(tmp_path):
    work = tmp_path / 'work'
    work.mkdir()
    unfinished = [work / 'iter_8.pth.abc.part', work / 'last_checkpoint.abc.part']
    mine = [work / 'notes.part', work / 'iter_7.pth']
    for path in unfinished + mine:
        path.write_text('x')
    more = {f'{HOOK}.max_keep_ckpts': 2, 'train_cfg.max_iters': 6}
    runner(tmp_path, **more).train()
    assert not any(path.exists() for path in unfinished) and all(path.exists() for path in mine)
    assert sorted(p.name for p in work.glob('iter_[0-6].pth')) == ['iter_4.pth', 'iter_6.pth']
    # Killed between naming the new one and removing the old one: the next start removes it.
    (work / 'iter_2.pth').write_text('x')
    assert load(tmp_path, 6)['message_hub']['runtime_info']['keep_ckpt_ids'] == [2, 4, 6]
    resume(tmp_path, work / 'iter_6.pth', **more).train()
    assert not (work / 'iter_2.pth').exists() and (work / 'iter_6.pth').exists()
