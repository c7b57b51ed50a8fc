"""The explorer by keys alone, without seeing colours, and with a screen reader."""

from __future__ import annotations

import time

import numpy as np
import pytest
from browser import set_screen
from explorer_driver import (
    MAPS,
    MATCHES,
    NAMES,
    SIZE,
    check_shown,
    expected_caption,
    position,
    spread,
)


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
    x, y = position(pixel)
    told = [f'{NAMES[b]}: {expected_caption(1, b, pixel)}'.replace(' ·', ',') for b in (0, 2, 3)]
    assert page.status() == f'{NAMES[1]} at {x}, {y}. {". ".join(told)}.'
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
    assert page.status().startswith(f'Painted Label 5. {NAMES[2]} at 8, 9. {NAMES[0]}: ')


def test_what_keys_do_is_said(page):
    from selenium.webdriver.common.keys import Keys

    def said(*keys: str) -> str:
        page.pictures[0].send_keys(*keys)
        return page.status()

    page.find('#label-name')[0].send_keys('!')
    page.set_brush(0)
    assert said('3') == 'Label 3 chosen.'
    assert said('1') == 'Label 1! chosen.'
    assert said(']') == 'Brush 3 px.'
    assert said('[') == 'Brush 1 px.'
    assert said(Keys.CONTROL, 'z') == 'Nothing to undo.'
    page.choose('paint')
    said(Keys.ENTER)
    page.choose('look')
    said(Keys.ENTER)
    assert said(Keys.CONTROL, 'z') == 'Undone: point. 1 left to undo.'
    time.sleep(0.5)  # what the point would have met is no longer told
    assert page.status() == 'Undone: point. 1 left to undo.'
    assert said(Keys.CONTROL, 'z') == 'Undone: stroke. 0 left to undo.'
    assert said(Keys.CONTROL, 'y') == 'Redone: stroke. 1 left to redo.'
    assert said(Keys.CONTROL, Keys.SHIFT, 'z') == 'Redone: point. 0 left to redo.'
    assert said(Keys.CONTROL, 'y') == 'Nothing to redo.'


def test_what_buttons_do_is_said(page, tmp_path):
    def said(css: str) -> str:
        page.find(css)[0].click()
        return page.status()

    page.choose('point')
    page.mouse(0, 40, press=True)
    page.mouse(0, 50, press=True)
    assert said('[aria-label="Remove point 1"]') == 'Point 1 removed. Points: 1.'
    assert said('#undo') == 'Undone: removal of a point. 2 left to undo.'
    assert said('#redo') == 'Redone: removal of a point. 0 left to redo.'
    assert said('#clear') == 'All points and labels cleared.'
    assert said('#undo') == 'Undone: clearing. 3 left to undo.'
    page.save_to(tmp_path)
    assert page.status() == 'Saved as correspondences.json.'


def test_undo_by_keys_on_the_whole_page(page):
    from selenium.webdriver.common.keys import Keys

    page.choose('point')
    page.mouse(0, 40, press=True)
    for css in ('#save', '#label', '#brush', 'input[value=point]', 'body'):
        place = page.find(css)[0]
        place.send_keys(Keys.CONTROL, 'z')
        assert page.find('.point') == [], css
        place.send_keys(Keys.CONTROL, 'y')
        assert len(page.find('.point')) == len(MAPS), css
    page.pictures[0].send_keys(Keys.ENTER)
    page.pictures[0].send_keys(Keys.CONTROL, 'z')  # undoes once, not twice
    assert len(page.find('.point')) == len(MAPS)
    page.find('#label-name')[0].send_keys('x', Keys.CONTROL, 'z')  # there it undoes the typing
    assert len(page.find('.point')) == len(MAPS)


def test_focus_stays_on_buttons_that_have_nothing_to_do(page):
    from selenium.webdriver.common.keys import Keys

    def unavailable() -> list[bool]:
        return [page.find(css)[0].get_attribute('aria-disabled') == 'true' for css in buttons]

    buttons = ('#undo', '#redo')
    assert unavailable() == [True, True]
    page.pictures[0].send_keys(Keys.ENTER)
    for button, expected in zip(buttons, ([True, False], [False, True])):
        page.find(button)[0].send_keys(Keys.ENTER)
        assert unavailable() == expected
        page.browser.switch_to.active_element.send_keys(Keys.ENTER)
        assert page.status() == f'Nothing to {button[1:]}.'
        assert '#' + page.focused() == button


def test_everything_has_a_name_for_screen_readers(page):
    for number, picture in enumerate(page.pictures):
        assert picture.aria_role == 'application'
        assert picture.accessible_name == f'Image {number + 1}: {NAMES[number]}'
    controls = page.find('input, select, button, a, main, section, form')
    assert len(controls) > 12
    assert [c.get_attribute('outerHTML') for c in controls if not c.accessible_name] == []
    assert page.find('[role=status]')[0].get_attribute('aria-live') == 'polite'


def test_focus_is_visible(page):
    from selenium.webdriver.common.keys import Keys

    page.find('#open')[0].send_keys(Keys.TAB)
    assert page.browser.switch_to.active_element == page.pictures[0]
    assert page.pictures[0].value_of_css_property('outline-style') == 'solid'


@pytest.mark.parametrize('scheme', ['light', 'dark'])
def test_text_is_legible(browser, page, scheme):
    """WCAG's contrast of 4.5 between every text and what lies behind it."""
    from selenium.webdriver.common.keys import Keys

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

    for label in range(1, 9):
        page.pictures[0].send_keys(str(label), Keys.ENTER)
    texts = page.find(
        'h1, header p, legend, .field, .choices span, .name, .point,'
        'button:not([aria-disabled=true])'
    )
    for text in texts:
        color = browser.execute_script('return getComputedStyle(arguments[0]).color', text)
        pair = sorted([luminance(color), luminance(background(text))])
        assert (pair[1] + 0.05) / (pair[0] + 0.05) >= 4.5, (text.text, color, background(text))
    assert (luminance(background(page.find('h1')[0])) < 0.2) == (scheme == 'dark')
    width = browser.execute_script('return document.documentElement.scrollWidth')
    assert width <= 375
