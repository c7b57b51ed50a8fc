"""How the documentation is built: ``sphinx-build -W -n docs OUT``; see CONTRIBUTING.md.

The site needs no network, neither to build nor to read: formulas become MathML, fonts are those of
the reader's system, and the search runs in the browser.
"""

from __future__ import annotations

import sys
from operator import attrgetter
from pathlib import Path

from mmcoordgan import __version__

sys.path.insert(0, str(Path(__file__).parent / '_ext'))

project = 'mmcoordgan'
version = release = __version__
project_copyright = ''

extensions = [
    'myst_parser',
    'sphinx.ext.autodoc',
    'sphinx.ext.napoleon',
    'sphinx.ext.viewcode',
    'code_of',
    'mathml',
    'offline',
]
myst_enable_extensions = ['dollarmath']
myst_heading_anchors = 3

html_theme = 'furo'
html_title = 'mmcoordgan'
html_math_renderer = 'mathml'
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False
html_static_path = ['_static']
html_css_files = ['site.css']
html_js_files = ['copy.js']
pygments_style = 'friendly'
highlight_language = 'none'

autodoc_member_order = 'bysource'
autodoc_typehints = 'signature'
autodoc_class_signature = 'mixed'
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
viewcode_follow_imported_members = True
viewcode_line_numbers = True

# Every reference must lead somewhere (nitpicky), but for the types of other packages in signatures.
nitpicky = True
nitpick_ignore_regex = [
    ('py:class', r'(torch|mmengine|mmcv|numpy|np|PIL|collections|typing|os|pathlib)\..*'),
    ('py:class', 'Tensor|Module|Number'),
    ('py:class', r'mmcoordgan\.geometry\._.*'),  # private, but in signatures
]


def keep_shapes(app, what, name, obj, options, lines) -> None:
    """Undo that napoleon takes ``(B, 2, H, W)`` in ``(B, 2, H, W): the maps`` for a type."""
    kinds = [line for line in lines if line.startswith(':type:')]
    if what in ('attribute', 'property', 'data') and kinds:
        text = ' '.join(line for line in lines if line and line not in kinds)
        lines[:] = [f'{kinds[0].removeprefix(":type:").strip()}: {text}']


def drop_others_words(app, what, name, obj, options, lines) -> None:
    """A method without a docstring inherits one: only this package's fit here."""
    if what != 'method' or getattr(obj, '__doc__', None):
        return
    owner, method = attrgetter(obj.__qualname__.rpartition('.')[0]), obj.__name__
    bases = owner(sys.modules[obj.__module__]).__mro__
    words = (base.__module__ for base in bases if getattr(vars(base).get(method), '__doc__', None))
    if not next(words, '').startswith('mmcoordgan'):
        lines.clear()


def setup(app) -> None:
    app.connect('autodoc-process-docstring', drop_others_words)
    app.connect('autodoc-process-docstring', keep_shapes, priority=900)
