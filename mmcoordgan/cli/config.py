"""Config files and ``--cfg-options``."""

from __future__ import annotations

import difflib
import inspect
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from mmengine import registry as root
from mmengine.config import Config, DictAction
from mmengine.optim import OptimWrapper
from mmengine.registry import Registry
from mmengine.runner import LogProcessor, Runner, TestLoop, ValLoop
from mmengine.utils import import_modules_from_strings
from torch.utils.data import DataLoader

from mmcoordgan.errors import UserError
from mmcoordgan.models.refinement import Refinement
from mmcoordgan.shipped import read_config

# What MMEngine builds of a dict without a type, by the dict's name.
_ASSUMED: dict[str, Any] = {
    **dict.fromkeys(('train_dataloader', 'val_dataloader', 'test_dataloader'), DataLoader),
    'val_cfg': ValLoop,
    'test_cfg': TestLoop,
    'log_processor': LogProcessor,
    'randomness': Runner.set_randomness,
    'refinement': Refinement,
}
# Names that no signature shows, by the class that they configure.
_EXTRA: dict[Any, set[str]] = {
    Runner: {'compile', 'custom_imports', 'model_wrapper_cfg', 'find_unused_parameters'},
    DataLoader: {'num_batch_per_epoch'},
    OptimWrapper: {'constructor', 'paramwise_cfg', 'regularization_interval'},
}
_EVERYWHERE = {'type', 'priority', '_delete_', '_scope_'}

Place = tuple[str, ...]
"""A dotted key, split."""


class CfgOptionsAction(DictAction):
    """``DictAction`` that keeps spaces and quoted texts, and explains what it cannot parse."""

    @staticmethod
    def _parse_iterable(val: str) -> Any:
        """Lists and tuples as MMEngine reads them; anything else, such as a path, as it is."""
        bare = val.strip('\'"')
        if bare[:1] in ('(', '[') or (',' in val and bare == val):
            return DictAction._parse_iterable(val)
        return DictAction._parse_int_float_bool(bare)

    def __call__(self, parser: Any, namespace: Any, values: Any, option: Any = None) -> None:
        """Add the options in ``values``, texts of the form KEY=VALUE, to ``namespace``."""
        for text in values:
            try:
                super().__call__(parser, namespace, [text], option)
            except (AssertionError, RecursionError, ValueError):  # no =, or odd brackets
                parser.error(
                    f'{option} cannot read {text[:100]}: it takes KEY=VALUE; a list is written '
                    '[1,2], a list of lists [(1,2),(3,4)]'
                )


def load_config(path: str, options: dict | None, work_dir: str | None = None) -> Config:
    """Read a config file, or one of the package by its name, and apply ``--cfg-options``.

    ``work_dir`` is that of the command line, or the config's, or ``work_dirs/<name of the file>``.
    """
    cfg = read_config(path)
    if options:
        for note in check_cfg_options(cfg, options):
            print(note, file=sys.stderr)
        try:
            cfg.merge_from_dict(options)
        except (AttributeError, TypeError) as error:
            raise UserError(
                f'--cfg-options contradict each other or set an element of a list: {error}. Set a '
                'list as a whole, as in KEY=[1,2]'
            ) from error
        if any(key.startswith('custom_imports.') for key in options):
            import_modules_from_strings(**cfg.custom_imports)
    default = os.path.join('work_dirs', Path(path).stem)
    cfg.work_dir = work_dir or cfg.get('work_dir') or default
    return cfg


def hooks(cfg: Config) -> list[dict]:
    """The dicts of all hooks of a config."""
    named = (cfg.get('default_hooks') or {}).values()
    return [h for h in (*named, *(cfg.get('custom_hooks') or ())) if isinstance(h, dict)]


def check_cfg_options(cfg: Config, options: dict) -> list[str]:
    """Make sure that every option, a dotted key, has a place in the config before it is merged.

    It must exist in the config, or be an argument of the class that the ``type`` beside it names
    (or that MMEngine takes without one); a ``type`` among the options counts. A number picks an
    element of a list. Returns notes for the user about options that will change nothing by
    themselves.
    """
    nodes = dict(_nodes(cfg._cfg_dict))
    scope = cfg.get('default_scope', 'mmengine')
    with root.MODELS.switch_scope_and_registry(scope):
        for key in options:
            words = tuple(key.split('.'))
            depth = max(n for n in range(len(words) + 1) if words[:n] in nodes)
            if depth == len(words):
                continue
            place = words[:depth]
            kind = options.get('.'.join([*place, 'type']))
            names = _names(place, nodes[place], kind, scope)
            if names is not None and words[depth] not in names:
                hint = _hint(words, depth, names - _EVERYWHERE, nodes)
                raise UserError(f'unknown option {key}: {hint}')
    variables = sorted({key.split('.')[0] for key in options} - _arguments(Runner))
    return [
        f'note: {name} is a variable of the config file, not an option of the Runner; where the '
        'file has used it already, its old value stays'
        for name in variables
    ]


def _nodes(node: Any, place: Place = ()) -> Iterator[tuple[Place, Any]]:
    """All that a config holds, by its keys; elements of lists have numbers."""
    yield place, node
    elements = enumerate(node) if isinstance(node, list) else ()
    for name, value in node.items() if isinstance(node, dict) else elements:
        yield from _nodes(value, (*place, str(name)))


def _names(place: Place, node: Any, kind: Any, scope: str) -> set[str] | None:
    """Names that a node takes, whether it has them or not; None where any name may do.

    ``kind`` is its new type, if it gets one.
    """
    if isinstance(node, list):
        return set(map(str, range(len(node))))
    if not isinstance(node, dict):
        return set()
    if not place:
        return {*node, *_arguments(Runner)}
    if place[-1] == 'custom_keys':  # parts of the names of parameters
        return None
    kind = kind or node.get('type')
    if kind is not None:
        components = _components(kind, scope)
        if not components:  # who builds it will say that there is no such class
            return None
    elif place[0] == 'optim_wrapper' and len(place) <= 2:
        components = [OptimWrapper]
    else:
        components = [_ASSUMED[place[-1]]] if place[-1] in _ASSUMED else []
    return _EVERYWHERE.union(node, *map(_arguments, components))


def _components(kind: Any, scope: str) -> list[Any]:
    """The components called ``kind``, usually one, in all registries."""
    if not isinstance(kind, str):
        return [kind] if callable(kind) else []
    found: list[Any] = []
    for registry in [value for value in vars(root).values() if isinstance(value, Registry)]:
        with suppress(ImportError, RuntimeError):  # an optional dependency is missing
            found.append(registry.children.get(scope, registry).get(kind))
    return [component for component in found if callable(component)]


def _arguments(component: Any) -> set[str]:
    """Names of the arguments of a class or function; ``**kwargs`` are the base class's."""
    names: set[str] = set()
    functions = [component]
    if inspect.isclass(component):
        names.update(*(_EXTRA.get(base, ()) for base in component.__mro__))
        functions = [vars(c)['__init__'] for c in component.__mro__ if '__init__' in vars(c)]
    for function in functions:
        try:
            parameters = inspect.signature(function).parameters.values()
        except (TypeError, ValueError):  # some built-in callables have no signature
            break
        names |= {p.name for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    return names - {'self', 'cfg'}


def _hint(words: Place, depth: int, names: set[str], nodes: Iterable[Place]) -> str:
    """What the user may have meant by ``words[depth]``, which is none of ``names``."""
    own, wrong, rest = words[:depth], words[depth], words[depth + 1 :]
    elsewhere = [place for place in nodes if place and not place[-1].isdecimal()]
    meant = {place[-1]: place for place in reversed(elsewhere)}
    meant.update({name: (*own, name) for name in names})
    near = difflib.get_close_matches(wrong, meant, n=1)
    if near:
        return f'did you mean {".".join(meant[near[0]] + rest)}?'
    return f'{".".join(own) or "the config"} takes {", ".join(sorted(names)) or "no keys"}.'
