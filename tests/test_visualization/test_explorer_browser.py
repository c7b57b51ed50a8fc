"""The explorer in a real browser, driven by mouse, touch and keys, beside brute force."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from browser import console, set_screen
from explorer_driver import (
    MAPS,
    MATCHES,
    NAMES,
    SIZE,
    Page,
    check_shown,
    random_pictures,
    spread,
)

from mmcoordgan.geometry import canonical_grid, hard_transfer
from mmcoordgan.visualization.explorer import explorer_page, quantize_coords


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


def test_a_second_finger_does_not_lose_the_stroke_of_the_first(browser, page):
    def touch(kind: str, *places: tuple[int, int]) -> None:
        points = [
            dict(id=i, x=x, y=y) for i, (x, y) in enumerate(page.point(*place) for place in places)
        ]
        browser.execute_cdp_cmd('Input.dispatchTouchEvent', dict(type=kind, touchPoints=points))

    set_screen(browser, 1280, 900, phone=True)
    page.choose('paint')
    page.set_brush(0)
    touch('touchStart', (0, 40))
    touch('touchStart', (0, 40), (1, 90))
    touch('touchEnd', (0, 40))
    touch('touchEnd')
    strokes = [(0, 1, [40]), (1, 1, [90])]
    np.testing.assert_array_equal(page.labels(), spread(strokes))
    page.press('undo')
    np.testing.assert_array_equal(page.labels(), spread(strokes[:1]))


def test_it_asks_before_work_is_lost(page, tmp_path):
    def saved() -> bool:
        return page.save_to(folders.pop()).exists()

    folders = [tmp_path / f'{i}' for i in range(4)]
    assert not page.asks_before_closing()
    page.find('#label-name')[0].send_keys('!')
    assert page.asks_before_closing()
    page.choose('point')
    page.mouse(0, 40, press=True)
    page.press('undo')
    assert page.asks_before_closing()  # the name is still there
    assert saved() and not page.asks_before_closing()
    page.press('redo')
    assert page.asks_before_closing()
    assert saved() and not page.asks_before_closing()
    page.press('undo')
    assert page.asks_before_closing()  # what was saved is not what is there
    page.press('redo')
    assert saved() and not page.asks_before_closing()
    page.find('[aria-label="Remove point 1"]')[0].click()
    assert page.asks_before_closing()
    page.choose('paint')
    assert saved() and not page.asks_before_closing()
    page.mouse(0, 40, press=True)
    assert page.asks_before_closing()


def test_what_does_nothing_leaves_no_trace(page):
    for button in ('undo', 'redo', 'clear'):
        page.press(button)
    assert not page.asks_before_closing()
    page.choose('point')
    page.mouse(0, 40, press=True)
    page.press('undo')
    page.press('clear')  # nothing is there, and what was undone can still be redone
    assert page.status() == 'Nothing to clear.'
    page.press('redo')
    assert page.shown('.point') == [matches[40] for matches in MATCHES[0]]
    page.press('clear')
    assert page.find('.point') == []
    page.press('undo')
    assert page.shown('.point') == [matches[40] for matches in MATCHES[0]]


def test_names_are_text(browser, page):
    assert [name.text for name in page.find('.name')] == NAMES
    assert browser.title == NAMES[1] == page.find('h1')[0].text
    assert browser.execute_script('return typeof hacked') == 'undefined'
    assert len(page.find('img')) == len(MAPS)


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
