"""The explorer in a real browser, driven by mouse, touch and keys, beside brute force."""

import itertools

import numpy as np
import torch
from browser import console, set_screen
from explorer_driver import (
    MAPS,
    MATCHES,
    NAMES,
    SIZE,
    Page,
    check_shown,
    own_position,
    random_pictures,
    spread,
)

from mmcoordgan.geometry import hard_transfer
from mmcoordgan.visualization import coords_to_colors
from mmcoordgan.visualization.explorer import Accuracy, explorer_page, quantize_coords


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
    for picture, pixel in ((0, 0), (2, 5 * SIZE + 9), (3, SIZE * SIZE - 1)):
        page.mouse(picture, pixel)
        check_shown(page, picture, pixel)


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
    page.choose('paint', brush=0)
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

    page.choose('paint', brush=0)
    line = [3 * SIZE + i for i in range(2, 12)]  # between two events there is a line of pixels
    page.mouse(0, line[0], line[-1], press=True)
    strokes = [(0, 1, line)]
    check(strokes)
    page.find('#label option')[1].click()
    page.choose('paint', brush=1)
    cross = [100, 99, 101, 100 - SIZE, 100 + SIZE]
    page.mouse(2, 100, press=True)
    check([*strokes, (2, 2, cross)])
    page.choose('erase', brush=0)
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


def test_the_toolbar_shows_what_the_tool_uses(browser, page):
    uses = {'look': [], 'point': ['label', 'label-name'], 'erase': ['brush']}
    uses['paint'] = ['label', 'label-name', 'brush']
    for tool, expected in uses.items():
        page.choose(tool)
        fields = page.find('#tools select, #label-name, #brush')
        assert [f.get_attribute('id') for f in fields if f.is_displayed()] == expected
    set_screen(browser, 500, 300)
    page.browser.execute_script('window.scrollTo(0, 200)')
    assert page.browser.execute_script('return document.scrollingElement.scrollTop') > 100
    top = page.find('#tools')[0]
    assert page.browser.execute_script('return arguments[0].getBoundingClientRect().top', top) == 0


def test_pixels_coloured_by_their_maps(page):
    """As coords_to_colors does, up to the steps of the page's colours."""
    shown = page.find('.map')[1]
    assert not shown.is_displayed()
    page.find('#by-map')[0].click()
    assert shown.is_displayed()
    script = 'return Array.from(arguments[0].getContext("2d").getImageData(0, 0, 16, 16).data)'
    found = np.reshape(page.browser.execute_script(script, shown), (SIZE, SIZE, 4))
    assert np.abs(found[..., :3] - coords_to_colors(MAPS[1]).astype(int)).max() <= 8
    page.find('#by-map')[0].click()


def test_it_asks_before_work_is_lost(page, tmp_path):
    def asks_until_saved() -> bool:
        asked = page.asks_before_closing()
        assert page.save_to(folders.pop()).exists()
        return asked and not page.asks_before_closing()

    folders = [tmp_path / f'{i}' for i in range(4)]
    assert not page.asks_before_closing()
    page.choose('point')
    page.find('#label-name')[0].send_keys('!')
    page.mouse(0, 40, press=True)
    page.press('undo')
    assert asks_until_saved()  # the name is still there
    page.press('redo')
    assert asks_until_saved()
    page.press('undo')
    assert page.asks_before_closing()  # what was saved is not what is there
    page.press('redo')
    page.find('[aria-label="Remove point 1"]')[0].click()
    assert asks_until_saved()
    page.choose('paint')
    page.mouse(0, 40, press=True)
    assert asks_until_saved()


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


def test_expected_errors(browser, tmp_path):
    """The error that goes with the doubt of a match, by the definition in matching.py; the second
    image is unlike what the model knows."""
    pictures = random_pictures(SIZE, MAPS[:2], NAMES[:2])
    errors = np.random.default_rng(0).random((2, SIZE, SIZE)) / 4
    accuracy = Accuracy(0.1, [0.0, 0.1, 0.3], [0.01, 0.05, 0.4])
    captions = []
    for warning in ('', 'Doubtful'):
        known = [p._replace(map_error=e) for p, e in zip(pictures, errors)]
        known[1] = known[1]._replace(warning=warning)
        path = tmp_path / 'explorer.html'
        path.write_text(explorer_page(known, 'x', accuracy), encoding='utf-8')
        page = Page(browser, path)
        assert [w.text for w in page.find('.warning')] == ([warning] if warning else [])
        page.mouse(0, 100)
        captions.append(page.captions()[1])
    there = MATCHES[0][1][100]
    maps = [quantize_coords(m).reshape(2, -1) / 32767.5 for m in MAPS[:2]]
    distance = np.linalg.norm(maps[1] - maps[0][:, 100:101], axis=0)
    weights = np.exp(-distance / 0.1) / np.exp(-distance / 0.1).sum()
    places = np.indices((SIZE, SIZE))[::-1].reshape(2, -1) / SIZE
    doubt = np.sqrt((weights * (places - (weights * places).sum(1, keepdims=True)) ** 2).sum())
    levels = np.rint(errors * 255).reshape(2, -1) / 255
    doubt += (levels[0, 100] + levels[1, there]) / 4
    error = np.interp(doubt, accuracy.doubts, accuracy.errors)
    assert 0.05 < error < 0.4
    grade = 'fair' if error <= 0.1 else 'far'
    text = f'{own_position(3, there)} · {error * SIZE * 2**0.5:.1f} px, '  # twice as wide
    assert captions == [text + grade, text + 'doubtful']
