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
                    return ast.literal_eval(_Dicts().visit(statement.value))
    except (SyntaxError, RecursionError, MemoryError) as error:
        raise ValueError(f'the config cannot be parsed: {error}') from None
    raise ValueError(f'the config has no {name}')


class _Dicts(ast.NodeTransformer):
    """Turns ``dict(a=1)`` into ``{'a': 1}``, a literal; other calls raise ValueError."""

    def visit_Call(self, node: ast.Call) -> ast.Dict:
        if getattr(node.func, 'id', None) != 'dict' or node.args:
            raise ValueError(f'the config calls {ast.dump(node.func)}')
        keys: list = [ast.Constant(keyword.arg) for keyword in node.keywords]
        return ast.Dict(keys, [self.visit(keyword.value) for keyword in node.keywords])
