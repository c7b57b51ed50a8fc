"""Which checkpoints the hook refuses to resume from."""

import pytest
import torch
from test_checkpoint_hook import resume
from test_resume import load

from mmcoordgan.engine import CoordGANCheckpointHook
from mmcoordgan.errors import UserError

WEIGHT = 'generator.warp_net.weight'


def replace(checkpoint, value) -> None:
    checkpoint['state_dict'][WEIGHT] = value


def generator(checkpoint) -> dict:
    """The state of its optimizer."""
    return checkpoint['optimizer']['generator']


OTHER = 'optimizer generator .*belongs to other parameters'
MISFITS = {
    'missing': (lambda c: c['state_dict'].pop(WEIGHT), 'is missing'),
    'other size': (lambda c: replace(c, torch.zeros(7)), r'has shape \(7,\), needed is'),
    'no numbers': (lambda c: replace(c, torch.zeros(2, 2, device='meta')), 'is no plain tensor'),
    'half of the optimizers': (
        lambda c: c['optimizer'].pop('discriminator'),
        'its state of the optimizer discriminator is missing or belongs',
    ),
    'moments': (lambda c: generator(c)['state'][0].update(exp_avg=torch.zeros(7)), OTHER),
    'of another optimizer': (lambda c: generator(c)['param_groups'][0].pop('betas'), OTHER),
    'other parameters': (lambda c: generator(c)['param_groups'][0]['params'].pop(), OTHER),
    'schedulers': (lambda c: c.update(param_schedulers=3), 'its scheduler state belongs to other'),
    'a setting': (lambda c: generator(c)['param_groups'][0].update(lr=torch.nan), OTHER),
    'never stepped': (lambda c: generator(c)['state'].clear(), OTHER),
    'other names': (lambda c: generator(c)['state'].update({'0': {}}), OTHER),
    'nonsense': (lambda c: generator(c).update(param_groups=3), OTHER),
    'negative': (lambda c: c['meta'].update(iter=-3), 'not say which iteration it is of'),
    'no iteration': (lambda c: c.update(meta={'iter': 'two'}), 'not say which iteration it is of'),
}


@pytest.mark.parametrize('change', MISFITS)
def test_resume_refuses_what_does_not_fit(trained, tmp_path, change):
    checkpoint, (spoil, message) = load(trained[0], 2), MISFITS[change]
    spoil(checkpoint)
    torch.save(checkpoint, tmp_path / 'other.pth')
    message = rf'other\.pth does not fit the model ToyGAN of the config: .*{message}'
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


@pytest.mark.parametrize(
    'nonsense', [dict(random_states=[{'python': 'x'}]), dict(data={'seed': 3, 'position': -1})]
)
def test_states_of_nonsense_are_named(trained, tmp_path, nonsense):
    checkpoint = {**load(trained[0], 2), **nonsense}
    torch.save(checkpoint, tmp_path / 'other.pth')
    with pytest.raises(
        UserError, match=r'other\.pth has invalid random states or an invalid place'
    ):
        resume(tmp_path, tmp_path / 'other.pth').train()


def test_epochs_are_refused():
    with pytest.raises(UserError, match='CoordGANCheckpointHook counts iterations'):
        CoordGANCheckpointHook(by_epoch=True)
