"""tools/analysis_tools/benchmark_inference.py: flat memory, and figures that add up."""

import re

import pytest
from tiny_inversion import SIZE

TOOL = 'analysis_tools/benchmark_inference.py'


@pytest.mark.slow
def test_memory_is_flat(run_tool, stage2, capsys):
    arguments = ['--counts', 20, 520, '--references', 2, '--size', SIZE]
    run_tool(TOOL, stage2, *arguments)
    printed = capsys.readouterr().out
    rows = [line.split() for line in printed.splitlines() if re.match(r' +(20|520) ', line)]
    assert [row[:2] for row in rows] == [['20', '1'], ['20', '8'], ['520', '1'], ['520', '8']]
    peaks = [float(row[4]) for row in rows]
    # 500 images more: 16 KiB kept of each would be seen. Names and paths take some hundred bytes.
    assert peaks[2] - peaks[0] < 8 and peaks[3] - peaks[1] < 8, printed
    assert rows[0][5:] == rows[1][5:]  # the batch changes no label


def test_untrained_networks_are_timed(run_tool, capsys):
    run_tool(TOOL, '--untrained', 'coordgan/toyfaces_32_encoder.py')
    lines = [line.split() for line in capsys.readouterr().out.splitlines()[-3:]]
    transfer, rendering, both = (float(line[-1]) for line in lines)
    assert both == pytest.approx(transfer + rendering, abs=0.02) and both > 0
