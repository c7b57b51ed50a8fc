"""The explorer in a browser, for its tests."""

from pathlib import Path

import pytest
from browser import console, open_browser, requested_addresses, set_screen
from explorer_driver import MAPS, NAMES, SIZE, Page, random_pictures

from mmcoordgan.visualization.explorer import explorer_page


@pytest.fixture(scope='module')
def browser(tmp_path_factory):
    with open_browser(tmp_path_factory.mktemp('profile')) as browser:
        yield browser


@pytest.fixture(scope='module')
def path(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp('page') / 'explorer.html'
    path.write_text(explorer_page(random_pictures(SIZE, MAPS, NAMES), NAMES[1]), encoding='utf-8')
    return path


@pytest.fixture
def page(browser, path) -> Page:
    set_screen(browser, 1280, 900)
    page = Page(browser, path)
    yield page
    assert console(browser) == []
    # A download is a request to the page's own memory.
    addresses = [a for a in requested_addresses(browser) if not a.startswith('blob:')]
    assert addresses == [path.as_uri()]
