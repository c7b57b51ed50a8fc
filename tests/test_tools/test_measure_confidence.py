"""tools/analysis_tools/measure_confidence.py"""

import re

import measure_confidence
import numpy as np
import pytest

TOOL = 'analysis_tools/measure_confidence.py'


def test_the_bundled_model(run_tool, capsys):
    run_tool(TOOL, 'toyfaces_32', 'toyfaces', '--positions', ':40')
    out = capsys.readouterr().out
    cycle, doubt = (float(value) for value in re.findall(r'AUC by .*: (\S+)', out))
    assert 0.5 < cycle < doubt < 1
    rows = np.float64(re.findall(r'\| (\S+)% \| (\S+)% \| \d+ \|', out))
    assert len(rows) == 8 and np.allclose(rows[:, 0], rows[:, 1], atol=1)
    with pytest.raises(SystemExit):
        run_tool(TOOL, 'toyfaces_32', 'toyfaces', '--positions', ':3')
    assert '--positions :3 leaves 3 images' in capsys.readouterr().err


def test_auc():
    bad, distrust = np.array([False, False, True, True]), np.array([1.0, 3, 2, 4])
    assert measure_confidence.auc(distrust, bad) == 0.75
    assert measure_confidence.auc(np.ones(4), bad) == 0.5
