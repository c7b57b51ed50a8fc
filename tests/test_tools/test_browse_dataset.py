import subprocess
import sys

import numpy as np
from doc_blocks import ROOT
from PIL import Image

TOOL = 'analysis_tools/browse_dataset.py'
CONFIG = """
default_scope = 'mmcoordgan'
train_dataloader = dict(
    batch_size=2, num_workers=2, persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='LabelledFolder', data_root='.', img_dir='images', label_dir='masks',
        classes=['background', 'right'],
        pipeline=[dict(type='LoadImage', size=8), dict(type='ResizeWithSoftLabels', size=8),
                  dict(type='PackInputs')],
    ),
)
"""


def test_images_and_labels_as_the_loader_gives_them(run_tool, refused, tmp_path, capsys):
    for folder in ('images', 'masks'):
        (tmp_path / folder).mkdir()
    mask = np.repeat(np.uint8([[0, 1]]), 4, axis=1).repeat(8, axis=0)
    for index in range(3):
        Image.new('RGB', (8, 8), (40 * index, 40, 40)).save(tmp_path / f'images/{index}.png')
        Image.fromarray(mask).save(tmp_path / f'masks/{index}.png')
    (tmp_path / 'mine.py').write_text(CONFIG)
    run_tool(TOOL, 'mine.py', '--out', 'shown', '-n', 2)
    assert '2 images are in shown' in capsys.readouterr().out
    assert sorted(p.name for p in (tmp_path / 'shown').iterdir()) == ['00000.png', '00001.png']
    shown = np.asarray(Image.open(tmp_path / 'shown' / '00001.png'))[100]
    assert shown[60].tolist() == [40, 40, 40]
    assert (shown[256 + 60] != shown[256 + 220]).any()  # the right half is labelled
    error = refused(TOOL, 'mine.py', '--out', 'shown', '--phase', 'val')
    assert 'mine.py has no val_dataloader' in error
    command = [sys.executable, ROOT / 'tools' / TOOL]  # without the scope of the tests
    command += ['coordgan/toyfaces_32_encoder.py', '--out=toy', '--phase=test', '-n', '1']
    subprocess.run(command, check=True)
    assert Image.open(tmp_path / 'toy' / '00000.png').width > 500  # points beside the image
