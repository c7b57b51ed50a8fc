"""tools/analysis_tools/measure_confidence.py"""

import re
import runpy
from pathlib import Path

import numpy as np
import pytest

TOOL = Path(__file__).parents[2] / 'tools/analysis_tools/measure_confidence.py'


def test_the_bundled_model(run_tool, capsys):
    run_tool(
        'analysis_tools/measure_confidence.py', 'toyfaces_32', 'toyfaces', '--positions', ':40'
    )
    out = capsys.readouterr().out
    cycle, doubt = (float(value) for value in re.findall(r'AUC by .*: (\S+)', out))
    assert 0.5 < cycle < doubt < 1
    expected, measured, _ = zip(*re.findall(r'\| (\S+)% \| (\S+)% \| (\d+) \|', out))
    assert len(expected) == 8 and np.allclose(
        *(np.float64(v) for v in (expected, measured)), atol=1
    )


def test_auc():
    auc = runpy.run_path(str(TOOL))['auc']
    bad = np.array([False, False, True, True])
    assert auc(np.array([1.0, 3, 2, 4]), bad) == 0.75 and auc(np.ones(4), bad) == 0.5


def test_too_few_images(run_tool, capsys):
    with pytest.raises(SystemExit):
        run_tool(
            'analysis_tools/measure_confidence.py', 'toyfaces_32', 'toyfaces', '--positions', ':3'
        )
    assert '--positions :3 leaves 3 images' in capsys.readouterr().err
