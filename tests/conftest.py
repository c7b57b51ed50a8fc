"""Shared test settings."""

import os
import runpy
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from mmengine.registry import DefaultScope

# This checkout, and the helpers of its tests, here and in the programs that tests start.
ROOT = Path(__file__).parents[1]
FOLDERS = '. tests tests/data/reference tests/fuzz tests/test_evaluation tests/test_models'
TOOLS = 'tools/analysis_tools tools/dataset_converters tools/model_converters'
CHECKOUT = [str(ROOT / folder) for folder in f'{FOLDERS} {TOOLS}'.split()]
sys.path[:0] = CHECKOUT
os.environ['PYTHONPATH'] = os.pathsep.join(CHECKOUT)
os.environ['PYTHONWARNINGS'] = 'ignore'
os.environ.setdefault('OMP_NUM_THREADS', '1')

# What needs MMagic is collected where it is installed: README, "With MMagic".
HAS_MMAGIC = find_spec('mmagic') is not None
collect_ignore = [] if HAS_MMAGIC else ['test_mmagic']


def pytest_report_header() -> str:
    return 'tests/test_mmagic: ' + ('collected' if HAS_MMAGIC else 'MMagic is not installed')


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What tools that run in this process set there is undone after the test."""
    for name in ('TORCH_FORCE_WEIGHTS_ONLY_LOAD', 'LOCAL_RANK'):
        monkeypatch.setenv(name, '0')


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run_tool(monkeypatch: pytest.MonkeyPatch, elsewhere: None):
    """Call a file of ``tools/`` with arguments, in an empty folder."""

    def run(tool: str, *arguments: object) -> None:
        monkeypatch.setattr(sys, 'argv', [tool, *map(str, arguments)])
        runpy.run_path(str(ROOT / 'tools' / tool), run_name='__main__')

    return run


@pytest.fixture
def refused(run_tool, capsys: pytest.CaptureFixture):
    """Call a file of ``tools/`` that ends with an error; the message."""

    def run(tool: str, *arguments: object, code: int = 2) -> str:
        with pytest.raises(SystemExit) as end:
            run_tool(tool, *arguments)
        assert end.value.code == code
        return capsys.readouterr().err.strip().partition(': error: ')[2]

    return run


@pytest.fixture(autouse=True)
def _own_default_scope() -> Iterator[None]:
    """Configs and MMagic's tests set MMEngine's default scope: until the end of the test only."""
    with DefaultScope.overwrite_default_scope('mmcoordgan'):
        yield


@pytest.fixture(scope='session')
def lpips(tmp_path_factory: pytest.TempPathFactory):
    """LPIPS on the deterministic VGG16 behind the reference numbers, read from a file."""
    import reference

    from mmcoordgan.models.losses import LPIPSLoss

    path = tmp_path_factory.mktemp('vgg') / 'vgg16.pth'
    torch.save(reference.vgg_state_dict(), path)
    loss = LPIPSLoss(vgg_weights=str(path))
    path.unlink()
    return loss


@pytest.fixture(scope='session')
def stage1(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The checkpoint of a tiny generator."""
    from tiny_inversion import STAGE1, write_checkpoint

    path = tmp_path_factory.mktemp('stage1') / 'x.pth'
    write_checkpoint(path, STAGE1)
    return str(path)


@pytest.fixture(scope='session')
def stage2(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The checkpoint of a tiny generator and encoder, with its config's evaluator."""
    from tiny_inversion import EVALUATOR, write_checkpoint

    path = tmp_path_factory.mktemp('stage2') / 'x.pth'
    write_checkpoint(path, test_evaluator=[EVALUATOR])
    return str(path)


@pytest.fixture(scope='session')
def inferencer(stage2: str):
    from mmcoordgan.apis import CoordGANInferencer

    return CoordGANInferencer(stage2, device='cpu', show_progress=False)


@pytest.fixture(scope='session')
def sampler(stage1: str):
    """An inferencer without an encoder."""
    from mmcoordgan.apis import CoordGANInferencer

    return CoordGANInferencer(stage1, device='cpu', show_progress=False)


@pytest.fixture(scope='session')
def untrained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Checkpoints of both stages' toy configs, by these configs' names."""
    from mmengine.config import Config

    from mmcoordgan.registry import MODELS

    folder, paths = tmp_path_factory.mktemp('untrained'), {}
    for name in ('toyfaces_32', 'toyfaces_32_encoder'):
        cfg = Config.fromfile(ROOT / 'configs' / 'coordgan' / f'{name}.py')
        if cfg.model.get('refinement'):
            cfg.model.refinement.steps = 2
        torch.manual_seed(0)
        with MODELS.switch_scope_and_registry('mmcoordgan') as registry:
            model = registry.build(cfg.model)
        paths[name] = folder / f'{name}.pth'
        content = {'state_dict': model.state_dict(), 'meta': {'cfg': cfg.pretty_text}}
        torch.save(content, paths[name])
    return paths


@pytest.fixture(scope='session')
def datasetgan_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """DatasetGAN's files, synthetic ones that the reference's numbers were made with."""
    import evaluation_data

    root = tmp_path_factory.mktemp('datasetgan')
    evaluation_data.datasetgan(str(root))
    return root / 'datasetgan'
