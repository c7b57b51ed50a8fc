"""Annotations of the explorer in a file, and back."""

import json
import re

import numpy as np
from explorer_driver import MATCHES, NAMES, SIZE, Page, cycle, position, spread


def test_save(page, tmp_path):
    page.choose('point')
    page.mouse(3, 200, press=True)
    name = page.find('#label-name')[0]
    name.clear()
    name.send_keys('chin')
    page.choose('paint', brush=0)
    page.mouse(0, 17, press=True)
    saved = json.loads(page.save_to(tmp_path).read_text(encoding='utf-8'))
    assert saved['size'] == SIZE
    assert [picture['name'] for picture in saved['pictures']] == NAMES
    assert [picture['width'] for picture in saved['pictures']] == [16, 16, 16, 32]
    assert saved['labels'][:2] == [dict(label=1, name='chin'), dict(label=2, name='Label B')]
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


def annotate(page: Page) -> None:
    """Three points, the first of which is removed, two strokes, a name, a pixel erased."""
    page.choose('point')
    page.mouse(0, 40, press=True)
    page.mouse(3, 200, press=True)
    page.find('[aria-label="Remove point 1"]')[0].click()
    page.mouse(0, 30, press=True)
    page.choose('paint', brush=1)
    page.mouse(0, 100, press=True)
    page.find('#label')[0].send_keys('c')
    page.find('#label-name')[0].send_keys('!')
    page.mouse(1, 102, 105, press=True)
    page.choose('erase', brush=0)
    page.mouse(0, 100, press=True)


def listed(page: Page) -> list[tuple[int, int]]:
    """Image and pixel of every point, as the list on the page says."""
    texts = [item.text for item in page.find('#points li')]
    found = [re.search(r', (.+) at (\d+), (\d+)', text.splitlines()[0]) for text in texts]
    columns = [int(m[2]) // (1 + (m[1] == NAMES[3])) for m in found]  # the last is twice as wide
    return [(NAMES.index(m[1]), int(m[3]) * SIZE + x) for m, x in zip(found, columns)]


def test_open(browser, path, page, tmp_path):
    annotate(page)
    file, labels = page.save_to(tmp_path / 'first'), page.labels()
    assert labels.max() == 3 and listed(page) == [(3, 200), (0, 30)]
    page = Page(browser, path)
    assert not page.labels().any()
    page.choose('paint')
    page.find('#label')[0].send_keys('c')
    assert page.open_file(file) == 'Opened correspondences.json. Points: 2.'
    assert not page.asks_before_closing()
    np.testing.assert_array_equal(page.labels(), labels)
    np.testing.assert_array_equal(page.drawn_labels(), labels > 0)
    assert listed(page) == [(3, 200), (0, 30)]
    assert page.shown('.point') == [matches[200] for matches in MATCHES[3]]
    assert page.find('#label-name')[0].get_property('value') == 'Label C!'
    assert page.find('#label option')[2].text == 'C · Label C!'
    again = page.save_to(tmp_path / 'second')
    assert again.read_text(encoding='utf-8') == file.read_text(encoding='utf-8')
    # One goes on from there, and back.
    page.choose('point')
    page.mouse(0, 7, press=True)
    page.find('[aria-label="Remove point 1"]')[0].click()
    assert listed(page) == [(0, 30), (0, 7)]
    page.choose('paint')
    page.mouse(0, 100, press=True)
    assert not np.array_equal(page.labels(), labels)
    for _ in range(3):
        page.press('undo')
    np.testing.assert_array_equal(page.labels(), labels)
    assert listed(page) == [(3, 200), (0, 30)]
    page.press('undo')
    assert page.status() == 'Undone: opening of a file. 0 left to undo.'
    assert not page.labels().any() and page.find('.point') == []
    page.press('redo')
    np.testing.assert_array_equal(page.labels(), labels)
    page.choose('point')
    page.mouse(0, 50, press=True)
    page.open_file(file)
    assert page.asks_before_closing()  # that point exists nowhere else
    page.press('undo')
    assert (0, 50) in listed(page)


def test_files_that_cannot_be_opened(page, tmp_path):
    page.choose('point')
    page.mouse(0, 40, press=True)
    file = page.save_to(tmp_path)
    whole = json.loads(file.read_text(encoding='utf-8'))
    point, (first, *others) = whole['points'][0], whole['pictures']

    def with_first(**changes) -> dict:
        return {**whole, 'pictures': [{**first, **changes}, *others]}

    for content, reason in (
        (None, 'this page did not save it'),
        ({**whole, 'format': 'mmcoordgan explorer 2'}, 'this page did not save it'),
        ({**whole, 'size': 32}, 'its maps have 32 pixels a side, but those here 16'),
        ({**whole, 'pictures': None}, 'it lacks a list of pictures'),
        ({**whole, 'pictures': others}, 'it is about 3 images, but here are 4'),
        (with_first(name='<i>'), f'its image 1 is <i>, but here it is {NAMES[0]}'),
        (with_first(labels=[[0] * SIZE] * 17), f'its labels of {NAMES[0]} are damaged'),
        (with_first(labels=[[9] * SIZE] * SIZE), f'its labels of {NAMES[0]} are damaged'),
        (with_first(labels=[[0.5] * SIZE] * SIZE), f'its labels of {NAMES[0]} are damaged'),
        (with_first(labels='x'), 'it lacks a list of labels of every pixel'),
        ({**whole, 'points': {}}, 'it lacks a list of points'),
        ({**whole, 'points': [point, None]}, 'its point 2 is damaged'),
        ({**whole, 'points': [{**point, 'label': 9}]}, 'its point 1 is damaged'),
        ({**whole, 'points': [{**point, 'positions': [[16, 0]] * 4}]}, 'its point 1 is damaged'),
        ({**whole, 'labels': whole['labels'][:7]}, 'its names of labels are damaged'),
    ):
        (tmp_path / 'x.json').write_text(json.dumps(content), encoding='utf-8')
        said = page.open_file(tmp_path / 'x.json')
        assert said == f'x.json is not opened: {reason}.', content
    (tmp_path / 'x.json').write_text('{')
    assert page.open_file(tmp_path / 'x.json') == 'x.json is not opened: it is not JSON.'
    assert page.find('#problem')[0].aria_role == 'alert'
    assert page.shown('.point') == [matches[40] for matches in MATCHES[0]]
    assert not page.asks_before_closing()
    assert page.open_file(file) == 'Opened correspondences.json. Points: 1.'
    assert not page.find('#problem')[0].is_displayed()
