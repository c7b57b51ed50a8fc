"""tools/model_converters/export_onnx.py: the same results in onnxruntime, or no file."""

from __future__ import annotations

import runpy
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
import torch

from mmcoordgan.apis import load_trained
from mmcoordgan.models.networks import CoordGANEncoder, CoordGANGenerator

onnxruntime = pytest.importorskip(
    'onnxruntime', reason="needs pip install -e '.[onnx]', and PyTorch 2.5 or newer"
)
ROOT = Path(__file__).parents[2]
tool = runpy.run_path(str(ROOT / 'tools' / 'model_converters' / 'export_onnx.py'))

GENERATOR = dict(
    image_size=32,
    base_resolution=16,
    structure_dim=8,
    texture_dim=6,
    channels=8,
    num_levels=1,
    warp_channels=16,
    warp_residual=True,
)
ENCODER = dict(
    input_size=32,
    structure_width=8,
    texture_width=6,
    num_texture_codes=6,
    channels=(4, 8, 8),
    structure_channels=4,
    texture_channels=(8,),
)


def save(path: Path, encoder: bool = True) -> str:
    """A checkpoint with weights for which no part of the result is negligible."""
    model = dict(generator=dict(type='CoordGANGenerator', **GENERATOR))
    networks = {'generator': CoordGANGenerator(**GENERATOR)}
    if encoder:
        model['encoder'] = dict(type='CoordGANEncoder', **ENCODER)
        networks['encoder'] = CoordGANEncoder(**ENCODER)
    state = {}
    for name, network in networks.items():
        for key, value in network.state_dict().items():
            state[f'{name}.{key}'] = torch.randn(value.shape) * 0.5 if value.dim() else value
    torch.save({'state_dict': state, 'meta': {'cfg': f'model = {model!r}'}}, path)
    return str(path)


@pytest.fixture(scope='module')
def exported(tmp_path_factory):
    """A folder with model.pth and model.onnx, and what was printed."""
    folder = tmp_path_factory.mktemp('export')
    torch.manual_seed(3)
    checkpoint, printed = save(folder / 'model.pth'), StringIO()
    with redirect_stdout(printed), pytest.raises(SystemExit) as end:
        tool['main']([checkpoint, '--out', str(folder / 'new' / 'model.onnx'), '--threads', '1'])
    assert end.value.code == 0
    return folder, printed.getvalue()


@pytest.mark.parametrize('batch', [1, 3])
def test_onnxruntime_gives_what_pytorch_gives(exported, batch):
    folder, _ = exported
    session = onnxruntime.InferenceSession(folder / 'new' / 'model.onnx')
    images = torch.rand(batch, 3, 32, 32) * 2 - 1
    coords, structure_w, texture_w = session.run(None, {'images': images.numpy()})
    wanted = load_trained(folder / 'model.pth').invert(images)
    assert coords.shape == (batch, 2, 16, 16) and texture_w.shape == (batch, 6, 6)
    assert batch == 1 or wanted.coords.std(dim=0).max() > 1e-3  # maps depend on the picture
    for ours, theirs in (
        (coords, 'coords'),
        (structure_w, 'structure_w'),
        (texture_w, 'texture_w'),
    ):
        np.testing.assert_allclose(ours, getattr(wanted, theirs), atol=1e-5, err_msg=theirs)


def test_the_file_says_what_it_takes_and_gives(exported):
    folder, printed = exported
    session = onnxruntime.InferenceSession(folder / 'new' / 'model.onnx')
    (images,) = session.get_inputs()
    assert (images.name, images.shape, images.type) == (
        'images',
        ['batch', 3, 32, 32],
        'tensor(float)',
    )
    shapes = {output.name: output.shape for output in session.get_outputs()}
    assert shapes == {
        'coords': ['batch', 2, 16, 16],
        'structure_w': ['batch', 8],
        'texture_w': ['batch', 6, 6],
    }
    about = session.get_modelmeta().custom_metadata_map
    assert 'RGB images in [-1, 1]' in about['images'] and '32 x 32' in about['images']
    assert 'x first' in about['coords'] and about['checkpoint'] == 'model.pth'
    assert printed.count('largest error: coords') == 3
    assert 'batch of 1, 1 threads: PyTorch ' in printed and ' ms, ONNX ' in printed


@pytest.fixture
def quick(exported, tmp_path, monkeypatch):
    """Call the tool on the exported model, in place of old.onnx; the exit code."""
    folder, _ = exported
    content = (folder / 'new' / 'model.onnx').read_bytes()
    (tmp_path / 'old.onnx').write_text('what was there')

    class Model:
        SerializeToString = staticmethod(lambda: content)

    monkeypatch.setitem(tool['main'].__globals__, 'to_onnx', lambda network, source: Model)

    def run() -> int:
        out = str(tmp_path / 'old.onnx')
        with pytest.raises(SystemExit) as end:
            tool['main']([str(folder / 'model.pth'), '--out', out, '--force'])
        return end.value.code

    return run


def off_by(error: float):
    def change(results: list[np.ndarray]) -> None:
        results[0][-1, 1, 3, 5] += error

    return change


def cut(results: list[np.ndarray]) -> None:
    results[1] = results[1][:, :-1]


@pytest.mark.parametrize('change', [off_by(1.1e-4), off_by(float('nan')), cut])
def test_other_results_are_not_written(quick, change, tmp_path, monkeypatch, capsys):
    names = tool['main'].__globals__
    start_session = names['start_session']

    def off(model, threads):
        session = start_session(model, threads)

        def run(images):
            results = session(images)
            change(results)
            return results

        return run

    monkeypatch.setitem(names, 'start_session', off)
    assert quick() == 1
    printed = capsys.readouterr()
    assert 'old.onnx is not written: results are not within 0.0001' in printed.err
    assert ('structure_w is (5, 7), but in PyTorch (5, 8)' in printed.out) == (change is cut)
    assert (tmp_path / 'old.onnx').read_text() == 'what was there'


def fails(arguments, capsys) -> str:
    with pytest.raises(SystemExit) as end:
        tool['main']([str(argument) for argument in arguments])
    assert end.value.code == 2
    return capsys.readouterr().err


def test_bad_arguments(tmp_path, capsys):
    checkpoint = save(tmp_path / 'first.pth', encoder=False)
    out = tmp_path / 'm.onnx'
    assert 'first.pth is a checkpoint of stage 1' in fails([checkpoint, '--out', out], capsys)
    assert 'none.pth does not exist' in fails(['none.pth', '--out', out], capsys)
    assert 'must end in .onnx' in fails([checkpoint, '--out', 'm.pth'], capsys)
    message = fails([checkpoint, '--out', out, '--batch-size', 0], capsys)
    assert '--batch-size must be at least 1' in message
    assert not out.exists()
