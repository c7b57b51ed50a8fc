"""tools/analysis_tools/simulate_gpu.py: no mixed devices, few waits, deterministic mode."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter

import pytest
import torch
from doc_blocks import ROOT

SIMULATE = """
import json
from simulate_gpu import Simulation
import torch
torch.use_deterministic_algorithms(True)
one = Simulation('configs/coordgan/toyfaces_32.py', True)
two = Simulation('configs/coordgan/toyfaces_32_encoder.py', True)
found = {'stage 1': one.run(4), 'larger': one.run(8, 'training'), 'stage 2': two.run(4)}
print(json.dumps(found))
"""
READ = 'copy to the host at mmcoordgan/models/finite.py'
NEAREST = 'search at mmcoordgan/geometry/_near.py'
TRANSFER = 'search at mmcoordgan/geometry/_soft.py'
RANGE = 'item at mmcoordgan/geometry/transfer.py'
# The host waits once for every optimizer step and once for every search, whatever the batch.
STATED = {
    ('stage 1', 'training with R1'): {READ: 3, NEAREST: 1, TRANSFER: 1},
    ('stage 1', 'training'): {READ: 2, NEAREST: 1},
    ('stage 1', 'testing'): {},
    ('stage 1', 'inference'): {NEAREST: 1, TRANSFER: 1, RANGE: 2},
    ('larger', 'training'): {READ: 2, NEAREST: 1},
    ('stage 2', 'training'): {READ: 1},
    ('stage 2', 'testing'): {},
    ('stage 2', 'inference'): {NEAREST: 1, TRANSFER: 1, RANGE: 2},
}


@pytest.fixture(scope='module')
def found() -> dict:
    if torch.version.cuda is not None or shutil.which('c++') is None:
        pytest.skip('simulates with the CPU build of PyTorch and a C++ compiler')
    command = [sys.executable, '-c', SIMULATE]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(('stage', 'step'), STATED)
def test_the_host_waits_no_more_than_stated(found, stage, step):
    waits: Counter[str] = Counter()
    for line, count in found[stage][step]['syncs'].items():
        waits[line.rsplit(':', 1)[0]] += count
    assert waits == STATED[stage, step]


def test_deterministic_training_is_not_refused(found):
    for stage in found.values():
        for name, step in stage.items():
            assert step['refused'] == {}, name


def test_a_larger_batch_makes_no_more_kernels(found):
    small, large = found['stage 1']['training'], found['larger']['training']
    assert 1000 < large['kernels'] < 1.1 * small['kernels']
    assert large['tflop'] > small['tflop'] > 0 and large['peak_gib'] > small['peak_gib'] > 0
