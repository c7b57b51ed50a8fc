"""Which perceptual distance tells structure from texture."""


def test_the_structure_tensor_does_and_colors_do_not(run_tool, capsys):
    run_tool('analysis_tools/compare_distances.py', '--size', 32, '--count', 12)
    lines = capsys.readouterr().out.splitlines()
    rows = [line.strip('| ').split(' | ') for line in lines if line[:1] == '|'][2:]
    scores = {name: float(auc) for name, auc, _ in rows}
    assert scores['StructureTensorLoss'] > 0.95 > 0.3 > scores['L1']
    assert len(scores) == 5
