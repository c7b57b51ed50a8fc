"""Let PyTorch's CPU build believe that it has a CUDA device, on which no kernel runs.

Import this before torch. With fake tensors, autograd and autocast then work as on a GPU, and every
operation shows its device, dtype and size. For simulations, never for results.
"""

from __future__ import annotations

import ctypes
import subprocess
import sys
import sysconfig
import tempfile
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

SOURCE = r"""
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>

const c10::Device device(c10::DeviceType::CUDA, 0);
const c10::Stream stream(c10::Stream::DEFAULT, device);

struct Guard : c10::impl::DeviceGuardImplInterface {
  c10::DeviceType type() const override { return c10::DeviceType::CUDA; }
  c10::Device exchangeDevice(c10::Device) const override { return device; }
  c10::Device getDevice() const override { return device; }
  void setDevice(c10::Device) const override {}
  void uncheckedSetDevice(c10::Device) const noexcept override {}
  c10::Stream getStream(c10::Device) const override { return stream; }
  c10::Stream getDefaultStream(c10::Device) const override { return stream; }
  c10::Stream exchangeStream(c10::Stream) const override { return stream; }
  c10::DeviceIndex deviceCount() const noexcept override { return 1; }
  void record(void**, const c10::Stream&, const c10::DeviceIndex,
              const c10::EventFlag) const override {}
  void block(void*, const c10::Stream&) const override {}
};
Guard guard;
c10::impl::DeviceGuardImplRegistrar registrar(c10::DeviceType::CUDA, &guard);

struct Hooks : at::CUDAHooksInterface {
  Hooks(at::CUDAHooksArgs) {}
  void init() const override {}
  bool hasCUDA() const override { return true; }
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
  int getNumGPUs() const override { return 1; }
  c10::DeviceIndex deviceCount() const override { return 1; }
  c10::DeviceIndex getCurrentDevice() const override { return 0; }
  const at::Generator& getDefaultGenerator(c10::DeviceIndex) const override {
    return at::detail::getDefaultCPUGenerator();
  }
};
namespace at {
C10_REGISTER_CLASS(CUDAHooksRegistry, CUDAHooks, ::Hooks)
}
"""


def _load() -> None:
    """Compile and load the device (a few seconds)."""
    if 'torch' in sys.modules:
        raise ImportError('import fake_cuda before torch')
    spec = find_spec('torch')
    if spec is None or spec.origin is None:
        raise ImportError('PyTorch is not installed')
    torch = Path(spec.origin).parent
    if 'cuda = None' not in (torch / 'version.py').read_text().replace(': Optional[str]', ''):
        raise ImportError('the simulation needs the CPU build of PyTorch')
    include = torch / 'include'
    folders = [
        include,
        include / 'torch' / 'csrc' / 'api' / 'include',
        sysconfig.get_path('include'),
    ]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / 'fake_cuda.cpp').write_text(SOURCE)
        library = Path(folder) / 'fake_cuda.so'
        command = ['c++', '-std=c++20', '-fPIC', '-shared', *(f'-I{f}' for f in folders)]
        command += [f'{folder}/fake_cuda.cpp', f'-L{torch}/lib', f'-Wl,-rpath,{torch}/lib']
        try:
            subprocess.run([*command, '-lc10', '-ltorch_cpu', '-o', library], check=True)
        except FileNotFoundError:
            raise ImportError('the simulation needs a C++ compiler named c++') from None
        ctypes.CDLL(str(library), ctypes.RTLD_GLOBAL)


def _pretend() -> None:
    """Give torch's Python side the same belief."""
    import torch
    from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

    answers = {
        'is_available': True,
        'device_count': 1,
        'current_device': 0,
        'is_initialized': True,
        'is_bf16_supported': True,
        '_lazy_init': None,
    }
    for name, answer in answers.items():
        setattr(torch.cuda, name, lambda *args, answer=answer, **kwargs: answer)
    optimizers: Any = import_module('torch.optim.optimizer')
    optimizers._foreach_supported_types.append(FakeTensor)
    torch.nn.Module._apply = _apply  # type: ignore[assignment]
    make = torch.tensor

    def new_tensor(self: Any, data: Any, dtype: Any = None, device: Any = None) -> Any:
        return make(data, dtype=dtype or self.dtype).to(device or self.device)

    # The original makes a real tensor on the device.
    torch.Tensor.new_tensor = FakeTensor.new_tensor = new_tensor  # type: ignore[assignment]
    # Copies of networks stay in the mode of the original.
    setattr(FakeTensorMode, '__deepcopy__', lambda self, memo: self)  # noqa: B010


def _apply(self: Any, fn: Any, recurse: bool = True) -> Any:
    """What ``to`` does to a module, for fake parameters, which cannot be swapped in place."""
    import torch

    for child in self.children():
        child._apply(fn)
    for name, old in self._parameters.items():
        if old is not None:
            new = torch.nn.Parameter(fn(old.detach()), requires_grad=old.requires_grad)
            self._parameters[name] = new
    for name, old in self._buffers.items():
        if old is not None:
            self._buffers[name] = fn(old)
    return self


_load()
_pretend()
