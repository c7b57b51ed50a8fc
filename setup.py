"""Metadata is in setup.cfg. This adds the configs and tools, which lie beside the package.

In a wheel they are in ``mmcoordgan/.mim``, where OpenMMLab's programs look for them. An editable
installation needs no copy: ``mmcoordgan.shipped`` finds the ones of the checkout.
"""

from __future__ import annotations

import os
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

SHIPPED = ('configs', 'tools', 'model-index.yml')
LEFT_OUT = {'__pycache__', 'ci'}


def shipped_files() -> list[str]:
    """Paths relative to this folder."""
    paths = [path for name in SHIPPED for path in (Path(name), *Path(name).rglob('*'))]
    files = (path for path in paths if path.is_file() and LEFT_OUT.isdisjoint(path.parts))
    return sorted(path.as_posix() for path in files)


class BuildPy(build_py):
    """Copies the files of the package, and the shipped ones."""

    def target(self, name: str) -> str:
        return os.path.join(self.build_lib, 'mmcoordgan', '.mim', name)

    def run(self) -> None:
        super().run()
        for name in [] if self.editable_mode else shipped_files():
            self.mkpath(os.path.dirname(self.target(name)))
            self.copy_file(name, self.target(name))  # launchers stay executable

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        copies = [] if self.editable_mode else map(self.target, shipped_files())
        return [*super().get_outputs(include_bytecode), *copies]

    def get_source_files(self) -> list[str]:
        """What an sdist must hold."""
        return [*super().get_source_files(), *shipped_files()]


setup(cmdclass={'build_py': BuildPy})
