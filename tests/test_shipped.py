"""Configs and tools are found in a wheel and in a checkout."""

import sys
from pathlib import Path

import pytest
from mmengine.registry import Registry

from mmcoordgan import registry, shipped
from mmcoordgan.cli.config import load_config
from mmcoordgan.errors import UserError
from mmcoordgan.shipped import find_config, shipped_root

pytestmark = pytest.mark.usefixtures('elsewhere')
ROOT = Path(__file__).parents[1]
TOY = ROOT / 'configs' / 'coordgan' / 'toyfaces_32.py'


def test_the_folder_of_a_wheel_is_preferred(tmp_path, monkeypatch):
    assert shipped_root() == ROOT
    monkeypatch.setattr(shipped, 'PACKAGE', tmp_path / 'package')
    with pytest.raises(FileNotFoundError, match=r'no configs and tools in .*package/\.mim or '):
        shipped_root()
    (tmp_path / 'model-index.yml').touch()
    assert shipped_root() == tmp_path
    (tmp_path / 'package' / '.mim').mkdir(parents=True)
    (tmp_path / 'package' / '.mim' / 'model-index.yml').touch()
    assert shipped_root() == tmp_path / 'package' / '.mim'


@pytest.mark.parametrize('name', ['coordgan/toyfaces_32.py', 'configs/coordgan/toyfaces_32.py'])
def test_a_file_wins_over_a_name(tmp_path, name):
    assert find_config(name) == str(TOY)
    assert load_config(name, None).model.type == 'CoordGAN'
    (tmp_path / name).parent.mkdir(parents=True)
    (tmp_path / name).write_text('model = dict(type="Mine")')
    assert find_config(name) == name
    assert load_config(name, None).model.type == 'Mine'


def test_unknown_configs():
    message = r'config file coordgan/toyface_32\.py does not exist; did you mean '
    with pytest.raises(UserError, match=message + r'coordgan/toyfaces_32\.py, which'):
        find_config('coordgan/toyface_32.py')
    for name in ('../setup.py', '_base_/default_runtime.py', 'coordgan', '/'):
        with pytest.raises(UserError, match=r'does not exist$'):
            find_config(name)


def test_what_is_wrong_with_a_config_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, 'pkg_resources', None)
    for text, message in (
        ('x = __import__("missing")', r"other\.py: ModuleNotFoundError: No module named 'missing'"),
        ('_base_ = "mmcoordgan::coordgan/toyfaces_32.py"', "pip install 'setuptools<82'"),
    ):
        Path('other.py').write_text(text)
        with pytest.raises(UserError, match=message):
            load_config('other.py', None)


def test_no_registry_needs_a_fallback(monkeypatch):
    """MMEngine calls a scope that it knows "not installed" where a registry has no location."""
    roots = [root for root in vars(registry.root).values() if isinstance(root, Registry)]
    children = [root.children['mmcoordgan'] for root in roots]
    assert len(children) > 20
    asked = []
    monkeypatch.setattr('mmengine.registry.registry.import_module', asked.append)
    for child in children:
        monkeypatch.setattr(child, '_imported', False)
        child.import_from_location()
    assert 'mmcoordgan.models' in asked and 'mmcoordgan.utils' not in asked
