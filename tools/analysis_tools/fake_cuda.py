"""Let PyTorch's CPU build believe that it has a CUDA device, on which no kernel runs.

Import this before torch. With fake tensors, autograd and autocast then work as on a GPU, and every
operation shows its device, dtype and size. For simulations, never for results.
"""

from __future__ import annotations

import ctypes
import subprocess
import tempfile
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

SOURCE = r"""
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>

const c10::Device device(c10::DeviceType::CUDA, 0);
const c10::Stream stream(c10::Stream::DEFAULT, device);

struct Guard : c10::impl::NoOpDeviceGuardImpl<c10::DeviceType::CUDA> {
  c10::Device exchangeDevice(c10::Device) const override { return device; }
  c10::Device getDevice() const override { return device; }
  c10::Stream getStream(c10::Device) const noexcept override { return stream; }
  c10::Stream exchangeStream(c10::Stream) const noexcept override { return stream; }
};
const Guard guard;
const c10::impl::DeviceGuardImplRegistrar registrar(c10::DeviceType::CUDA, &guard);

struct Hooks : at::CUDAHooksInterface {
  Hooks(at::CUDAHooksArgs) {}
  bool hasCUDA() const override { return true; }
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
};
namespace at {
C10_REGISTER_CLASS(CUDAHooksRegistry, CUDAHooks, ::Hooks)
}
"""


def _load() -> None:
    """Compile and load the device (a few seconds)."""
    torch = Path(find_spec('torch').origin).parent
    if 'cuda = None' not in (torch / 'version.py').read_text().replace(': Optional[str]', ''):
        raise ImportError('the simulation needs the CPU build of PyTorch')
    with tempfile.TemporaryDirectory() as folder:
        library = f'{folder}/fake_cuda.so'
        command = ['c++', '-std=c++20', '-fPIC', '-shared', '-x', 'c++', '-', '-o', library]
        command += [f'-I{torch}/include', f'-L{torch}/lib', f'-Wl,-rpath,{torch}/lib']
        subprocess.run([*command, '-lc10', '-ltorch_cpu'], input=SOURCE, text=True, check=True)
        ctypes.CDLL(library, ctypes.RTLD_GLOBAL)


def _pretend() -> None:
    """Give torch's Python side the same belief."""
    import torch
    from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

    answers = dict(is_available=True, device_count=1, is_bf16_supported=True, _lazy_init=None)
    for name, answer in answers.items():
        setattr(torch.cuda, name, lambda *args, answer=answer, **kwargs: answer)
    optimizers: Any = import_module('torch.optim.optimizer')
    optimizers._foreach_supported_types.append(FakeTensor)
    torch.nn.Module._apply = _apply
    # Copies of networks stay in the mode of the original.
    FakeTensorMode.__deepcopy__ = lambda self, memo: self


def _apply(self: Any, fn: Any, recurse: bool = True) -> Any:
    """What ``to`` does to a module, for fake parameters, which cannot be swapped in place."""
    import torch

    for child in self.children():
        child._apply(fn)
    for name, old in self._parameters.items():
        if old is not None:
            self._parameters[name] = torch.nn.Parameter(fn(old.detach()), old.requires_grad)
    self._buffers.update({name: fn(x) for name, x in self._buffers.items() if x is not None})
    return self


_load()
_pretend()
