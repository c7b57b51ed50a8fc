"""What the benchmarks share: time, peak memory and the machine that they belong to."""

from __future__ import annotations

import multiprocessing
import platform
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch.utils._python_dispatch import TorchDispatchMode

MIB = 2**20


class Cost(NamedTuple):
    """What a call took."""

    seconds: float
    """On the CPU: of all its threads together. On a GPU: wall time until it is idle again."""
    peak: float
    """MiB held at most, above what was held before."""


def machine(device: str) -> str:
    """The processor, the number of threads and the version of torch, for a line above figures."""
    if device == 'cuda':
        where = torch.cuda.get_device_name()
    else:
        cpu = Path('/proc/cpuinfo')
        lines = cpu.read_text().splitlines() if cpu.exists() else []
        models = [line.split(':', 1)[1].strip() for line in lines if line.startswith('model name')]
        where = f'{models[0] if models else platform.processor()}, {platform.machine()}, '
        where += f'{torch.get_num_threads()} threads'
    return f'{where}, torch {torch.__version__}, Python {platform.python_version()}'


class FlopCount(TorchDispatchMode):
    """Counts the operations of convolutions and matrix products, backward passes included.

    ``FlopCounterMode`` does the same for each module, but cannot follow R1's second derivatives.
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
    key = 'VmHWM:' if most else 'VmRSS:'
    lines = Path('/proc/self/status').read_text().splitlines()  # Linux
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(key))


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


def in_new_process(function: Callable, *args: Any) -> Any:
    """Call a function of a module in a process of its own, where memory is not yet fragmented.

    Raises:
        concurrent.futures.process.BrokenProcessPool: The process is killed, as where memory runs
            out.
    """
    context = multiprocessing.get_context('spawn')
    with ProcessPoolExecutor(1, context) as pool:
        return pool.submit(function, *args).result()
