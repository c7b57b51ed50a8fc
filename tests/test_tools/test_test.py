import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from eval_stub import OracleModel, oracle_coords
from mmengine.config import Config
from reference import numbers

from mmcoordgan.datasets.datasetgan import CLASSES
from mmcoordgan.models import CoordGAN

ROOT = Path(__file__).parents[2]
tool = runpy.run_path(str(ROOT / 'tools' / 'test.py'))

CONFIG = """
_base_ = [
    '{configs}/default_runtime.py',
    '{configs}/datasets/{dataset}.py',
]
custom_imports = dict(imports=['eval_stub'])
model = dict(
    type='OracleModel',
    kind='{kind}',
    data_preprocessor=dict(type='ImgDataPreprocessor', mean=[127.5] * 3, std=[127.5] * 3),
)
test_dataloader = dict(num_workers=0)
"""
TRAINING = """
train_cfg = dict(type='ResumableTrainLoop', max_iters=1)
train_dataloader = dict(batch_size=2, dataset=dict(type='ImageFolder', data_root='missing'))
optim_wrapper = dict(optimizer=dict(type='SGD', lr=1))
"""
DATASETS = {
    'toy': 'toyfaces_32_transfer',
    'face': 'datasetgan_face_transfer_128',
    'car': 'datasetgan_car_transfer_128',
    'celeba': 'celebamask_hq_transfer_128',
}


@pytest.fixture(autouse=True)
def trained(elsewhere):
    torch.save({'state_dict': OracleModel('toy').state_dict()}, 'trained.pth')


def write_config(folder: Path, kind: str, extra: str = '') -> Path:
    # Runners are told apart by the name of their config and the second they started in.
    path = folder / f'{kind}_{folder.name}_{len(os.listdir(folder))}.py'
    configs = ROOT / 'configs' / '_base_'
    path.write_text(CONFIG.format(configs=configs, dataset=DATASETS[kind], kind=kind) + extra)
    return path


def metrics_of(config, *arguments, options=()) -> dict:
    """Run the tool in this process and return the metrics that it writes."""
    arguments = ['trained.pth', '--out', 'metrics.json', *arguments, '--cfg-options', *options]
    tool['main']([str(config), *map(str, arguments)])
    return json.loads(Path('metrics.json').read_text())


def at_32(root: Path) -> list[str]:
    """Options that turn a benchmark at 128 x 128 into the one the numbers were made with."""
    return [
        f'test_dataloader.dataset.data_root={root}',
        'test_dataloader.dataset.pipeline.1.size=32',
        'test_evaluator.0.reference_size=32',
    ]


@pytest.mark.parametrize('kind', ['face', 'car'])
def test_benchmarks_of_the_reference(kind, datasetgan_root, tmp_path):
    """5 references x all queries through the shipped base configs, with the true maps."""
    drawing = [f'custom_hooks.0.{setting}' for setting in ('max_pictures=2', 'reference_size=32')]
    metrics = metrics_of(write_config(tmp_path, kind), options=[*at_32(datasetgan_root), *drawing])
    expected = numbers('eval.json')[f'transfer.{kind}.oracle32']
    assert metrics['iou'] == pytest.approx(expected['final'], abs=1e-9)
    for k, reference in enumerate(expected['refs']):
        assert metrics[f'iou/ref{k}'] == pytest.approx(reference['printed'], abs=1e-9)
    each = 100 * np.mean([reference['iou'] for reference in expected['refs']], axis=0)
    dataset = 'face-34' if kind == 'face' else 'car-20'
    for name, value in zip(CLASSES[dataset][1:], each):
        assert metrics[f'iou/{name}'] == pytest.approx(value, abs=1e-9)
    assert metrics['identity_iou'] < metrics['strict_iou'] < metrics['iou'] < metrics['fused_iou']


def test_predictions_and_images(datasetgan_root, tmp_path, capsys):
    config = write_config(tmp_path, 'car', TRAINING)
    options = ['--cfg-options', *at_32(datasetgan_root), 'custom_hooks.0.max_pictures=2']
    out = tmp_path / 'new folder' / 'maps.npz'
    arguments = [config, 'trained.pth', '--out', out, '--show-dir', 'shown', *options]
    tool['main']([str(argument) for argument in arguments])
    assert capsys.readouterr().err.splitlines()[-1] == f'written: {out}'
    assert os.listdir(out.parent) == ['maps.npz']
    with np.load(out, allow_pickle=False) as maps:
        assert maps['sample_idx'].tolist() == list(range(12))
        for path, coords in zip(maps['img_path'], maps['coords']):
            np.testing.assert_array_equal(coords, oracle_coords('car', str(path), 32))
    # Queries 5 and 6 with references 0 and 1: seven cells of 96 pixels, margins of 2, and captions.
    assert sorted(os.listdir('shown')) == ['00005.png', '00006.png']
    assert cv2.imread('shown/00006.png').shape == (96 + 4 + 18, 7 * (96 + 2) + 2, 3)
    assert not (tmp_path / 'work_dirs' / config.stem / 'pictures').exists()


def test_toy_faces(tmp_path):
    """The true maps reach the ceiling; others do not; images go to the work dir."""
    small = 'test_dataloader.dataset.length=9'
    config = write_config(tmp_path, 'toy', 'model["bias"] = 0.2\n')
    extra = dict(type='SegTransferIoU', coords_key='refined_coords', prefix='refined')
    extra.update(temperature=0.02, reference_size=32)
    with config.open('a') as file:
        file.write(f'_base_.test_evaluator.append({extra})\ntest_evaluator = _base_.test_evaluator')
    metrics = metrics_of(config, '--work-dir', 'work', options=[small])
    assert metrics['refined/iou'] == metrics['ceiling_iou'] == metrics['refined/ceiling_iou'] > 60
    assert metrics['identity_iou'] < metrics['iou'] < metrics['ceiling_iou']
    assert metrics['identity_pck@0.1'] < metrics['pck@0.1'] < metrics['ceiling_pck@0.1']
    assert metrics['ceiling_error'] < metrics['error'] < metrics['identity_error']
    assert sorted(os.listdir('work/pictures/transfer')) == [f'0000{i}.png' for i in range(5, 9)]
    log = next(Path('work').glob('*/*.log')).read_text()
    assert 'SegTransferIoU: 5 references, 4 queries' in log and '\nhair ' in log


def test_same_numbers_with_two_processes(tmp_path):
    """Seven queries on two processes, through the script."""
    config = write_config(tmp_path, 'toy', 'model["bias"] = 0.2\n')
    options = ['test_dataloader.dataset.length=12', 'test_dataloader.batch_size=4']
    alone = metrics_of(config, options=options)

    environment = dict(os.environ, PYTHON=sys.executable, PORT=str(20000 + os.getpid() % 20000))
    command = [ROOT / 'tools' / 'dist_test.sh', config, 'trained.pth', '2', '--out', 'two.json']
    command += ['--cfg-options', *options]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    logs = Path('work_dirs').glob('*/*/*.log')
    assert any('GPU number: 2' in log.read_text() for log in logs)
    two = json.loads(Path('two.json').read_text())
    assert two.keys() == alone.keys()
    for name, value in alone.items():  # counts are integers; only sums of errors are rounded
        exact = 'error' not in name
        assert two[name] == (value if exact else pytest.approx(value, rel=1e-9)), name
    assert done.stdout.count('SegTransferIoU: 5 references, 7 queries') == 1


def test_what_training_starts_from_is_not_needed():
    parts = dict(
        pretrained_generator='gone.pth', perceptual=dict(type='LPIPSLoss'), losses={'a': 1}
    )
    for kind in ('CoordGAN', 'mmcoordgan.CoordGAN', CoordGAN, 'X'):
        cfg = Config(dict(model=dict(type=kind, **parts), resume=True))
        tool['choose_checkpoint'](cfg, 'trained.pth')
        assert (cfg.load_from, cfg.resume) == ('trained.pth', False)
        assert cfg.model.pretrained_generator is None
        assert bool(cfg.model.perceptual) == bool(cfg.model.losses) == (kind == 'X')


@pytest.mark.parametrize('refinement', [None, {'steps': 0, 'lr': 0.1}, {'steps': 2, 'lr': 0.1}])
def test_metrics_of_refined_maps_need_refinement(refinement, capsys):
    cfg = Config.fromfile(ROOT / 'configs' / 'coordgan' / 'toyfaces_32_encoder.py')
    cfg.model.refinement = refinement
    tool['drop_refined'](cfg)
    keys = [metric.get('coords_key', 'coords') for metric in cfg.test_evaluator]
    refined = ['refined_coords'] * 2 if refinement and refinement['steps'] else []
    assert keys == ['coords', 'coords', *refined]
    assert ('left out' in capsys.readouterr().err) == (not refined)


def test_checkpoints_that_do_not_fit(tmp_path, refused):
    torch.save({'state_dict': {'generator.weight': torch.ones(1)}}, 'stage1.pth')
    error = refused('test.py', write_config(tmp_path, 'toy'), 'stage1.pth')
    assert error.endswith('it is a checkpoint of stage 1, which has no encoder')


def test_the_config_of_the_training_stays_and_half_precision(tmp_path):
    config = write_config(tmp_path, 'toy')
    os.mkdir('work')
    kept = Path('work', config.name)
    kept.write_text('# of the training')
    options = ['test_dataloader.dataset.length=7']
    assert metrics_of(config, '--amp', '--work-dir', 'work', options=options)['iou'] > 60
    assert kept.read_text() == '# of the training'


def test_metrics_that_are_not_finite():
    """Plain JSON knows no NaN."""
    metrics = {'iou': 61.5, 'pck@0.1': float('nan'), 'error': float('-inf')}
    tool['write_metrics']('metrics.json', metrics)

    def refuse(name: str) -> None:
        raise AssertionError(f'{name} is no JSON')

    read = json.loads(Path('metrics.json').read_text(), parse_constant=refuse)
    assert read == {'iou': 61.5, 'pck@0.1': None, 'error': None}


def test_requests_that_cannot_be_met(tmp_path, refused):
    config, stage1 = write_config(tmp_path, 'toy'), ROOT / 'configs/coordgan/toyfaces_32.py'
    Path('untested.py').write_text("model = dict(type='CoordGAN')")
    for arguments, message in (
        ((config, 'trained.pth', '--out', 'maps.pkl'), 'must end in .json or .npz'),
        (('untested.py', 'trained.pth'), 'does not say what to test: it has no test_dataloader'),
        ((stage1, 'trained.pth', '--show-dir', 'x'), '--show-dir draws transfers between images'),
    ):
        assert message in refused('test.py', *arguments)
