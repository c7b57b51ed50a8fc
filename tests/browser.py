"""A headless Chromium that the tests drive like a user."""

import importlib.util
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

OPTIONS = (
    '--headless=new',
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
)


def _programs() -> tuple[str, str]:
    """Paths of Chromium and its driver; without them the test is skipped, but fails in CI."""
    chromium = shutil.which('chromium') or shutil.which('chromium-browser')
    driver = shutil.which('chromedriver')
    found = {
        'chromium': chromium,
        'chromedriver (Debian: chromium-driver)': driver,
        'selenium (pip install -e .[tests])': importlib.util.find_spec('selenium'),
    }
    missing = ', '.join(name for name, value in found.items() if not value)
    if missing:
        message = f'the page is tested in a browser: install {missing}'
        pytest.fail(message) if os.environ.get('CI') else pytest.skip(message)
    return str(chromium), str(driver)


@contextmanager
def open_browser(profile: Path) -> Iterator[Any]:
    """A browser with an empty profile, whose console and requests are logged."""
    chromium, chromedriver = _programs()
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for option in (*OPTIONS, f'--user-data-dir={profile}'):
        options.add_argument(option)
    options.set_capability('goog:loggingPrefs', {'browser': 'ALL', 'performance': 'ALL'})
    browser = webdriver.Chrome(options=options, service=Service(chromedriver))
    try:
        yield browser
    finally:
        browser.quit()


def set_screen(
    browser: Any, width: int, height: int, *, phone: bool = False, scheme: str = 'light'
):
    """Emulate a screen, a touch screen if ``phone``, in the 'light' or 'dark' colour scheme."""
    metrics = dict(width=width, height=height, deviceScaleFactor=1, mobile=phone)
    browser.execute_cdp_cmd('Emulation.setDeviceMetricsOverride', metrics)
    browser.execute_cdp_cmd('Emulation.setTouchEmulationEnabled', dict(enabled=phone))
    feature = dict(name='prefers-color-scheme', value=scheme)
    browser.execute_cdp_cmd('Emulation.setEmulatedMedia', dict(features=[feature]))


def console(browser: Any) -> list[str]:
    """What the page wrote to the console since the last call."""
    return [entry['message'] for entry in browser.get_log('browser')]


def requested_addresses(browser: Any) -> list[str]:
    """What the browser asked for since the last call, without data that the page holds itself."""
    messages = [json.loads(e['message'])['message'] for e in browser.get_log('performance')]
    addresses = [
        message['params']['request']['url']
        for message in messages
        if message['method'] == 'Network.requestWillBeSent'
    ]
    return [address for address in addresses if not address.startswith('data:')]


def explorer_data(page: str) -> dict:
    """What the explorer's page holds."""
    return json.loads(re.search(r'type="application/json" id="data">(.*)</script>', page)[1])
