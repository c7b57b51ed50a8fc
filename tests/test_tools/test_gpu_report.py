"""tools/analysis_tools/gpu_report.py on a CPU and tiny sizes."""

import json
from pathlib import Path


def test_every_section(run_tool):
    run_tool('analysis_tools/gpu_report.py', '--device', 'cpu', '--out', 'report')
    sections = json.loads(Path('report/report.json').read_text())['sections']
    checks, steps = sections['results'], sections['steps']
    assert len(checks) == 9 and all(row['passes'] and row['error'] < 1e-5 for row in checks)
    assert len(steps) == 4 and all(row['passes'] for row in steps)
    assert all(row['losses'] < 1e-5 for row in steps if not row['bf16'])
    timed = sections['soft_transfer, forward and backward']
    assert [row['method'] for row in timed] == ['near pixels', 'all pairs', 'all pairs, cdist']
    (training,) = sections['training']
    assert training['images/s'] > 0 and training['ms with R1'] > training['ms'] > 0
    table = Path('report/report.md').read_text()
    assert '### training' in table and '| config | batch | bf16 |' in table
