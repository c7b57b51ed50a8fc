"""What the benchmarks share: time, memory, operations, the machine, a config's training."""

from __future__ import annotations

import platform
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from torch.utils._python_dispatch import TorchDispatchMode

from mmcoordgan.cli.config import load_config
from mmcoordgan.registry import MODELS, OPTIM_WRAPPER_CONSTRUCTORS

MIB = 2**20
LAZY = 160_000
"""An iteration in which every term of the published schedule is active, the lazy ones included."""


class Cost(NamedTuple):
    """What a call took."""

    seconds: float
    """On the CPU: of all its threads together. On a GPU: wall time until it is idle again."""
    peak: float
    """MiB held at most, above what was held before."""


def machine(device: str) -> str:
    """The processor, the number of threads and the versions, for a line above figures."""
    if device == 'cuda':
        where = torch.cuda.get_device_name()
    else:
        models = re.findall(r'model name\s*: (.*)', Path('/proc/cpuinfo').read_text())
        threads = f'{torch.get_num_threads()} threads'
        where = ', '.join([*models[:1], platform.machine(), threads])
    return f'{where}, torch {torch.__version__}, Python {platform.python_version()}'


class FlopCount(TorchDispatchMode):
    """Counts the operations of convolutions and matrix products, backward passes included.

    ``FlopCounterMode`` cannot follow R1's second derivatives and miscounts grouped convolutions.
    """

    total = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        self.total += operations(func, args, out)
        return out


def operations(func: Any, args: tuple, out: Any) -> int:
    """Two for each product that an operator of ATen adds up: convolutions and matrix products."""
    name = func._schema.name.split('::')[1]
    if name == 'convolution':
        x, weight, transposed = args[0], args[1], args[6]
        return 2 * (x if transposed else out).numel() * weight[0].numel()
    if name == 'convolution_backward':
        grad, x, weight, transposed, wanted = *args[:3], args[7], args[10]
        return 2 * (x if transposed else grad).numel() * weight[0].numel() * sum(wanted[:2])
    first = {'mm': 0, 'bmm': 0, 'addmm': 1, 'baddbmm': 1}.get(name)
    return 0 if first is None else 2 * out.numel() * args[first].shape[-1]


def held(device: str, most: bool = False) -> float:
    """MiB that this process holds, in RAM or on the GPU in tensors; or held at most."""
    if device == 'cuda':
        read = torch.cuda.max_memory_allocated if most else torch.cuda.memory_allocated
        return read() / MIB
    key = 'VmHWM' if most else 'VmRSS'
    status = Path('/proc/self/status').read_text()  # Linux
    return int(re.search(rf'{key}:\s*(\d+) kB', status)[1]) / 1024


def measure(call: Callable[[], Any], device: str, repeat: int = 1) -> Cost:
    """The cost of a call: the smallest time of ``repeat`` calls, the peak of the first."""
    on_gpu = device == 'cuda'
    wait = torch.cuda.synchronize if on_gpu else lambda: None
    clock = time.perf_counter if on_gpu else time.process_time
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    else:
        Path('/proc/self/clear_refs').write_text('5')  # the peak is what is held now
    before, peak, seconds = held(device), 0.0, []
    for _ in range(repeat):
        wait()
        start = clock()
        call()
        wait()
        seconds.append(clock() - start)
        peak = peak or held(device, most=True) - before
    return Cost(min(seconds), peak)


def build_training(config: str, device: str, amp: bool = False) -> tuple[Any, Any]:
    """The model of a config of either stage, in training, and its optimizers.

    All weights are random, LPIPS's too, which cost the same; ``amp`` trains in bfloat16.
    """
    MMLogger.get_current_instance().setLevel('WARNING')  # no learning rates of parameters
    init_default_scope('mmcoordgan')
    cfg = load_config(config, None)
    for key in ('pretrained_generator', 'stage1_checkpoint'):
        cfg.model.pop(key, None)
    if 'LPIPS' in str(cfg.model.perceptual.type):
        cfg.model.perceptual.vgg_weights = None
    if cfg.model.get('refinement'):
        cfg.model.refinement.steps = 1  # each step does the same
    wrappers = dict(cfg.optim_wrapper)
    constructor = wrappers.pop('constructor')
    if amp:
        for wrapper in wrappers.values():
            wrapper.update(type='MixedPrecisionOptimWrapper', dtype='bfloat16')
    model = MODELS.build(cfg.model).to(device).train()
    build = dict(type=constructor, optim_wrapper_cfg=wrappers)
    return model, OPTIM_WRAPPER_CONSTRUCTORS.build(build)(model)
