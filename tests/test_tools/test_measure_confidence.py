"""tools/analysis_tools/measure_confidence.py"""

import re

import numpy as np

TOOL = 'analysis_tools/measure_confidence.py'


def test_the_bundled_model(run_tool, refused, capsys):
    run_tool(TOOL, 'toyfaces_32', 'toyfaces', '--positions', ':40')
    out = capsys.readouterr().out
    cycle, doubt = (float(value) for value in re.findall(r'AUC by .*: (\S+)', out))
    assert 0.5 < cycle < doubt < 1
    rows = np.float64(re.findall(r'\| (\S+)% \| (\S+)% \| \d+ \|', out))
    assert len(rows) == 8 and np.allclose(rows[:, 0], rows[:, 1], atol=1)
    error = refused(TOOL, 'toyfaces_32', 'toyfaces', '--positions', ':3')
    assert '--positions :3 leaves 3 images' in error
