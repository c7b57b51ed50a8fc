"""Every command and every piece of code in the documentation is real; doc_blocks.py says how."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from doc_blocks import PAGES, ROOT, Block, blocks_of, commands_of
from mmengine.config import Config

from mmcoordgan.__main__ import find_tools
from mmcoordgan.cli.config import check_cfg_options
from mmcoordgan.shipped import find_config

BLOCKS = [block for page in PAGES for block in blocks_of(page)]
# How documented commands are shortened when they are executed: a pattern and what replaces it.
SHORTEN = [
    (r'^(python -m venv|pip install) .*$', ''),  # the tests run where that is done already
    (r'^python tools/train\.py .*$', r'\g<0> --cfg-options train_cfg.max_iters=2'),
    (r'iter_3000\.pth', 'iter_2.pth'),
    (
        r'^python tools/test\.py configs/.*$',
        r'\g<0> --cfg-options model.refinement.steps=1 test_dataloader.dataset.length=7',
    ),
    (r'CoordGANGenerator\(image_size=128\)', 'CoordGANGenerator(image_size=128, channels=16)'),
]


def select(*kinds: str) -> list[Any]:
    return [pytest.param(block, id=str(block)) for block in BLOCKS if block.kind in kinds]


def test_every_block_is_marked():
    unmarked = [str(block) for block in BLOCKS if block.marker is None]
    assert not unmarked, f'no marker of tests/doc_blocks.py above {", ".join(unmarked)}'


# ---------------------------------------------------------------------- executed


def enter_workspace(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Make an empty folder look like the repository's root to commands, and go there."""
    for name in ('configs', 'tools', 'tests', 'docs'):
        (folder / name).symlink_to(ROOT / name)
    patch.chdir(folder)


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    enter_workspace(tmp_path, monkeypatch)
    return tmp_path


def shortened(text: str) -> str:
    text = text.replace('\\\n', ' ')
    text = re.sub(r'(?m)[ \t]+# .*$', '', text)
    for pattern, replacement in SHORTEN:
        text = re.sub(f'(?m){pattern}', replacement, text)
    return text


def execute(block: Block, folder: Path) -> None:
    """Run a block in ``folder``, which is the current one."""
    text = shortened(block.text)
    if block.kind == 'file':
        (folder / block.value).write_text(text)
    elif block.language == 'python':
        exec(compile(text, str(block), 'exec'), {'__name__': '__main__'})
    else:
        path = f'{Path(sys.executable).parent}{os.pathsep}{os.environ["PATH"]}'
        done = subprocess.run(
            ['bash', '-euo', 'pipefail'],
            input=text,
            env={**os.environ, 'PATH': path},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, f'{block}:\n{done.stdout[-1000:]}\n{done.stderr[-3000:]}'


@pytest.mark.parametrize('block', [p for p in select('run') if p.values[0].marker == 'run'])
def test_run(block: Block, workspace: Path):
    """Blocks that stand by themselves."""
    execute(block, workspace)


def execute_page(page: Path, folder: Path) -> None:
    """Run a page from top to bottom: later commands use what earlier ones wrote."""
    for block in blocks_of(page):
        if block.kind in ('run', 'file') or block.marker == 'command: train':
            execute(block, folder)


@pytest.fixture(scope='module')
def readme_work_dirs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The work dirs that the README's commands leave, with which other pages continue."""
    folder = tmp_path_factory.mktemp('readme')
    with pytest.MonkeyPatch.context() as patch:
        enter_workspace(folder, patch)
        execute_page(ROOT / 'README.md', folder)
    return folder / 'work_dirs'


@pytest.mark.slow
def test_readme(readme_work_dirs: Path):
    encoder = readme_work_dirs / 'toyfaces_32_encoder'
    rows = sorted(p.name for p in (encoder / 'pictures' / 'transfer').glob('*.png'))
    assert rows == ['00005.png', '00006.png', 'iter_000002.png']  # a test's, a validation's


SESSIONS = sorted({b.page for b in BLOCKS if b.marker == 'run: slow'} - {ROOT / 'README.md'})


@pytest.mark.slow
@pytest.mark.parametrize('page', SESSIONS, ids=[str(p.relative_to(ROOT)) for p in SESSIONS])
def test_run_page(page: Path, workspace: Path, readme_work_dirs: Path):
    (workspace / 'work_dirs').symlink_to(readme_work_dirs)
    execute_page(page, workspace)


# ---------------------------------------------------------------------- checked only


def check_tool(tool: str, arguments: list[str], run_tool: Any, capsys: Any) -> None:
    """The tool knows these options, and the config has a place for every value."""
    verb = arguments[:1] if tool == 'infer.py' else []
    with pytest.raises(SystemExit):
        run_tool(tool, *verb, '--help')
    known = re.findall(r'--[\w-]+', capsys.readouterr().out)
    options = [a.partition('=')[0] for a in arguments if a.startswith('--')]
    assert set(options) <= set(known), f'{tool} refuses {arguments}'
    config = arguments[0] if arguments else ''
    if '--cfg-options' in arguments and config.startswith(('configs/', 'coordgan/')):
        values = arguments[arguments.index('--cfg-options') + 1 :]
        pairs = dict(value.split('=', 1) for value in values if '=' in value)
        check_cfg_options(Config.fromfile(find_config(config)), pairs)


def check_command(words: list[str], run_tool: Any, capsys: Any) -> None:
    """As much of a command as can be known without executing it."""
    if words[0] == 'mmcoordgan' and not words[1].startswith('-'):
        tools = find_tools()
        assert words[1] in tools, f'there is no tool {words[1]}'
        words = ['python', str(tools[words[1]].relative_to(ROOT)), *words[2:]]
    if words[0] == 'python' and words[1] != '-m':
        words = words[1:]
    if re.fullmatch(r'(tools|tests)/.*\.py', words[0]):
        check_tool(words[0].removeprefix('tools/'), words[1:], run_tool, capsys)
    elif words[0].endswith('.sh'):
        assert os.access(ROOT / words[0], os.X_OK), f'there is no {words[0]}'


@pytest.mark.parametrize(
    'block', [p for p in select('run', 'needs') if p.values[0].language == 'bash']
)
def test_tools_and_options_exist(block: Block, run_tool, capsys):
    for words in commands_of(block.text):
        check_command(words, run_tool, capsys)


@pytest.mark.parametrize(
    'block', [p for p in select('needs', 'file') if p.values[0].language == 'python']
)
def test_imports_exist(block: Block):
    """Code that is not executed by itself: it compiles, and what it imports is there."""
    tree = ast.parse(block.text)
    imports = [n for n in ast.walk(tree) if isinstance(n, (ast.Import, ast.ImportFrom))]
    exec(compile(ast.Module(imports, []), str(block), 'exec'), {})


def flat(value: dict, place: str = '') -> Iterator[tuple[str, Any]]:
    """Dotted keys and values of a part of a config."""
    for key, inner in value.items():
        if isinstance(inner, dict):
            yield from flat(inner, f'{place}{key}.')
        else:
            yield f'{place}{key}', inner


@pytest.mark.parametrize('block', select('config'))
def test_parts_of_configs_have_a_place(block: Block):
    cfg = Config.fromfile(ROOT / 'configs' / 'coordgan' / f'{block.value}.py')
    part: dict[str, Any] = {'_base_': cfg}
    exec(compile(block.text, str(block), 'exec'), part)
    options = dict(flat({key: v for key, v in part.items() if not key.startswith('_')}))
    assert not check_cfg_options(cfg, options)
