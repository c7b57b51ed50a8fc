"""Which weights the second stage loads and refuses."""

import copy

import pytest
from mmengine.runner import load_checkpoint
from test_coordgan import save
from test_inversion import batch, build, optimizer, same, snapshot, with_w
from tiny_inversion import GENERATOR, STAGE1

from mmcoordgan.models import CoordGAN
from mmcoordgan.models.distributed import CoordGANDistributed
from mmcoordgan.registry import MODELS


@pytest.fixture
def stage1() -> CoordGAN:
    """Stage 1 with an average that differs from the last weights."""
    model = MODELS.build(copy.deepcopy(STAGE1))
    for parameter in model.generator_ema.parameters():
        parameter.add_(0.1)
    return model


def test_the_generator_is_the_averaged_one_of_stage_1(stage1, tmp_path):
    path = save(tmp_path / 'iter_9.pth', stage1)
    (tmp_path / 'last_checkpoint').write_text(path)
    for source in (path, str(tmp_path)):
        model = build(stage1_checkpoint=source)
        encoder = snapshot(model.encoder)
        model.init_weights()
        assert same(model.generator, stage1.generator_ema.state_dict())
        assert not same(model.generator, stage1.generator.state_dict())
        assert same(model.encoder, encoder)
        assert all(not p.requires_grad for p in model.generator.parameters())
    (tmp_path / 'iter_9.pth').unlink()  # read once
    model.train_step(batch(), optimizer(model))


def test_training_says_where_it_misses_stage_1(tmp_path):
    for source in (tmp_path / 'nowhere', tmp_path / 'nowhere.pth', tmp_path):
        model = build(stage1_checkpoint=str(source))
        model.init_weights()
        message = rf'no checkpoint of stage 1 at {source}: train stage 1 first, or set the config '
        with pytest.raises(FileNotFoundError, match=message + r'key model\.stage1_checkpoint'):
            model.train_step(batch(), optimizer(model))


def test_bad_stage_1_checkpoints(tmp_path):
    path = tmp_path / 'other.pth'
    other = MODELS.build({**copy.deepcopy(STAGE1), 'generator': {**GENERATOR, 'channels': 12}})
    save(path, other)
    message = (
        r'other\.pth \(config key model\.stage1_checkpoint\), generator_ema does not fit: '
        r'.*stem\.bias has shape \(12,\), needed is \(8,\)'
    )
    with pytest.raises(ValueError, match=message):
        build(stage1_checkpoint=str(path)).init_weights()
    save(path, build())  # one of stage 2
    with pytest.raises(ValueError, match=r'model\.stage1_checkpoint\) holds no generator_ema'):
        build(stage1_checkpoint=str(path)).init_weights()


@pytest.mark.parametrize('wrapped', [False, True])
def test_own_checkpoint_needs_no_stage_1(wrapped, tmp_path):
    trained = build()
    trained.iteration.fill_(7)
    path = save(tmp_path / 'stage2.pth', trained)
    model = build(stage1_checkpoint=str(tmp_path / 'gone'))
    model.init_weights()
    model.averages_gradients = True  # lets it into a wrapper that needs no processes
    load_checkpoint(CoordGANDistributed(model) if wrapped else model, path, map_location='cpu')
    assert same(model, trained.state_dict())
    model.train_step(batch(), optimizer(model))
    assert int(model.iteration) == 8


def test_foreign_checkpoints_are_refused(stage1):
    model = build()
    before = snapshot(model)
    part = {k: v for k, v in before.items() if k != 'generator.stem.bias'}
    for state, message in (
        (stage1.state_dict(), r'of stage 1, set the config key model\.stage1_checkpoint'),
        (with_w().state_dict(), r'texture_heads\.1\.weight is missing'),
        (part, r'generator, does not fit: stem\.bias is missing'),
    ):
        with pytest.raises(ValueError, match=message):
            model.load_state_dict(state, strict=False)
    assert same(model, before)
