"""What the documentation quotes from the package is there: messages, word for word, and names."""

from __future__ import annotations

import ast
import pkgutil
import re
from collections.abc import Iterator

import pytest
from doc_blocks import PAGES, ROOT

FAQ = ROOT / 'docs' / 'faq.md'
QUOTED = re.findall(r'(?m)^### `(.+)`$', FAQ.read_text(encoding='utf-8'))
REFERENCE = re.compile(r'\{(?:code-of\} |py:\w+\}`~?)([\w.]+)')
NAMES = sorted({n for page in PAGES for n in REFERENCE.findall(page.read_text(encoding='utf-8'))})
GAP = '\0'  # where a message has a value


def texts(node: ast.AST) -> Iterator[str]:
    """The string literals of a module, with gaps for the values in f-strings."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Constant) and isinstance(child.value, str):
            yield child.value
        elif isinstance(child, ast.JoinedStr):
            parts = child.values
            yield ''.join(str(p.value) if isinstance(p, ast.Constant) else GAP for p in parts)
        else:
            yield from texts(child)


@pytest.fixture(scope='module')
def messages() -> list[str]:
    files = [*(ROOT / 'mmcoordgan').rglob('*.py'), *(ROOT / 'tools').rglob('*.py')]
    return [text for path in files for text in texts(ast.parse(path.read_text(encoding='utf-8')))]


def test_messages_are_found():
    assert len(QUOTED) > 20 and len(QUOTED) == len(set(QUOTED))


@pytest.mark.parametrize('quoted', QUOTED)
def test_quoted_message_is_raised(quoted: str, messages: list[str]):
    """``...`` stands for one or more values; all other words are in one message, in order."""
    words = [re.escape(part.strip()) for part in quoted.split('...')]
    pattern = re.compile(rf'\s*{GAP}.*?\s*'.join(words) if len(words) > 1 else words[0], re.S)
    assert any(pattern.search(message) for message in messages), quoted


@pytest.mark.parametrize('name', NAMES)
def test_name_exists(name: str):
    """What pages link to in the API reference, or show the code of."""
    assert pkgutil.resolve_name(name) is not None
