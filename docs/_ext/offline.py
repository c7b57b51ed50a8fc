"""Ends the build where a page would load anything from another host. Links may lead anywhere."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

EXTERNAL = re.compile(r'\s*(https?:)?//')
CSS_LOAD = re.compile(r'(?:url\(|@import)\s*["\']?((?:https?:)?//[^"\')\s]+)')
# Attributes that make a browser fetch something. An <a href> is followed by the reader only.
FETCHING = ('src', 'srcset', 'data', 'poster')


class Loads(HTMLParser):
    """Collects the addresses of other hosts that a page makes a browser fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            value = value or ''
            if name in FETCHING or (tag == 'link' and name == 'href'):
                self.found += [value] if EXTERNAL.match(value) else []
            elif name == 'style':
                self.found += CSS_LOAD.findall(value)


def external_loads(path: Path) -> list[str]:
    """Addresses of other hosts that a page or a style sheet loads."""
    text = path.read_text(encoding='utf-8')
    if path.suffix == '.css':
        return CSS_LOAD.findall(text)
    page = Loads()
    page.feed(text)
    return page.found + CSS_LOAD.findall(' '.join(re.findall(r'<style.*?</style>', text, re.S)))


def check_site(app: Sphinx, error: Exception | None) -> None:
    if error is not None or app.builder.format != 'html':
        return
    for path in sorted(Path(app.outdir).rglob('*')):
        if path.suffix in ('.html', '.css') and (found := external_loads(path)):
            raise ExtensionError(f'{path} loads {", ".join(found)}: the site must work offline')


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect('build-finished', check_site)
    return {'parallel_read_safe': True, 'parallel_write_safe': True}
