"""The worked examples of CONTRIBUTING.md, run from a folder outside the package."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

import pytest
from doc_blocks import ROOT, Block, blocks_of
from test_docs_commands import enter_workspace, execute

PAGE = ROOT / 'CONTRIBUTING.md'


def examples() -> dict[str, list[Block]]:
    """Blocks of the section "Extend it", by their heading."""
    lines = PAGE.read_text().splitlines()
    headings = {n: line[4:] for n, line in enumerate(lines, 1) if line.startswith('### ')}
    end = lines.index('## House rules')

    def heading(block: Block) -> str | None:
        above = [number for number in headings if number < block.line < end]
        return headings[above[-1]] if above else None

    return {name: list(group) for name, group in groupby(blocks_of(PAGE), heading) if name}


@pytest.mark.parametrize('name', examples())
def test_example(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    enter_workspace(tmp_path, monkeypatch)
    for block in examples()[name]:
        execute(block, tmp_path)
    assert list(tmp_path.glob('work_dirs/*/iter_2.pth'))
