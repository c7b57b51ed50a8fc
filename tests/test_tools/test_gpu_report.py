"""tools/analysis_tools/gpu_report.py on a CPU and tiny sizes."""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / 'tools' / 'analysis_tools'))
import gpu_report


def test_every_section(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, 'argv', ['x', '--device', 'cpu', '--out', str(tmp_path)])
    gpu_report.main()
    sections = json.loads((tmp_path / 'report.json').read_text())['sections']
    checks = sections['results beside the CPU']
    assert len(checks) == 7 and all(row['passes'] for row in checks)
    steps = sections['steps']
    assert len(steps) == 4 and all(row['passes'] for row in steps)
    assert all(row['losses'] < 1e-5 for row in steps if not row['bf16'])
    assert all(row['error'] < 1e-5 for row in sections['TensorFloat-32'])
    assert {row['method'] for row in sections['soft transfer, both passes']} == {
        'near pixels',
        'all pairs',
    }
    (training,) = sections['training']
    assert training['images/s'] > 0 and training['ms with R1'] > training['ms'] > 0
    table = (tmp_path / 'report.md').read_text()
    assert '### training' in table and '| config | batch | bf16 |' in table
