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
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from torch.utils._python_dispatch import TorchDispatchMode

from mmcoordgan.cli.config import load_config
from mmcoordgan.registry import MODELS

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
    """Counts two operations for each product of convolutions and matmuls, forward and backward.

    ``FlopCounterMode`` cannot follow R1's second derivatives and miscounts grouped convolutions.
    """

    total = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        name = func._schema.name.split('::')[1]
        if name == 'convolution':
            x, weight, transposed = args[0], args[1], args[6]
            self.total += 2 * (x if transposed else out).numel() * weight[0].numel()
        elif name == 'convolution_backward':
            grad, x, weight, transposed, wanted = *args[:3], args[7], args[10]
            products = (x if transposed else grad).numel() * weight[0].numel()
            self.total += 2 * products * sum(wanted[:2])
        elif name in ('mm', 'bmm'):
            self.total += 2 * out.numel() * args[0].shape[-1]
        elif name in ('addmm', 'baddbmm'):
            self.total += 2 * out.numel() * args[1].shape[-1]
        return out


def measure(call: Callable[[], Any], device: str, repeat: int = 1) -> Cost:
    """The cost of a call: the smallest time of ``repeat`` calls, the peak of the first."""
    on_gpu = device == 'cuda'
    clock = time.perf_counter if on_gpu else time.process_time
    if on_gpu:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
    else:
        Path('/proc/self/clear_refs').write_text('5')  # the peak is what is held now
        before = resident('VmRSS')
    peak, seconds = 0, []
    for _ in range(repeat):
        start = clock()
        call()
        if on_gpu:
            torch.cuda.synchronize()
        seconds.append(clock() - start)
        peak = peak or (torch.cuda.max_memory_allocated() if on_gpu else resident('VmHWM'))
    return Cost(min(seconds), (peak - before) / 2**20)


def resident(key: str) -> int:
    """Bytes of RAM that this process holds (VmRSS), or held at most (VmHWM). Linux."""
    status = Path('/proc/self/status').read_text()
    return 1024 * int(re.search(rf'{key}:\s*(\d+) kB', status)[1])


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
    if amp:
        for name in cfg.optim_wrapper.keys() - {'constructor'}:
            cfg.optim_wrapper[name].update(type='MixedPrecisionOptimWrapper', dtype='bfloat16')
    model = MODELS.build(cfg.model).to(device).train()
    return model, build_optim_wrapper(model, cfg.optim_wrapper)
