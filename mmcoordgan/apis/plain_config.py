"""The text of a config as data: read without running it."""

from __future__ import annotations

import ast
from typing import Any


def read_setting(text: str, name: str) -> Any:
    """The value of ``name = ...`` in the text of a config, as MMEngine stores it in checkpoints.

    The text, assignments of literals and ``dict(...)``, is parsed, never run: it may come from a
    file of unknown origin.
    """
    try:
        for statement in ast.parse(text).body:
            if isinstance(statement, ast.Assign):
                targets = [t.id for t in statement.targets if isinstance(t, ast.Name)]
                if name in targets:
                    return _value(statement.value)
    except (SyntaxError, RecursionError, MemoryError) as error:
        raise ValueError(f'the config cannot be parsed: {error}') from None
    raise ValueError(f'the config has no {name}')


def _value(node: ast.expr) -> Any:
    """A literal, or a ``dict(...)`` of such."""
    if isinstance(node, ast.Call):
        if getattr(node.func, 'id', None) != 'dict' or node.args:
            raise ValueError(f'the config calls {ast.dump(node.func)}')
        return {str(keyword.arg): _value(keyword.value) for keyword in node.keywords}
    if isinstance(node, (ast.List, ast.Tuple)):
        return [_value(element) for element in node.elts]
    if isinstance(node, ast.Dict):
        keys = [ast.literal_eval(key) if key is not None else None for key in node.keys]
        return dict(zip(keys, map(_value, node.values)))
    return ast.literal_eval(node)
