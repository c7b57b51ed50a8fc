"""What ``import mmcoordgan`` costs those who want no more than its core."""

import subprocess
import sys

PROGRAM = """
import sys
import cv2, mmcv.transforms, mmengine.runner, torch  # which import torchvision where they can
before = set(sys.modules)
import mmcoordgan
from mmcoordgan import registry
for name in vars(registry):
    if name.isupper():
        getattr(registry, name).import_from_location()
import mmcoordgan.apis, mmcoordgan.geometry, mmcoordgan.visualization
heavy = ('mmagic', 'torchvision', 'torch_fidelity', 'scipy', 'diffusers', 'transformers')
print(*[name for name in heavy if name in sys.modules and name not in before])
"""


def test_nothing_heavy_is_imported():
    """Neither by the package, nor by any of its registries' components."""
    done = subprocess.run([sys.executable, '-c', PROGRAM], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []
