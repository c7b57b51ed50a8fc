import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from engine_toy import ToyGenerator, write_config
from mmengine.config import Config
from mutation import Payload

from mmcoordgan.cli.launch import ToolRunner

ROOT = Path(__file__).parents[2]
tool = runpy.run_path(str(ROOT / 'tools' / 'train.py'))
pytestmark = pytest.mark.usefixtures('elsewhere')


@pytest.fixture
def prepared(monkeypatch):
    """Run ``main`` without its Runner and return the config that this would get."""

    def run(*arguments):
        got = []
        idle = SimpleNamespace(train=lambda: None)
        monkeypatch.setattr(ToolRunner, 'from_cfg', lambda cfg: got.append(cfg) or idle)
        tool['main']([str(argument) for argument in arguments])
        return got[0]

    return run


def run(command, **environment) -> subprocess.CompletedProcess:
    done = subprocess.run(
        list(map(str, command)), env={**os.environ, **environment}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done


def test_train_and_resume(tmp_path, capsys):
    config = write_config(tmp_path)
    program = [sys.executable, ROOT / 'tools/train.py', config]
    first = run([*program, '--cfg-options', 'train_cfg.max_iters=3'])
    work_dir = tmp_path / 'work_dirs' / 'toy'
    assert (work_dir / 'last_checkpoint').read_text() == 'iter_3.pth'
    assert (work_dir / 'pictures' / 'iter_000003.png').exists()
    (log_file,) = work_dir.glob('*/*.log')
    text = 'Hooks will be executed'
    assert text in log_file.read_text() and text not in first.stdout + first.stderr

    workers = ['train_dataloader.num_workers=2', 'train_dataloader.persistent_workers=True']
    tool['main']([str(config), '--resume', '--cfg-options', *workers])
    assert 'note: ' not in capsys.readouterr().err
    checkpoint = torch.load(work_dir / 'iter_4.pth', weights_only=True)
    assert len(checkpoint['message_hub']['log_scalars']['train/loss_g']['log_history']) == 4
    tool['main']([str(config), '--cfg-options', 'train_cfg.max_iters=1'])
    assert 'work_dirs/toy has checkpoints; --resume continues them' in capsys.readouterr().err


def test_two_processes_on_cpus_from_a_path_with_spaces(tmp_path):
    tools = Path(shutil.copytree(ROOT / 'tools', tmp_path / 'my tools'))
    work, config = tmp_path / 'my work', write_config(tools)
    command = [tools / 'dist_train.sh', config, 2, '--work-dir', work]
    run(command, PYTHON=sys.executable, PORT=str(20000 + os.getpid() % 20000))
    assert any('GPU number: 2' in log.read_text() for log in work.glob('*/*.log'))
    checkpoint = torch.load(work / 'iter_4.pth', weights_only=True)
    first, second = checkpoint['random_states']  # of processes that draw different noise
    assert all(first[k] != second[k] for k in ('python', 'numpy'))
    assert not torch.equal(first['torch'], second['torch'])
    assert checkpoint['data']['position'] == 4 * 2 * 2
    # Files of the first process alone.
    assert len(list(work.rglob('*.log'))) == len(list(work.rglob('scalars.json'))) == 1
    names = sorted(path.name for path in (work / 'pictures').iterdir())
    assert names == [f'iter_{i:06d}.png' for i in (0, 2, 4)]


def test_slurm_script(tmp_path):
    fake = tmp_path / 'srun'
    fake.write_text('#!/bin/sh\nfor a in "$@"; do echo "$a"; done\n')
    fake.chmod(0o755)
    path = f'{tmp_path}:{os.environ["PATH"]}'
    command = [ROOT / 'tools' / 'slurm_train.sh', 'gpu', 'a job', 'my config.py', '--amp']
    arguments = run(command, PATH=path, GPUS='4', SRUN_ARGS='--qos=x -x n1').stdout.splitlines()
    wanted = ['--partition=gpu', '--job-name=a job', '--gres=gpu:4', '--ntasks=4']
    wanted += ['--ntasks-per-node=4', '--cpus-per-task=5', '--kill-on-bad-exit=1']
    assert arguments[:10] == [*wanted, '--qos=x', '-x', 'n1']
    assert arguments[-4:] == ['my config.py', '--launcher', 'slurm', '--amp']
    short = subprocess.run(list(map(str, command[:3])), capture_output=True, text=True)
    assert short.returncode == 2 and 'usage:' in short.stderr


def test_work_dir_and_options(prepared, tmp_path):
    more = 'work_dir = "from config"\nval_cfg = dict()\nval_dataloader = dict(batch_size=1)\n'
    config = write_config(tmp_path, more)
    cfg = prepared(config)
    assert cfg.work_dir == 'from config' and cfg.val_dataloader.batch_size == 1
    cfg = prepared(config, '--no-validate', '--cfg-options', 'work_dir=x', 'train_cfg.max_iters=9')
    assert cfg.val_cfg is cfg.val_dataloader is cfg.val_evaluator is None
    assert cfg.work_dir == 'x' and cfg.train_cfg.max_iters == 9
    assert prepared(config, '--work-dir', 'w', '--cfg-options', 'work_dir=x').work_dir == 'w'


def test_auto_scale_lr_reaches_the_optimizers(tmp_path):
    config = write_config(tmp_path, 'auto_scale_lr = dict(base_batch_size=16)\n')
    tool['main']([str(config), '--auto-scale-lr', '--cfg-options', 'train_cfg.max_iters=1'])
    checkpoint = torch.load(tmp_path / 'work_dirs/toy/iter_1.pth', weights_only=True)
    # Batch size 2 instead of 16, on top of the correction.
    for name, lr in dict(generator=0.0016 / 8, discriminator=0.002 * 16 / 17 / 8).items():
        assert checkpoint['optimizer'][name]['param_groups'][0]['lr'] == pytest.approx(lr)


def test_amp(prepared, tmp_path):
    config = write_config(tmp_path)
    for arguments, dtype in ((['--amp'], 'bfloat16'), (['--amp', 'fp16'], 'float16')):
        wrappers = prepared(config, *arguments).optim_wrapper
        for wrapper in (wrappers.generator, wrappers.discriminator):
            wanted = ('mmcoordgan.MixedPrecisionOptimWrapper', dtype)
            assert (wrapper.type, wrapper.dtype) == wanted
    own = Config(dict(optim_wrapper=dict(type='ApexOptimWrapper', optimizer=dict(type='Adam'))))
    with pytest.raises(Exception, match='cannot replace the optimizer wrapper ApexOptimWrapper'):
        tool['use_amp'](own, 'bf16')


def test_errors_of_users_are_one_message_and_bugs_keep_their_traceback(tmp_path, refused):
    config = write_config(tmp_path)
    folder = ['--cfg-options', 'train_dataloader.dataset.folder=no/images']
    error = refused('train.py', config, *folder, code=1)
    assert error.startswith('data folder no/images does not exist (asked for by ')
    assert 'engine_toy.py, line ' in error
    config.write_text(f'{config.read_text()}train_dataloader["dataset"]["length"] = "x"\n')
    with pytest.raises(TypeError):
        tool['main']([str(config)])


def test_resume_from_a_file(prepared, tmp_path, refused):
    path = tmp_path / 'some.pth'
    torch.save({'state_dict': {}}, path)
    config = write_config(tmp_path, 'model["pretrained_generator"] = "start.pth"\n')
    assert prepared(config).model.pretrained_generator == 'start.pth'
    cfg = prepared(config, '--resume', path)
    assert (cfg.load_from, cfg.resume) == (str(path), True)
    assert cfg.model.pretrained_generator is None
    error = refused('train.py', config, '--resume', 'none.pth')
    assert error == 'checkpoint none.pth does not exist, or is no file'


def test_resume_from_the_last_one(prepared, tmp_path, refused, capsys, monkeypatch):
    config = write_config(tmp_path, 'load_from = "start.pth"\nresume = True\n')
    torch.save({'state_dict': {}}, 'start.pth')
    cfg = prepared(config, '--resume')
    assert (cfg.load_from, cfg.resume) == ('start.pth', False)
    assert 'no checkpoint in work_dirs/toy yet' in capsys.readouterr().out

    monkeypatch.setattr(sys, 'stdin', SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr('builtins.input', lambda question: 'n')
    error = refused('train.py', config, '--work-dir', 'typo', '--resume')
    assert error.startswith('there is no checkpoint in typo: ')
    shutil.copy('start.pth', 'work_dirs/toy/iter_2.pth')
    cfg = prepared(config, '--resume')
    assert cfg.resume and os.path.samefile(cfg.load_from, 'work_dirs/toy/iter_2.pth')


def test_the_config_in_the_work_dir_is_the_users(tmp_path):
    """What resuming and testing change for themselves does not reach it."""
    config = write_config(tmp_path, 'model["pretrained_generator"] = "start.pth"\n')
    torch.save(ToyGenerator().state_dict(), 'start.pth')
    run = [str(config), '--cfg-options', f'experiment_name={tmp_path.name}']
    tool['main']([*run, 'train_cfg.max_iters=2', 'default_hooks.pictures=None'])
    assert not Path('work_dirs/toy/pictures').exists()
    tool['main']([run[0], '--resume', *run[1:-1], f'experiment_name={tmp_path.name}_2'])
    written = Config.fromfile('work_dirs/toy/toy.py')
    assert written.model.pretrained_generator == 'start.pth'
    assert (written.load_from, written.resume) == (None, False)
    assert Path('work_dirs/toy/iter_4.pth').exists()


def test_other_files_are_not_unpickled_either(tmp_path, refused, monkeypatch):
    """A model may read a file by itself: nothing in this process may run what it holds."""
    monkeypatch.setenv('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', '1')
    torch.save(Payload(), 'bad.pth')
    config = write_config(tmp_path, 'model["pretrained_generator"] = "bad.pth"\n')
    load = torch.load
    monkeypatch.setattr(torch, 'load', lambda path, **_: load(path, weights_only=False))
    error = refused('train.py', config, code=1)
    assert error.startswith('a checkpoint is refused') and not os.path.exists('executed')


def test_launchers_without_their_environment(tmp_path, refused, monkeypatch):
    monkeypatch.setattr('mmcoordgan.cli.launch.get_device', lambda: 'cpu')
    config = write_config(tmp_path)
    error = refused('train.py', config, '--launcher', 'pytorch')
    assert 'needs RANK, WORLD_SIZE, MASTER_ADDR in the environment' in error
    error = refused('train.py', config, '--launcher', 'slurm')
    assert 'slurm needs GPUs; on CPUs, use torchrun and --launcher pytorch' in error


@pytest.mark.parametrize(
    ('side', 'chosen', 'expected'), [(32, None, [2]), (128, None, []), (32, '4', [])]
)
def test_small_models_compute_in_two_threads(side, chosen, expected, monkeypatch):
    monkeypatch.delenv('OMP_NUM_THREADS', raising=False)
    if chosen:
        monkeypatch.setenv('OMP_NUM_THREADS', chosen)
    seen = []
    monkeypatch.setattr(torch, 'get_num_threads', lambda: 16)
    monkeypatch.setattr(torch, 'set_num_threads', seen.append)
    tool['limit_threads'](Config(dict(model=dict(generator=dict(base_resolution=side)))))
    assert seen == expected
