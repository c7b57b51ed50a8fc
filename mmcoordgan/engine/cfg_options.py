"""Refuse mistyped ``--cfg-options``, which MMEngine would merge without a word."""

from __future__ import annotations

import argparse
import difflib
from typing import Any

from mmengine import registry as root
from mmengine.config import Config, DictAction
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper
from mmengine.registry import DefaultScope, Registry
from mmengine.runner import (
    EpochBasedTrainLoop,
    IterBasedTrainLoop,
    LogProcessor,
    Runner,
    TestLoop,
    ValLoop,
)
from torch.utils.data import DataLoader

from mmcoordgan.models.refinement import Refinement

from .signatures import accepted_parameters

# Keys that MMEngine and this package read from the top of a config, besides the Runner's arguments.
_TOP_LEVEL = {
    'activation_checkpointing',
    'compile',
    'custom_imports',
    'efficient_conv_bn_eval',
    'find_unused_parameters',
    'model_wrapper_cfg',
    'sync_bn',
}
_HOOKS = {'runtime_info', 'timer', 'sampler_seed', 'logger', 'param_scheduler', 'checkpoint'}
# What dicts without a type take, by their place in the config ...
_BY_PLACE: dict[str, set[str]] = {
    'auto_scale_lr': {'base_batch_size', 'enable'},
    'default_hooks': _HOOKS,
    'env_cfg': {'cudnn_benchmark', 'dist_cfg', 'mp_cfg', 'resource_limit'},
    'env_cfg.dist_cfg': {'backend', 'init_backend', 'port', 'timeout'},
    'env_cfg.mp_cfg': {'mp_start_method', 'opencv_num_threads'},
    'randomness': accepted_parameters(Runner.set_randomness),
}
# ... or by their name ...
_MULTIPLIERS = {'bias_lr_mult', 'bias_decay_mult', 'norm_decay_mult', 'flat_decay_mult'}
_BY_NAME: dict[str, set[str]] = {
    'clip_grad': {'clip_value', 'error_if_nonfinite', 'max_norm', 'norm_type', 'type'},
    'paramwise_cfg': _MULTIPLIERS | {'bypass_duplicate', 'custom_keys', 'dwconv_decay_mult'},
}
# ... or the classes that MMEngine and this package take for them.
_DEFAULT_CLASS: dict[str, Any] = {
    'val_cfg': ValLoop,
    'test_cfg': TestLoop,
    'log_processor': LogProcessor,
    'model.refinement': Refinement,
    'model_wrapper_cfg': MMDistributedDataParallel,
    'train_dataloader': DataLoader,
    'val_dataloader': DataLoader,
    'test_dataloader': DataLoader,
}
# What MMEngine itself reads from a dict that configures a class.
_OPTIM_WRAPPER = {'constructor', 'optimizer', 'paramwise_cfg', 'type'}
_DATALOADER = {'batch_sampler', 'collate_fn', 'dataset', 'num_batch_per_epoch', 'sampler'}
_EVERYWHERE = {'_delete_', '_scope_'}


class CfgOptionError(ValueError):
    """A ``--cfg-options`` key that the config has no place for."""


class CfgOptionsAction(DictAction):
    """``DictAction`` that keeps spaces and quoted texts, and explains what it cannot parse."""

    @staticmethod
    def _parse_iterable(val: str) -> Any:
        """Lists and tuples as MMEngine reads them; anything else, such as a path, as it is."""
        bare = val.strip('\'"')
        if bare[:1] in ('(', '[') or (',' in val and bare == val):
            return DictAction._parse_iterable(val)
        return DictAction._parse_int_float_bool(bare)

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Add the options in ``values``, texts of the form KEY=VALUE, to ``namespace``."""
        for text in values:
            if '=' not in text:
                parser.error(f'{option_string} takes KEY=VALUE, got {text!r}')
            try:
                super().__call__(parser, namespace, [text], option_string)
            except AssertionError as error:  # brackets that do not match
                parser.error(f'{option_string} {text}: {error}')
            except RecursionError:
                parser.error(
                    f'{option_string} {text[:100]}: the brackets cannot be read; lists of lists '
                    'need brackets around the whole, as in [(1,2),(3,4)]'
                )


def check_cfg_options(cfg: Config, options: dict) -> list[str]:
    """Make sure that every option has a place in the config, before it is merged.

    A dotted key is accepted where the config already has it. A new name is accepted in a dict
    that has a ``type``, if the class of that name takes such an argument; in a dict for which
    a class is assumed, such as ``train_cfg``, likewise; and at the top, if the Runner takes
    it. A number picks an element of a list. A ``type`` among the options counts as the dict's.

    Args:
        cfg: The config as loaded.
        options: What ``CfgOptionsAction`` makes of ``--cfg-options``: dotted keys and values.

    Returns:
        Notes for the user about accepted options that will change nothing by themselves.

    Raises:
        CfgOptionError: an option has no place; the message names the nearest one that exists.
    """
    notes = []
    for key in options:
        inner = next((other for other in options if other.startswith(f'{key}.')), None)
        if inner is not None:
            raise CfgOptionError(f'the options {key} and {inner} contradict each other')
    scope = cfg.get('default_scope', 'mmengine')
    with root.MODELS.switch_scope_and_registry(scope):
        for key in options:
            _check_option(cfg, options, key)
    for name in sorted({key.split('.')[0] for key in options} - _top_level()):
        notes.append(
            f'note: {name} is a variable of the config file, not an option of the Runner; where '
            'the file has used it already, its old value stays'
        )
    return notes


def _top_level() -> set[str]:
    return (accepted_parameters(Runner) | _TOP_LEVEL) - {'cfg'}


def _check_option(cfg: Config, options: dict, key: str) -> None:
    parts = key.split('.')
    node: Any = cfg._cfg_dict
    for depth, part in enumerate(parts):
        if isinstance(node, list):
            node = _element(node, parts, depth)
        elif not isinstance(node, dict):
            place = '.'.join(parts[:depth])
            raise CfgOptionError(
                f'unknown option {key}: {place} is {node!r}, which has no parts to set; '
                f'give {place} a whole new value'
            )
        elif part in node:
            node = node[part]
        else:
            _check_new_name(node, options, parts, depth)
            return


def _element(node: list, parts: list[str], depth: int) -> Any:
    part, place = parts[depth], '.'.join(parts[:depth])
    if part.isdecimal() and int(part) < len(node):
        if depth + 1 == len(parts):
            raise CfgOptionError(
                f'unknown option {".".join(parts)}: MMEngine sets parts of the elements of a list, '
                f'or {place} as a whole, as in {place}=[1,2]'
            )
        return node[int(part)]
    if not node:
        raise CfgOptionError(f'unknown option {".".join(parts)}: the list {place} is empty')
    raise CfgOptionError(
        f'unknown option {".".join(parts)}: {place} is a list, whose elements are {place}.0 to '
        f'{place}.{len(node) - 1}'
    )


def _check_new_name(node: dict, options: dict, parts: list[str], depth: int) -> None:
    """Accept or refuse ``parts[depth]``, which ``node`` does not have."""
    name, path = parts[depth], parts[:depth]
    if 'custom_keys' in path[-2:]:  # parts of parameter names, and settings of any optimizer
        return
    kind = _kind(node, options, path)
    if kind is not None and not _components(kind):
        return  # who builds it will say that there is no such class
    accepted = _accepted_names(node, options, path)
    if name in accepted | _EVERYWHERE:
        child = parts[: depth + 1]
        if depth + 1 < len(parts) and _accepted_names({}, options, child):
            _check_new_name({}, options, parts, depth + 1)
        return
    candidates = sorted({*map(str, node), *accepted})
    prefix = ''.join(f'{part}.' for part in path)
    tail = ''.join(f'.{part}' for part in parts[depth + 1 :])
    near = difflib.get_close_matches(name, candidates, n=1)
    if near:
        hint = f'did you mean {prefix}{near[0]}{tail}?'
    else:
        hint = f'{".".join(path) or "the config"} takes {", ".join(candidates) or "nothing else"}.'
    raise CfgOptionError(
        f'unknown option {".".join(parts)}: {hint} A key that is really new belongs into a config '
        'file.'
    )


def _kind(node: dict, options: dict, path: list[str]) -> Any:
    """The type of the dict at ``path``, if it has one."""
    return options.get('.'.join([*path, 'type']), node.get('type'))


def _accepted_names(node: dict, options: dict, path: list[str]) -> set[str]:
    """Names that the dict at ``path`` takes, whether it has them or not."""
    place = '.'.join(path)
    if not path:
        return _top_level()
    if place in _BY_PLACE:
        return _BY_PLACE[place]
    if path[-1] in _BY_NAME:
        return _BY_NAME[path[-1]]
    kind = _kind(node, options, path)
    components = _components(kind) if kind is not None else _assumed(node, path)
    names = {'type'} if kind is not None else set()
    names = names.union(*map(accepted_parameters, components))
    if path[0] == 'optim_wrapper' and (len(path) == 1 or 'optimizer' in node):
        names |= _OPTIM_WRAPPER | ({'regularization_interval'} if len(path) > 1 else set())
    if DataLoader in components:
        names |= _DATALOADER
    if path[0] in ('custom_hooks', 'default_hooks'):
        names.add('priority')
    return names


def _assumed(node: dict, path: list[str]) -> list[Any]:
    """The class that is taken for a dict without a type."""
    if path == ['train_cfg']:
        return [EpochBasedTrainLoop if node.get('by_epoch', True) else IterBasedTrainLoop]
    if path[0] == 'optim_wrapper' and (len(path) == 1 or 'optimizer' in node):
        return [OptimWrapper]
    place = '.'.join(path)
    return [_DEFAULT_CLASS[place]] if place in _DEFAULT_CLASS else []


def _components(kind: Any) -> list[Any]:
    """The components called ``kind``, usually one, in all of the current scope's registries."""
    if not isinstance(kind, str):
        return [kind]
    scope = DefaultScope.get_current_instance()
    found = []
    for registry in [value for value in vars(root).values() if isinstance(value, Registry)]:
        if scope is not None:
            registry = registry.children.get(scope.scope_name, registry)
        try:
            found.append(registry.get(kind))
        except (ImportError, RuntimeError):  # not there, or an optional dependency is missing
            continue
    return [component for component in found if callable(component)]
