"""tools/analysis_tools/simulate_gpu.py: no mixed devices, and no more waiting than stated."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]
TOOL = ROOT / 'tools' / 'analysis_tools' / 'simulate_gpu.py'
READ = 'copy to the host at mmcoordgan/models/finite.py'
SEARCH = 'tolist at mmcoordgan/geometry/_near.py'
RANGE = 'item at mmcoordgan/geometry/_checks.py'
STATED = {
    # One for every optimizer step, one for every search; whatever the batch.
    'toyfaces_32': {
        'training with R1': {READ: 3, SEARCH: 2},
        'training': {READ: 2, SEARCH: 1},
        'testing': {},
        'inference': {SEARCH: 2, RANGE: 2},
    },
}


@pytest.mark.skipif(torch.version.cuda is not None, reason='simulates with the CPU build only')
@pytest.mark.skipif(shutil.which('c++') is None, reason='needs a C++ compiler')
@pytest.mark.parametrize('batch', [4, 8])
@pytest.mark.parametrize('config', STATED)
def test_the_host_waits_no_more_than_stated(config, batch, tmp_path):
    arguments = [f'configs/coordgan/{config}.py', '--batch-size', str(batch), '--amp']
    command = [sys.executable, str(TOOL), *arguments, '--json', str(tmp_path / 'found.json')]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads((tmp_path / 'found.json').read_text())
    for name, stated in STATED[config].items():
        waits: dict[str, int] = {}
        for line, count in found['steps'][name]['syncs'].items():
            place = line.rsplit(':', 1)[0]
            waits[place] = waits.get(place, 0) + count
        assert waits == stated, name
    training = found['steps']['training']
    assert training['kernels'] > 1000 and training['tflop'] > 0 and training['peak_gib'] > 0
    assert found['fits']['12'] < found['fits']['80']
