"""The explorer by keys alone, without seeing colours, and with a screen reader."""

import time

import numpy as np
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
    picture.send_keys(Keys.NULL, 'c', Keys.ENTER)
    assert page.shown('.point') == [matches[pixel] for matches in MATCHES[1]]
    assert page.find('#label')[0].get_attribute('value') == '3'
    assert [item.text.splitlines()[0] for item in page.find('#points li')] == [
        f'Label C, {NAMES[1]} at {pixel % SIZE}, {pixel // SIZE}Remove'
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
    page.choose('paint', brush=0)
    pixel = SIZE // 2 * (SIZE + 1)
    picture.send_keys(Keys.ARROW_UP, '5', Keys.SPACE, Keys.ARROW_DOWN, ']', Keys.ENTER)
    below = pixel + SIZE
    strokes = [(2, 5, [pixel]), (2, 5, [below, below - 1, below + 1, below - SIZE, below + SIZE])]
    np.testing.assert_array_equal(page.labels(), spread(strokes))
    time.sleep(0.5)
    assert page.status().startswith(f'Painted Label E. {NAMES[2]} at 8, 9. {NAMES[0]}: ')


def test_undo_by_keys_on_the_whole_page(page):
    from selenium.webdriver.common.keys import Keys

    page.choose('point')
    page.mouse(0, 40, press=True)
    for css in ('#save', '#label', '#zoom', 'input[value=point]', 'body'):
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


def test_everything_has_a_name_for_screen_readers(page):
    for number, picture in enumerate(page.pictures):
        assert picture.aria_role == 'application'
        assert picture.accessible_name == f'Image {number + 1}: {NAMES[number]}'
    page.choose('paint')
    controls = page.find('input, select, button, a, main, section, form')
    assert len(controls) > 12
    assert [c.get_attribute('outerHTML') for c in controls if not c.accessible_name] == []
    assert page.find('[role=status]')[0].get_attribute('aria-live') == 'polite'
