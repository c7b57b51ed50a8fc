"""Files that run code when they are unpickled, wherever a file can be given: nothing runs."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from engine_toy import write_config
from mmengine.config import Config
from mmengine.runner import Runner
from mutation import Payload

from mmcoordgan.apis import load_official_checkpoint
from mmcoordgan.datasets import LoadImage
from mmcoordgan.datasets.celebamask_hq import mask_path, paint_labels, read_packed_labels
from mmcoordgan.datasets.label_files import read_labels
from mmcoordgan.models.losses import LPIPSLoss

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.usefixtures('elsewhere')
STAGE1 = ROOT / 'configs' / 'coordgan' / 'toyfaces_32.py'
STAGE2 = ROOT / 'configs' / 'coordgan' / 'toyfaces_32_encoder.py'


def _array(path: str) -> None:
    with open(path, 'wb') as file:
        np.save(file, np.array([Payload()], object), allow_pickle=True)


def _legacy(path: str) -> None:
    torch.save({'state_dict': Payload()}, path, _use_new_zipfile_serialization=False)


FORMATS = {
    'torch': lambda path: torch.save({'state_dict': {}, 'more': Payload()}, path),
    'legacy torch': _legacy,
    'pickle': lambda path: Path(path).write_bytes(pickle.dumps(Payload())),
    'numpy': _array,
}


@pytest.mark.parametrize('kind', FORMATS)
def test_the_payload_is_one(kind):
    """Unsafe loading runs it, so that the tests below can fail."""
    FORMATS[kind]('bad.pth')
    if 'torch' in kind:
        torch.load('bad.pth', weights_only=False)
    else:
        np.load('bad.pth', allow_pickle=True)
    assert os.path.isdir('executed')


def resume_the_last(tool, path: str) -> None:
    os.makedirs('work')
    Path('work', 'last_checkpoint').write_text(path)
    tool('train.py', STAGE1, '--work-dir', 'work', '--resume')


def part_mask(tool, path: str) -> None:
    found = mask_path('.', 7, 'skin')
    os.makedirs(os.path.dirname(found))
    os.symlink(os.path.abspath(path), found)
    paint_labels('.', 7, 7)


def option(config: Path, key: str):
    return lambda tool, path: tool('train.py', config, '--cfg-options', f'{key}={path}')


def converter(name: str):
    return lambda tool, path: tool(f'model_converters/{name}.py', path, 'out')


CONSUMERS = {
    'train --resume CHECKPOINT': lambda tool, path: tool('train.py', STAGE1, '--resume', path),
    'train --resume': resume_the_last,
    'load_from': option(STAGE1, 'load_from'),
    'pretrained_generator': option(STAGE1, 'model.pretrained_generator'),
    'stage1_checkpoint': option(STAGE2, 'model.stage1_checkpoint'),
    'test': lambda tool, path: tool('test.py', STAGE2, path),
    'inspect_generator': lambda tool, path: tool('analysis_tools/inspect_generator.py', path),
    'official_to_mm': converter('official_to_mm'),
    'mm_to_official': converter('mm_to_official'),
    'export_onnx': lambda tool, path: tool('model_converters/export_onnx.py', path, '--out=a.onnx'),
    'load_official_checkpoint': lambda tool, path: load_official_checkpoint(path),
    'VGG weights': lambda tool, path: LPIPSLoss(vgg_weights=path),
    'mask array': lambda tool, path: read_labels(path, 20)[0],
    'packed labels': lambda tool, path: read_packed_labels(path, 7),
    'part mask': part_mask,
    'image': lambda tool, path: LoadImage()({'img_path': path}),
}


@pytest.mark.parametrize('kind', FORMATS)
@pytest.mark.parametrize('consumer', CONSUMERS)
def test_nothing_runs_and_the_file_is_named(consumer, kind, run_tool, capsys):
    FORMATS[kind]('bad.pth')
    with pytest.raises((SystemExit, Exception)) as end:
        CONSUMERS[consumer](run_tool, 'bad.pth')
    assert not os.path.exists('executed')
    message = capsys.readouterr().err if end.type is SystemExit else str(end.value)
    name = mask_path('.', 7, 'skin') if consumer == 'part mask' else 'bad.pth'
    assert name in message


MMENGINES = (
    "default_hooks = dict(checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=2))"
)


@pytest.mark.parametrize('hook', ['ours', "MMEngine's"])
def test_the_text_of_a_config_in_a_checkpoint_is_not_run(tmp_path, hook, run_tool):
    """MMEngine executes ``meta['config']`` when it resumes: a file of plain values would do."""
    config = write_config(tmp_path)
    # MMEngine tells runs of one process apart by their names.
    first = ['train_cfg.max_iters=2', f'experiment_name=first_{hook}']
    run_tool('train.py', config, '--cfg-options', *first)
    checkpoint = torch.load('work_dirs/toy/iter_2.pth', weights_only=True)
    checkpoint['meta']['config'] = '__import__("os").mkdir("executed")'
    torch.save(checkpoint, 'bad.pth')
    if hook != 'ours':
        with config.open('a') as file:
            file.write(MMENGINES)

    options = ['--cfg-options', f'experiment_name=second_{hook}']
    run_tool('train.py', config, '--resume', 'bad.pth', '--work-dir', 'work', *options)
    assert not os.path.exists('executed') and os.path.exists('work/iter_4.pth')

    cfg = Config.fromfile(config)
    cfg.update(load_from='bad.pth', resume=True, work_dir='unguarded', experiment_name=f'un{hook}')
    Runner.from_cfg(cfg).train()
    # Our hook guards other programs as well; without it, the text is run.
    assert os.path.isdir('executed') == (hook != 'ours')
