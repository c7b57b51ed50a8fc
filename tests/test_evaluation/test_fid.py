"""FID without torch-fidelity; with it, see test_mmagic/test_mmagic_fid.py."""

from __future__ import annotations

import sys

import pytest

from mmcoordgan.evaluation import FID


def test_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, 'torch_fidelity', None)
    module = 'torch_fidelity.feature_extractor_inceptionv3'
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match='Run: pip install torch-fidelity'):
        FID()
