"""The benchmarks of tools/analysis_tools: what they compare, count and print."""

import re
from concurrent.futures import ThreadPoolExecutor

import benchmark_geometry
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from measuring import FlopCount
from tiny_inversion import SIZE

INFERENCE = 'analysis_tools/benchmark_inference.py'


@pytest.mark.slow
def test_memory_of_inference_is_flat(run_tool, stage2, capsys):
    run_tool(INFERENCE, stage2, '--counts', 20, 520, '--references', 2, '--size', SIZE)
    printed = capsys.readouterr().out
    rows = [line.split() for line in printed.splitlines() if re.match(r' +(20|520) ', line)]
    assert [row[:2] for row in rows] == [['20', '1'], ['20', '8'], ['520', '1'], ['520', '8']]
    peaks = [float(row[4]) for row in rows]
    # 500 images more: 16 KiB kept of each would be seen. Names and paths take some hundred bytes.
    assert peaks[2] - peaks[0] < 8 and peaks[3] - peaks[1] < 8, printed


def test_untrained_networks_are_timed(run_tool, capsys):
    run_tool(INFERENCE, '--untrained', 'coordgan/toyfaces_32_encoder.py')
    lines = [line.split() for line in capsys.readouterr().out.splitlines()[-3:]]
    transfer, rendering, both = (float(line[-1]) for line in lines)
    assert both == pytest.approx(transfer + rendering, abs=0.02) and both > 0


def test_operations_are_counted_forward_and_backward():
    x, weight = torch.randn(2, 3, 8, 8), torch.randn(5, 3, 3, 3, requires_grad=True)
    with FlopCount() as counter:
        F.conv2d(x, weight, padding=1).square().sum().backward()
    # Two operations for every product: once forward, once for the gradient of the weights.
    assert counter.total == 2 * 2 * (2 * 8 * 8) * 5 * (3 * 3 * 3)


def test_every_part_of_the_toy_training(run_tool, monkeypatch, capsys):
    monkeypatch.setattr(torch, 'set_num_threads', lambda count: None)
    run_tool('analysis_tools/benchmark_training.py', 'coordgan/toyfaces_32.py')
    lines = capsys.readouterr().out.partition('images/s')[2].splitlines()[1:]
    rows = {line[:28].strip(): line[28:].split() for line in lines}
    assert len(rows) == 7 and {'generator, forward', 'R1', 'iteration with R1'} < set(rows)
    seconds = {name: float(row[0]) for name, row in rows.items()}
    assert all(value > 0 for value in seconds.values())
    assert seconds['iteration with R1'] > seconds['generator, both']


def test_the_doubt_tells_bad_matches_of_the_bundled_model(run_tool, refused, capsys):
    tool = 'analysis_tools/measure_confidence.py'
    run_tool(tool, 'toyfaces_32', 'toyfaces', '--positions', ':80')
    out = capsys.readouterr().out
    cycle, doubt = (float(value) for value in re.findall(r'AUC by .*: (\S+)', out))
    assert 0.5 < cycle < doubt < 1
    rows = np.float64(re.findall(r'\| (\S+)% \| (\S+)% \| \d+ \|', out))
    assert len(rows) == 8 and np.allclose(rows[:, 0], rows[:, 1], atol=1)
    few = refused(tool, 'toyfaces_32', 'toyfaces', '--positions', ':3')
    assert '--positions :3 leaves 3 images' in few
    few = refused('analysis_tools/inspect_generator.py', 'toyfaces_32', '--samples', 1)
    assert '--samples must be at least 2, but is 1' in few
    assert 'or --untrained CONFIG' in refused('analysis_tools/benchmark_inference.py')


@pytest.mark.parametrize('function', benchmark_geometry.METHODS)
def test_methods_of_geometry_that_are_compared_compute_the_same(function):
    inputs = benchmark_geometry.inputs_of(function, 16, 'cpu')
    first, *others = (call(*inputs) for call in benchmark_geometry.METHODS[function].values())
    for other in others:
        torch.testing.assert_close(other, first.reshape(other.shape), atol=1e-4, rtol=0)


def test_every_section_of_the_gpu_report(run_tool, monkeypatch, capsys):
    monkeypatch.setattr(benchmark_geometry, 'ProcessPoolExecutor', ThreadPoolExecutor)
    run_tool('analysis_tools/gpu_report.py', '--device', 'cpu')
    out = capsys.readouterr().out
    errors = {name: float(x) for name, x in re.findall(r'(.*\S) +(\S+e\S+)  passes', out)}
    assert len(errors) == 9 + 8 and 'FAILS' not in out
    assert all(error < 1e-5 for name, error in errors.items() if 'bfloat16' not in name)
    timed = re.findall(r' +16 (\S.*\S) +([\d.]+) +[\d.]+', out)
    assert [method for method, _ in timed[:3]] == ['near pixels', 'all pairs', 'all pairs, cdist']
    assert len(timed) == 7 and float(re.search(r'product .*: (\S+) TFLOP/s', out)[1]) > 0
    plain, regular = re.findall(r'iteration(?: with R1)? +([\d.]+) ', out)
    assert float(regular) > float(plain) > 0
