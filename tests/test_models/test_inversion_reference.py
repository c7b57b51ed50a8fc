"""The encoder's training against the reference: loss terms, gradients, and its training loop."""

import numpy as np
import pytest
import reference
from reference import check_gradients, image, numbers, published_losses, rnd, stored_beside
from tiny_inversion import optimizers

from mmcoordgan.io.official_names import official_names
from mmcoordgan.models import CoordGANInversion

PUBLISHED_LOSSES = published_losses('celeba_128_encoder')
REFERENCE_NAMES = dict(  # theirs -> ours
    g_rec=('rec_l1',),
    g_rec_perc=('rec_perceptual',),
    g_perc=('swap_perceptual',),
    g_enc_consistency=('structure_w', 'coords'),
    g=tuple(PUBLISHED_LOSSES),
)


@pytest.fixture
def model(lpips) -> CoordGANInversion:
    return CoordGANInversion(
        generator=reference.small_generator(),
        encoder=reference.small_encoder(),
        perceptual=lpips,
        losses=PUBLISHED_LOSSES,
    )


def inject_codes(model: CoordGANInversion, prefix: str) -> None:
    codes = rnd(f'{prefix}struc', (4, 32)), rnd(f'{prefix}style', (4, 32))
    model.sample_codes = lambda batch: codes


@pytest.mark.parametrize('theirs', list(REFERENCE_NAMES))
def test_terms_and_gradients(model, theirs):
    inject_codes(model, 'z_')
    terms = model(image('enc_real', (4, 3, 32, 32)), mode='loss')
    loss = sum(terms[f'loss_{name}'] for name in REFERENCE_NAMES[theirs])
    assert loss.item() == pytest.approx(numbers('small_values.json')[f'E.{theirs}'], rel=1e-5)
    loss.backward()
    assert all(p.grad is None for p in model.generator.parameters())
    tolerance = 1e-3 if theirs == 'g_enc_consistency' else 5e-3
    checked = check_gradients(model.encoder, 'e', f'E.{theirs}', tolerance)
    assert checked == len([*model.encoder.parameters()])


def test_three_iterations_of_the_reference_loop(model):
    wrapper = optimizers(model, lr=0.002, encoder=dict(regularization_interval=4))
    for offset, expected in enumerate(numbers('small_values.json')['train.encoder']):
        i = offset + 1
        inject_codes(model, f'enc_it{i}_')
        log = model.train_step({'inputs': image(f'enc_it{i}_real', (4, 3, 32, 32))}, wrapper)
        for theirs, ours in REFERENCE_NAMES.items():
            found = sum(log[f'loss_{name}'].item() for name in ours)
            assert found == pytest.approx(expected[theirs], rel=(2e-5, 1e-4, 1e-3)[offset]), theirs

    stored = numbers('small_train_encoder')
    state = model.encoder.state_dict()
    names = official_names('e', state)
    before = reference.small_encoder().state_dict()
    starts = stored_beside(stored, 'e', names, before)
    ends = stored_beside(stored, 'e', names, state)
    for (official, found, after), (_, start, _) in zip(ends, starts):
        # How far the weights went in three steps, and how far from the reference's they ended.
        moved, missed = np.abs(after - start).mean(), np.abs(found - after).mean()
        assert missed < 0.05 * moved, (official, moved, missed)
