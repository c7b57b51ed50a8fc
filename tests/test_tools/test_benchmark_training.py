"""tools/analysis_tools/benchmark_training.py: counts operations, times every part."""

import torch
import torch.nn.functional as F
from measuring import FlopCount


def test_operations_are_counted_forward_and_backward():
    x, weight = torch.randn(2, 3, 8, 8), torch.randn(5, 3, 3, 3, requires_grad=True)
    with FlopCount() as counter:
        F.conv2d(x, weight, padding=1).square().sum().backward()
    # Two operations for every product: once forward, once for the gradient of the weights.
    assert counter.total == 2 * 2 * (2 * 8 * 8) * 5 * (3 * 3 * 3)


def test_every_part_of_the_toy_training(run_tool, monkeypatch, capsys):
    monkeypatch.setattr(torch, 'set_num_threads', lambda count: None)
    run_tool('analysis_tools/benchmark_training.py', 'coordgan/toyfaces_32.py')
    lines = capsys.readouterr().out.splitlines()
    rows = {line[:28].strip(): line[28:].split() for line in lines[4:]}
    assert len(rows) == 7 and {'generator, forward', 'R1', 'iteration with R1'} < set(rows)
    seconds = {name: float(row[0]) for name, row in rows.items()}
    assert all(value > 0 for value in seconds.values())
    assert seconds['iteration with R1'] > seconds['generator, both'] > 0
