"""The explorer in a real browser, driven by mouse, touch and keys, beside brute force."""

from __future__ import annotations

import itertools
import json
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from browser import console, open_browser, requested_addresses, set_screen
from explorer_driver import (
    MAPS,
    MATCHES,
    NAMES,
    SIZE,
    Page,
    cycle,
    expected_caption,
    position,
    random_pictures,
    spread,
)

from mmcoordgan.geometry import canonical_grid, hard_transfer
from mmcoordgan.visualization.explorer import explorer_page, quantize_coords


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
    assert requested_addresses(browser) == [path.as_uri()]


def check_shown(page: Page, picture: int, pixel: int) -> None:
    assert page.shown('.cursor') == [matches[pixel] for matches in MATCHES[picture]]
    others = range(len(MAPS))
    assert page.captions() == [expected_caption(picture, other, pixel) for other in others]


def test_all_matches(page):
    """Every pixel of every pair; hard_transfer finds pixels that are just as near."""
    found = page.browser.execute_script(
        'const pictures = explorer.views.map((_, i) => i), pixels = explorer.size ** 2;'
        'return pictures.map((a) => pictures.map((b) => Array.from({length: pixels},'
        ' (_, p) => explorer.annotations.matches(a, p)[b].pixel)));'
    )
    np.testing.assert_array_equal(found, MATCHES)
    numbers = torch.arange(SIZE * SIZE).view(1, 1, SIZE, SIZE)
    levels = [torch.from_numpy(quantize_coords(m).astype(np.float64))[None] for m in MAPS]
    for a, b in itertools.permutations(range(len(MAPS)), 2):
        index = hard_transfer(numbers, levels[b], levels[a]).flatten()
        points, places = levels[b].flatten(2)[0], levels[a].flatten(2)[0]
        distances = [(points[:, i] - places).norm(dim=0) for i in (index, found[a][b])]
        assert torch.equal(*distances)


@pytest.mark.parametrize('picture', range(4))
def test_hover(page, picture):
    for pixel in (0, 5 * SIZE + 9, SIZE * SIZE - 1):
        page.mouse(picture, pixel)
        check_shown(page, picture, pixel)


def test_keys(page):
    from selenium.webdriver.common.keys import Keys

    picture = page.pictures[1]
    picture.send_keys(Keys.ARROW_LEFT)  # shows the cursor in the middle
    middle = SIZE // 2 * (SIZE + 1)
    check_shown(page, 1, middle)
    picture.send_keys(Keys.ARROW_LEFT, Keys.ARROW_UP, Keys.ARROW_UP)
    pixel = middle - 1 - 2 * SIZE
    check_shown(page, 1, pixel)
    time.sleep(0.5)
    status = page.find('#status')[0].get_attribute('textContent')
    x, y = position(pixel)
    told = [f'{NAMES[b]}: {expected_caption(1, b, pixel)}'.replace(' ·', ',') for b in (0, 2, 3)]
    assert status == f'{NAMES[1]} at {x}, {y}. {". ".join(told)}.'
    picture.send_keys(Keys.SHIFT, Keys.ARROW_RIGHT)  # eight pixels, up to the edge
    pixel += min(8, SIZE - 1 - x)
    check_shown(page, 1, pixel)
    picture.send_keys(Keys.NULL, '3', Keys.ENTER)
    assert page.shown('.point') == [matches[pixel] for matches in MATCHES[1]]
    assert page.find('#label')[0].get_attribute('value') == '3'
    assert [item.text.splitlines()[0] for item in page.find('#points li')] == [
        f'Label 3, {NAMES[1]} at {pixel % SIZE}, {pixel // SIZE}Remove'
    ]
    picture.send_keys(Keys.CONTROL, 'z')
    assert page.find('.point') == []
    picture.send_keys(Keys.CONTROL, 'y')
    assert len(page.find('.point')) == len(MAPS)
    picture.send_keys(Keys.ESCAPE)
    assert not any(cursor.is_displayed() for cursor in page.find('.cursor'))


def test_painting_by_keys(page):
    from selenium.webdriver.common.keys import Keys

    picture = page.pictures[2]
    page.choose('paint')
    page.set_brush(0)
    pixel = SIZE // 2 * (SIZE + 1)
    picture.send_keys(Keys.ARROW_UP, '5', Keys.SPACE, Keys.ARROW_DOWN, ']', Keys.ENTER)
    below = pixel + SIZE
    strokes = [(2, 5, [pixel]), (2, 5, [below, below - 1, below + 1, below - SIZE, below + SIZE])]
    np.testing.assert_array_equal(page.labels(), spread(strokes))
    time.sleep(0.5)
    status = page.find('#status')[0].get_attribute('textContent')
    assert status.startswith(f'Painted Label 5. {NAMES[2]} at 8, 9. {NAMES[0]}: ')


def test_points_can_be_removed(page):
    page.choose('point')
    for picture, pixel in ((0, 40), (1, 200)):
        page.mouse(picture, pixel, press=True)
    assert [point.text for point in page.find('.point')] == ['1', '2'] * len(MAPS)
    page.find('[aria-label="Remove point 1"]')[0].click()
    assert [point.text for point in page.find('.point')] == ['1'] * len(MAPS)
    assert page.shown('.point') == [matches[200] for matches in MATCHES[1]]
    page.press('undo')
    assert [point.text for point in page.find('.point')] == ['1', '2'] * len(MAPS)


def test_touch(browser, page):
    def touch_action() -> str:
        return page.pictures[0].value_of_css_property('touch-action')

    set_screen(browser, 375, 700, phone=True)
    assert touch_action() == 'pan-y'  # the page can be scrolled
    page.touch(2, 77)
    check_shown(page, 2, 77)
    page.touch(3, 20, 21, 22)  # sideways, which does not scroll
    check_shown(page, 3, 22)
    page.choose('point')
    page.touch(0, 100)
    assert page.shown('.point') == [matches[100] for matches in MATCHES[0]]
    page.choose('paint')
    page.set_brush(0)
    assert touch_action() == 'none'
    page.touch(0, 34, 34 + 3 * SIZE)
    np.testing.assert_array_equal(
        page.labels(), spread([(0, 1, [34 + i * SIZE for i in range(4)])])
    )


def test_paint(page):
    def check(strokes) -> None:
        expected = spread(strokes)
        np.testing.assert_array_equal(page.labels(), expected)
        np.testing.assert_array_equal(page.drawn_labels(), expected > 0)

    page.choose('paint')
    page.set_brush(0)
    line = [3 * SIZE + i for i in range(2, 12)]  # between two events there is a line of pixels
    page.mouse(0, line[0], line[-1], press=True)
    strokes = [(0, 1, line)]
    check(strokes)
    page.find('#label option')[1].click()
    page.set_brush(1)
    cross = [100, 99, 101, 100 - SIZE, 100 + SIZE]
    page.mouse(2, 100, press=True)
    check([*strokes, (2, 2, cross)])
    page.choose('erase')
    page.set_brush(0)
    strokes.append((2, 2, cross))
    painted = int(np.flatnonzero(spread(strokes)[1])[0])
    page.mouse(1, painted, press=True)
    strokes.append((1, 0, [painted]))
    check(strokes)
    page.press('undo')
    check(strokes[:2])
    page.press('redo')
    check(strokes)
    page.press('clear')
    check([])
    page.press('undo')
    check(strokes)


def test_save(browser, page, tmp_path):
    page.choose('point')
    page.mouse(3, 200, press=True)
    name = page.find('#label-name')[0]
    name.clear()
    name.send_keys('chin')
    page.choose('paint')
    page.set_brush(0)
    page.mouse(0, 17, press=True)
    options = dict(behavior='allow', downloadPath=str(tmp_path))
    browser.execute_cdp_cmd('Browser.setDownloadBehavior', options)
    page.press('save')
    file, deadline = tmp_path / 'correspondences.json', time.time() + 10
    while not file.exists() and time.time() < deadline:
        time.sleep(0.05)
    saved = json.loads(file.read_text(encoding='utf-8'))
    assert saved['size'] == SIZE
    assert [picture['name'] for picture in saved['pictures']] == NAMES
    assert [picture['width'] for picture in saved['pictures']] == [16, 16, 16, 32]
    assert saved['labels'][:2] == [dict(label=1, name='chin'), dict(label=2, name='Label 2')]
    assert saved['points'] == [
        dict(
            label=1,
            picture=3,
            positions=[position(MATCHES[3][b][200]) for b in range(4)],
            cycle_distances=[cycle(3, b, 200) for b in range(3)] + [0],
        )
    ]
    labels = np.array([picture['labels'] for picture in saved['pictures']])
    np.testing.assert_array_equal(labels.reshape(4, -1), spread([(0, 1, [17])]))
    # The download is a request to the page's own memory.
    assert all(
        a == browser.current_url or a.startswith('blob:') for a in requested_addresses(browser)
    )
    browser.get(browser.current_url)


def test_names_are_text(browser, page):
    assert [name.text for name in page.find('.name')] == NAMES
    assert browser.title == NAMES[1] == page.find('h1')[0].text
    assert browser.execute_script('return typeof hacked') == 'undefined'
    assert len(page.find('img')) == len(MAPS)


def test_everything_has_a_name_for_screen_readers(page):
    for number, picture in enumerate(page.pictures):
        assert picture.aria_role == 'application'
        assert picture.accessible_name == f'Picture {number + 1}: {NAMES[number]}'
    controls = page.find('input, select, button, a, main, section, form')
    assert len(controls) > 12
    assert [c.get_attribute('outerHTML') for c in controls if not c.accessible_name] == []
    assert page.find('[role=status]')[0].get_attribute('aria-live') == 'polite'


def test_focus_is_visible(page):
    from selenium.webdriver.common.keys import Keys

    page.find('#save')[0].send_keys(Keys.TAB)
    assert page.browser.switch_to.active_element == page.pictures[0]
    assert page.pictures[0].value_of_css_property('outline-style') == 'solid'


@pytest.mark.parametrize('scheme', ['light', 'dark'])
def test_text_is_legible(browser, page, scheme):
    """WCAG's contrast of 4.5 between every text and what lies behind it."""
    set_screen(browser, 375, 700, phone=True, scheme=scheme)

    def luminance(color: str) -> float:
        values = [float(v) / 255 for v in color[color.index('(') + 1 : -1].split(',')[:3]]
        linear = [v / 12.92 if v <= 0.03928 else ((v + 0.055) / 1.055) ** 2.4 for v in values]
        return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))

    def background(element) -> str:
        return browser.execute_script(
            'let e = arguments[0], c;'
            'do { c = getComputedStyle(e).backgroundColor; e = e.parentElement; }'
            'while (c === "rgba(0, 0, 0, 0)" && e); return c;',
            element,
        )

    texts = page.find('h1, header p, legend, .field, .choices span, button:enabled, .name')
    for text in texts:
        color = browser.execute_script('return getComputedStyle(arguments[0]).color', text)
        pair = sorted([luminance(color), luminance(background(text))])
        assert (pair[1] + 0.05) / (pair[0] + 0.05) >= 4.5, (text.text, color, background(text))
    assert (luminance(background(page.find('h1')[0])) < 0.2) == (scheme == 'dark')
    width = browser.execute_script('return document.documentElement.scrollWidth')
    assert width <= 375


def test_the_policy_forbids_requests_and_other_programs(browser, path):
    Page(browser, path)
    refused = browser.execute_async_script(
        "fetch('https://example.org/').then(() => arguments[0]('sent'), () => arguments[0]('no'))"
    )
    assert refused == 'no'
    browser.execute_script(
        "const script = document.createElement('script'); script.textContent = 'hacked = 1';"
        'document.body.append(script);'
    )
    assert browser.execute_script('return typeof hacked') == 'undefined'
    lines = '\n'.join(line for line in console(browser) if 'Content Security Policy' in line)
    assert "Connecting to 'https://example.org/' violates" in lines
    assert 'Executing inline script violates' in lines


def test_nine_pictures_at_128_are_quick(browser, tmp_path):
    """A screen shows 60 pictures a second: 16 ms for each; strokes and labels take several."""
    grid = canonical_grid(128, 128)
    coords = [grid * (0.6 + 0.05 * i) + 0.1 * torch.sin(3 * grid.flip(0) + i) for i in range(9)]
    pictures = random_pictures(128, [c.clamp(-1, 1) for c in coords], [f'{i}' for i in range(9)])
    path = tmp_path / 'nine.html'
    path.write_text(explorer_page(pictures), encoding='utf-8')
    Page(browser, path)
    look, stroke = browser.execute_script(
        'const time = (run) => { const start = performance.now(); run();'
        '  return performance.now() - start; };'
        'const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];'
        'const pixels = Array.from({length: 51}, (_, i) => (i * 7919) % 16384);'
        'const look = pixels.map((p) => time(() => explorer.onLook(explorer.views[0], p)));'
        'explorer.annotations.beginStroke(0, 1);'
        'const stroke = pixels.map((p) => time(() => explorer.annotations.extendStroke('
        '  brushedPixels(p, p, 4, 128))));'
        'explorer.annotations.endStroke(); return [median(look), median(stroke)];'
    )
    assert look < 16
    assert stroke < 50
