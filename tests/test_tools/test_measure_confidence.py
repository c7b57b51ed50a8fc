"""tools/analysis_tools/measure_confidence.py"""

import re

import numpy as np


def test_the_bundled_model(run_tool, capsys):
    tool = 'analysis_tools/measure_confidence.py'
    run_tool(tool, 'toyfaces_32', 'toyfaces', '--positions', ':40')
    out = capsys.readouterr().out
    cycle, doubt = (float(value) for value in re.findall(r'AUC by .*: (\S+)', out))
    assert 0.5 < cycle < doubt < 1
    rows = np.float64(re.findall(r'\| (\S+)% \| (\S+)% \| \d+ \|', out))
    assert len(rows) == 8 and np.allclose(rows[:, 0], rows[:, 1], atol=1)
