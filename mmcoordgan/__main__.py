"""The command ``mmcoordgan TOOL ...``: runs the scripts of ``tools/``, wherever they are."""

from __future__ import annotations

import argparse
import ast
import os
import runpy
import shutil
import sys
from difflib import get_close_matches
from pathlib import Path

from .shipped import config_names, shipped_root
from .version import __version__


def find_tools() -> dict[str, Path]:
    """The programs in ``tools/`` by name ('train', 'dist-train'), those in subfolders last."""
    root = shipped_root() / 'tools'
    paths = [*root.rglob('*.py'), *root.rglob('*.sh')]
    paths = [path for path in paths if path.parent.name != 'ci']  # not for users, not in wheels
    paths.sort(key=lambda path: (len(path.parts), path.parent, path.suffix, path))
    is_main = "if __name__ == '__main__':"
    return {
        path.stem.replace('_', '-'): path
        for path in paths
        if path.suffix == '.sh' or is_main in path.read_text('utf-8')
    }


def describe(path: Path) -> str:
    """The first line about a program, read without running it."""
    text = path.read_text('utf-8')
    if path.suffix == '.sh':
        return text.splitlines()[1].strip('# .')
    line = (ast.get_docstring(ast.parse(text)) or '').partition('\n')[0]
    line = line.partition(': ``')[0]  # without the command that calls the file
    return line.rstrip('.').replace('``', '')


def listing() -> str:
    """All tools with a line for each, by folder, and the names of the configs."""
    root, lines, folder = shipped_root(), [], None
    tools = find_tools()
    width = max(map(len, tools))
    for name, path in tools.items():
        if path.parent != folder:
            folder = path.parent
            lines += ['', f'{folder.relative_to(root).as_posix()}:']
        lines.append(f'  {name:<{width}}  {describe(path)}')
    lines += ['', 'configs, which tools find by these names from any folder:']
    lines += [f'  {name}' for name in config_names()]
    return '\n'.join([*lines[1:], '', f'These files are in {root}'])


def run(path: Path, arguments: list[str]) -> None:
    """Run a program of ``tools/`` as if it had been called by its path."""
    if path.suffix == '.sh':
        bash = shutil.which('bash')
        if bash is None:
            sys.exit(f'mmcoordgan: error: {path} needs bash, which is not installed')
        environment = {'PYTHON': sys.executable, **os.environ}
        os.execve(bash, ['bash', str(path), *arguments], environment)
    sys.argv = [str(path), *arguments]
    sys.path.insert(0, str(path.parent))
    runpy.run_path(str(path), run_name='__main__')


def main() -> None:
    """The console script."""
    first, *arguments = sys.argv[1:] or ['--help']
    parser = argparse.ArgumentParser(
        prog='mmcoordgan',
        usage='mmcoordgan TOOL [arguments of the tool]\n       mmcoordgan TOOL --help',
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description='CoordGAN: dense correspondences that emerge without labels.',
        epilog=listing(),
    )
    parser.add_argument('--version', action='version', version=f'%(prog)s {__version__}')
    parser.add_argument('tool', metavar='TOOL', help='one of the names below')
    name = parser.parse_args([first]).tool
    tools = find_tools()
    if name not in tools:
        near = get_close_matches(name, tools, n=1)
        hint = f'did you mean {near[0]}?' if near else 'see mmcoordgan --help'
        parser.error(f'there is no tool {name!r}: {hint}')
    run(tools[name], arguments)


if __name__ == '__main__':
    main()
