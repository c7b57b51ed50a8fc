"""tools/model_converters/export_onnx.py: the same results in onnxruntime, or no file."""

from contextlib import redirect_stdout
from io import StringIO

import export_onnx as tool
import numpy as np
import pytest
import torch
from tiny_inversion import write_checkpoint

from mmcoordgan.apis import load_trained

onnxruntime = pytest.importorskip(
    'onnxruntime', reason="needs pip install -e '.[onnx]', and PyTorch 2.5 or newer"
)


@pytest.fixture(scope='module')
def exported(tmp_path_factory):
    """A folder with model.pth and model.onnx, and what was printed."""
    folder, printed = tmp_path_factory.mktemp('export'), StringIO()
    write_checkpoint(folder / 'model.pth')
    with redirect_stdout(printed):
        out = str(folder / 'new' / 'model.onnx')
        tool.main([str(folder / 'model.pth'), '--out', out, '--threads', '1'])
    return folder, printed.getvalue()


@pytest.mark.parametrize('batch', [1, 3])
def test_onnxruntime_gives_what_pytorch_gives(exported, batch):
    folder, _ = exported
    session = onnxruntime.InferenceSession(folder / 'new' / 'model.onnx')
    images = torch.rand(batch, 3, 16, 16) * 2 - 1
    wanted = load_trained(folder / 'model.pth').invert(images)
    assert batch == 1 or wanted.coords.std(dim=0).max() > 1e-3  # maps depend on the image
    outputs = ['coords', 'structure_w', 'texture_w']
    for name, found in zip(outputs, session.run(outputs, {'images': images.numpy()})):
        np.testing.assert_allclose(found, getattr(wanted, name), atol=1e-5, err_msg=name)


def test_the_file_says_what_it_takes_and_gives(exported):
    folder, printed = exported
    session = onnxruntime.InferenceSession(folder / 'new' / 'model.onnx')
    (images,) = session.get_inputs()
    assert (images.name, images.shape) == ('images', ['batch', 3, 16, 16])
    shapes = {output.name: output.shape[1:] for output in session.get_outputs()}
    assert shapes == dict(coords=[2, 16, 16], structure_w=[6], texture_w=[5])
    about = session.get_modelmeta().custom_metadata_map
    assert 'resized to 16 x 16' in about['images'] and about['checkpoint'] == 'model.pth'
    assert 'one image, 1 threads: PyTorch ' in printed and ' ms, ONNX ' in printed


SPOT = np.arange(2 * 16 * 16).reshape(2, 16, 16) == 300  # one number of a map


@pytest.mark.parametrize(
    'change',
    [lambda x: x[..., :-1], lambda x: np.where(SPOT, np.nan, x), lambda x: x + SPOT * 1.1e-4],
)
def test_other_results_are_not_written(exported, change, tmp_path, monkeypatch, capsys):
    """Too short, not a number, slightly off."""
    folder, _ = exported
    content = (folder / 'new' / 'model.onnx').read_bytes()
    (tmp_path / 'old.onnx').write_text('what was there')
    start_session = tool.start_session

    def off(model, threads):
        session = start_session(model, threads)
        return lambda images: [change(session(images)[0]), *session(images)[1:]]

    monkeypatch.setattr(tool, 'to_onnx', lambda network, source: content)
    monkeypatch.setattr(tool, 'start_session', off)
    with pytest.raises(SystemExit) as end:
        tool.main([str(folder / 'model.pth'), '--out', str(tmp_path / 'old.onnx'), '--force'])
    assert end.value.code == 1
    assert 'not within 0.0001 of what PyTorch gives' in capsys.readouterr().err
    assert (tmp_path / 'old.onnx').read_text() == 'what was there'


def test_a_checkpoint_without_an_encoder(untrained, refused):
    error = refused('model_converters/export_onnx.py', untrained['toyfaces_32'], '--out=m.onnx')
    assert 'toyfaces_32.pth (stage 1) has no encoder' in error
