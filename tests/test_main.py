"""The command ``mmcoordgan``: lists what is in ``tools/`` and runs it as Python and bash would."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mmcoordgan import shipped
from mmcoordgan.__main__ import find_tools, main

ROOT = Path(__file__).parents[1]

SHOW = '''"""Show how ``it`` was started: ``python show.py``.

More of it.
"""
import sys
from multiprocessing import get_context
from helper import HELP
def double(x):
    return 2 * x
if __name__ == '__main__':
    print(__file__, sys.argv, sys.path[0], HELP)
    print(get_context('spawn').Pool(1).map(double, [1, 2]))
    sys.exit(3)
'''
LAUNCHER = """#!/usr/bin/env bash
# Print the arguments.
#   more of it
echo "$(dirname "${BASH_SOURCE[0]}")" "${PYTHON:-python}" "$#" "$@"
exit 4
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package with three files in tools: a program, its helper and a launcher."""
    tools = tmp_path / 'package' / '.mim' / 'tools' / 'more tools'
    tools.mkdir(parents=True)
    (tools / 'show_it.py').write_text(SHOW)
    (tools / 'helper.py').write_text('"""No program."""\nHELP = 7\n')
    (tools / 'print_it.sh').write_text(LAUNCHER)
    (tools.parents[1] / 'model-index.yml').write_text('Import: []\n')
    (tools.parents[1] / 'configs').mkdir()
    monkeypatch.setattr(shipped, 'PACKAGE', tmp_path / 'package')
    monkeypatch.setattr(sys, 'path', list(sys.path))
    return tools


def call(monkeypatch, *arguments: str) -> int | str | None:
    monkeypatch.setattr(sys, 'argv', ['mmcoordgan', *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    return end.value.code


def test_a_program_runs_as_if_called_by_its_path(package, monkeypatch, capfd):
    script = str(package / 'show_it.py')
    command = [sys.executable, script, '--help', '-x', 'a b']
    wanted = subprocess.run(command, capture_output=True, text=True)
    assert wanted.returncode == 3 and '[2, 4]' in wanted.stdout, wanted.stderr
    assert call(monkeypatch, 'show-it', '--help', '-x', 'a b') == 3
    assert capfd.readouterr().out == wanted.stdout


def test_a_launcher_runs_in_bash_with_this_python(package, monkeypatch):
    code = 'from mmcoordgan import __main__, shipped; from pathlib import Path; '
    code += f'shipped.PACKAGE = Path({str(package.parents[2])!r}); __main__.main()'
    monkeypatch.delenv('PYTHON', raising=False)
    command = [sys.executable, '-c', code, 'print-it', '-x', 'a b']
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 4, done.stderr
    assert done.stdout == f'{package} {sys.executable} 2 -x a b\n'


def test_every_program_of_this_package_is_listed(monkeypatch, capsys):
    texts = {path: path.read_text() for path in (ROOT / 'tools').rglob('*.py')}
    programs = {path for path, text in texts.items() if "if __name__ == '__main__':" in text}
    programs |= {*(ROOT / 'tools').rglob('*.sh')} - {*(ROOT / 'tools' / 'ci').iterdir()}
    tools = find_tools()
    assert set(tools.values()) == programs  # a name that two of them share would hide one
    assert tools['train'] == ROOT / 'tools' / 'train.py'
    assert call(monkeypatch, '--help') == 0
    described = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    described = {words[0]: words[1] for words in described if len(words) == 2}
    for name in tools:
        assert len(described[name]) > 10 and '`' not in described[name]
