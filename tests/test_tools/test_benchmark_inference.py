"""tools/analysis_tools/benchmark_inference.py: flat memory, and figures that agree."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tiny_inversion import EVALUATOR, SIZE, write_checkpoint

from mmcoordgan.apis.results import Correspondence
from mmcoordgan.datasets import ToyFaces

ROOT = Path(__file__).parents[2]
TOOL = ROOT / 'tools' / 'analysis_tools' / 'benchmark_inference.py'


@pytest.mark.slow
def test_memory_is_flat_and_the_command_line_scores_as_the_evaluator(tmp_path):
    write_checkpoint(tmp_path / 'x.pth', test_evaluator=[EVALUATOR])
    arguments = ['--counts', '20', '520', '--references', '2', '--size', str(SIZE), '--pairs', '2']
    run = subprocess.run(
        [sys.executable, str(TOOL), str(tmp_path / 'x.pth'), *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    rows = [line.split() for line in run.stdout.splitlines() if re.match(r' +(20|520) ', line)]
    assert [row[:2] for row in rows] == [['20', '1'], ['20', '8'], ['520', '1'], ['520', '8']]
    peaks = [float(row[4]) for row in rows]
    # 500 pictures more: 16 KiB kept of each would be seen. Names and paths take some hundred bytes.
    assert peaks[2] - peaks[0] < 8 and peaks[3] - peaks[1] < 8, run.stdout
    default = re.search(
        r'fused +single +copied\n +0\.05\d* +([\d.]+) +[\d.]+ +([\d.]+)', run.stdout
    )
    assert default is not None, run.stdout
    for row in rows[:2]:
        assert float(row[5]) == pytest.approx(float(default[1]), abs=0.02)
        assert float(row[6]) == pytest.approx(float(default[2]), abs=0.02)


def test_matches_are_refined_too(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOL.parent))
    table = runpy.run_path(str(TOOL))['confidence_table']
    asked = []

    class Asked:
        def correspond(self, a: np.ndarray, b: np.ndarray, refine: int = 0) -> Correspondence:
            asked.append(refine)
            x, y = np.meshgrid(np.arange(32), np.arange(32))
            sure = np.ones((32, 32), np.float32)
            return Correspondence(np.stack([x, y]).astype(np.float32), sure - 1, sure)

    faces = ToyFaces(size=32, length=2, seed=0, cache=False)
    assert len(table(Asked(), faces, 1, 7)) == 1
    assert asked == [7]


def test_untrained_networks_are_timed(run_tool, capsys):
    run_tool(
        'analysis_tools/benchmark_inference.py', '--untrained', 'coordgan/toyfaces_32_encoder.py'
    )
    lines = [line.split() for line in capsys.readouterr().out.splitlines()[-3:]]
    transfer, rendering, both = (float(line[-1]) for line in lines)
    assert both == pytest.approx(transfer + rendering, abs=0.02) and both > 0
