"""Code blocks of the documentation and what their markers promise.

The comment above a block says how it is known to work:

    <!-- run -->              executed by the fast tests
    <!-- run: slow -->        executed by the slow tests
    <!-- file: NAME -->       a file of that name, which commands of the same page use
    <!-- config: NAME -->     part of a config; every key has a place in configs/coordgan/NAME.py
    <!-- needs: data -->      (or a GPU, Slurm, a network, or two of them with 'and') not executed;
                              tools and options are checked
    <!-- command: NAME -->    executed from the README by .ci/run, or by a test, under that name
    <!-- in: .ci/run -->      every command of it stands in .ci/run
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    {ROOT / 'README.md', ROOT / 'CONTRIBUTING.md'}
    | {*(ROOT / 'docs').rglob('*.md'), *(ROOT / 'configs').rglob('README.md')}
)
LANGUAGES = ('bash', 'sh', 'shell', 'console', 'python', 'py', 'pycon')
MARKER = re.compile(
    r'<!-- (run|run: slow|file: \S+\.py|config: \w+|command: \w+|in: \.ci/run'
    r'|needs: {0}(?: and {0})?) -->'.format('(?:data|a GPU|Slurm|a network)')
)
FENCE = re.compile(r'^(`{3,}|~{3,})\s*(\S*)')


@dataclass(frozen=True)
class Block:
    """A fenced code block of a page."""

    page: Path
    line: int
    language: str
    text: str
    marker: str | None
    """What stands in the comment above, or None."""

    def __str__(self) -> str:
        return f'{self.page.relative_to(ROOT)}:{self.line}'

    @property
    def kind(self) -> str:
        return (self.marker or '').split(':')[0]

    @property
    def value(self) -> str:
        return (self.marker or '').partition(': ')[2]


def blocks_of(page: Path) -> list[Block]:
    """The bash and Python blocks of a page, in order."""
    lines = page.read_text(encoding='utf-8').splitlines()
    found, above, number = [], '', 0
    while number < len(lines):
        fence = FENCE.match(lines[number])
        if fence is None:
            above = lines[number].strip() or above
            number += 1
            continue
        end = number + 1
        while end < len(lines) and not lines[end].startswith(fence[1]):
            end += 1
        if fence[2] in LANGUAGES:
            marker = MARKER.fullmatch(above)
            body = '\n'.join(lines[number + 1 : end]) + '\n'
            found.append(Block(page, number + 1, fence[2], body, marker and marker[1]))
        above, number = '', end + 1
    return found


def commands_of(text: str) -> list[list[str]]:
    """Words of every command of a shell block, without comments and variables in front."""
    text = re.sub(r'(?m)(^|\s)#.*$', '', text.replace('\\\n', ' '))
    parts = re.split(r'&&|\|\||[|;\n]| &$', text)
    found = [shlex.split(re.sub(r'^\s*([A-Z_]+=\S+\s+)+', '', part)) for part in parts]
    return [words for words in found if words]
