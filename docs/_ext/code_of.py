"""``{code-of} dotted.name``: the lines of code behind an equation, read when the site is built.

The symbol is imported and its body shown without the docstring, under its name (a link into the API
reference, where it is public) and the file and lines where it is now. A name that does not exist
(any more) ends the build.
"""

from __future__ import annotations

import ast
import inspect
import pkgutil
import textwrap
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

ROOT = Path(__file__).parents[2]


def body_of(name: str) -> tuple[str, int, str]:
    """Where a function or method is defined, and its code behind the docstring.

    Returns:
        The file, relative to the repository; the number of the first line; the code, dedented.

    Raises:
        ImportError, AttributeError: If there is no such function.
    """
    owner, _, last = name.rpartition('.')
    # A function may have the name of its module, so that the last part is never a module.
    symbol = inspect.unwrap(getattr(pkgutil.resolve_name(owner), last))
    symbol = getattr(symbol, 'func', symbol)  # of a cached property
    source, first = inspect.getsourcelines(symbol)
    lines = textwrap.dedent(''.join(source)).splitlines()
    function: Any = ast.parse('\n'.join(lines)).body[0]
    start = function.body[0].lineno - 1
    if ast.get_docstring(function) is not None:
        start = function.body[0].end_lineno
    path = Path(inspect.getfile(symbol)).resolve().relative_to(ROOT)
    return path.as_posix(), first + start, textwrap.dedent('\n'.join(lines[start:]))


class CodeOf(SphinxDirective):
    """The code of a function or method."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        name = self.arguments[0]
        try:
            path, first, code = body_of(name)
        except (ImportError, AttributeError) as error:
            raise self.error(f'there is no {name}: {error}') from None
        link: nodes.Node = nodes.literal(name, name)
        if '._' not in name:  # the API reference leaves out what is private
            target = dict(refdomain='py', reftype='obj', reftarget=name, refwarn=True)
            link = addnodes.pending_xref('', link, **target)
        last = first + code.count('\n')
        place = f' {path}, ' + (f'line {first}' if first == last else f'lines {first}-{last}')
        caption = nodes.paragraph('', '', link, nodes.Text(place), classes=['code-of'])
        block = nodes.literal_block(code, code, language='python', linenos=True)
        block['highlight_args'] = {'linenostart': first}
        return [caption, block]


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive('code-of', CodeOf)
    return {'parallel_read_safe': True, 'parallel_write_safe': True}
