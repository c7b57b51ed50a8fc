"""Which perceptual distance tells structure from texture."""

import os
import subprocess
import sys

from doc_blocks import ROOT


def test_the_structure_tensor_does_and_colors_do_not():
    tool = ROOT / 'tools' / 'analysis_tools' / 'compare_distances.py'
    printed = subprocess.run(
        [sys.executable, str(tool), '--size', '32', '--count', '12'],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
    ).stdout
    rows = [line.strip('| ').split(' | ') for line in printed.splitlines() if line[:1] == '|'][2:]
    scores = {name: float(auc) for name, auc, _ in rows}
    assert scores['StructureTensorLoss'] > 0.95 > 0.3 > scores['L1']
    assert len(scores) == 5
