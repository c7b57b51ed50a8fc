"""Which checkpoints the hook refuses to resume from."""

from __future__ import annotations

from collections import OrderedDict

import pytest
import torch
from engine_toy import runner
from test_checkpoint_hook import load, resume

from mmcoordgan.engine import CoordGANCheckpointHook
from mmcoordgan.errors import UserError


def changed(checkpoint, change):
    """A checkpoint of which one thing is not as it was."""
    state = checkpoint['state_dict']
    first = next(iter(state))
    if change == 'renamed':
        checkpoint['state_dict'] = OrderedDict(
            (f'x{k}' if k == first else k, v) for k, v in state.items()
        )
    elif change == 'None':
        checkpoint['state_dict'] = OrderedDict.fromkeys(state)
    elif change == 'empty':
        checkpoint['state_dict'] = OrderedDict()
    elif change == 'other size':
        state[first] = torch.zeros(7)
    elif change == 'no optimizers':
        checkpoint['optimizer'] = None
    elif change == 'half of the optimizers':
        checkpoint['optimizer'].pop('discriminator')
    elif change == 'moments':
        checkpoint['optimizer']['generator']['state'][0]['exp_avg'] = torch.zeros(7)
    elif change == 'half of the moments':
        del checkpoint['optimizer']['generator']['state'][0]['exp_avg_sq']
    elif change == 'of another optimizer':
        del checkpoint['optimizer']['generator']['param_groups'][0]['betas']
    elif change == 'other parameters':
        checkpoint['optimizer']['generator']['param_groups'][0]['params'].pop()
    elif change == 'a rate of text':
        checkpoint['optimizer']['generator']['param_groups'][0]['lr'] = 'x'
    elif change == 'schedulers':
        checkpoint['param_schedulers'] = 3
    elif change == 'hub':
        checkpoint['message_hub']['resumed_keys']['iter'] = 'x'
    elif change == 'no hub':
        checkpoint['message_hub'] = None
    else:
        checkpoint['meta'] = {'iter': 'two'}
    return checkpoint


MISFITS = {
    'renamed': r'1 of \d+ weights are missing \(of generator\)',
    'None': 'weights are missing',
    'empty': 'weights are missing',
    'other size': r'1 weights have another shape, .*: \(7,\) in the checkpoint',
    'no optimizers': 'its state of the optimizer generator is missing',
    'half of the optimizers': 'its state of the optimizer discriminator is missing or belongs',
    'moments': 'optimizer generator .*belongs to other parameters',
    'half of the moments': 'optimizer generator .*belongs to other parameters',
    'of another optimizer': 'optimizer generator .*belongs to other parameters',
    'other parameters': 'optimizer generator .*belongs to other parameters',
    'a rate of text': 'optimizer generator .*belongs to other parameters',
    'schedulers': 'its state of the schedulers belongs to others',
    'hub': 'it holds no message_hub',
    'no hub': 'it holds no message_hub',
    'no iteration': 'it does not say which iteration it is of',
}


@pytest.mark.parametrize('change', MISFITS)
def test_resume_refuses_what_does_not_fit(trained, tmp_path, change):
    torch.save(changed(load(trained[0], 2), change), tmp_path / 'other.pth')
    message = rf'other\.pth does not fit the model ToyGAN of the config: .*{MISFITS[change]}'
    with pytest.raises(UserError, match=message):
        resume(tmp_path, tmp_path / 'other.pth').train()


def test_a_checkpoint_without_optimizers_resumes_with_a_warning(trained, tmp_path, monkeypatch):
    checkpoint = load(trained[0], 2)
    del checkpoint['optimizer']
    torch.save(checkpoint, tmp_path / 'weights.pth')
    run = resume(tmp_path, tmp_path / 'weights.pth')
    warnings = []
    monkeypatch.setattr(run.logger, 'warning', warnings.append)
    run.train()
    assert any('weights.pth holds no optimizers: they start afresh' in text for text in warnings)


@pytest.mark.parametrize('key', ['data', 'random_states'])
def test_states_of_nonsense_are_named(trained, tmp_path, key):
    checkpoint = load(trained[0], 2)
    checkpoint[key] = [{'python': 'x'}] if key == 'random_states' else {'seeds': 3}
    torch.save(checkpoint, tmp_path / 'other.pth')
    with pytest.raises(UserError, match=r'other\.pth: its random states or its place .* no sense'):
        resume(tmp_path, tmp_path / 'other.pth').train()


def test_epochs_are_refused(tmp_path):
    with pytest.raises(UserError, match='CoordGANCheckpointHook counts iterations'):
        CoordGANCheckpointHook(by_epoch=True)
    loop = {'train_cfg': dict(by_epoch=True, max_epochs=2, _delete_=True)}
    with pytest.raises(UserError, match=r"use train_cfg = dict\(type='ResumableTrainLoop'"):
        runner(tmp_path, **loop).train()
