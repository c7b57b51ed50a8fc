"""Images whose matches are known by brute force, and the explorer's page as a user drives it."""

import time
from pathlib import Path

import numpy as np
import torch
from browser import console, requested_addresses

from mmcoordgan.geometry import canonical_grid
from mmcoordgan.visualization.explorer import ExplorerPicture, quantize_coords

SIZE = 16
NAMES = ['plain.png', '</script><img src=x onerror="hacked=1">.png', '"><b>&amp;', 'wide.jpg']


def brute_force(source: torch.Tensor, target: torch.Tensor) -> np.ndarray:
    """For each pixel of ``target``, the nearest one of ``source`` on the quantized maps."""
    source, target = (quantize_coords(m).reshape(2, -1).astype(np.int64) for m in (source, target))
    distance = ((target[:, :, None] - source[:, None]) ** 2).sum(0)
    return distance.argmin(1)  # the first of several


GRID = canonical_grid(SIZE, SIZE)
SHUFFLED = GRID.flatten(1)[:, np.random.default_rng(0).permutation(SIZE * SIZE)].view_as(GRID)
# The canonical frame; moved, so that a part has no match; shuffled; folded, with many ties.
MAPS = [GRID, (GRID + 0.4).clamp(max=1) * 0.9, SHUFFLED, GRID.abs()]
# MATCHES[a][b][p]: the pixel of image b that corresponds to pixel p of image a, which is shown
# where it is in a itself.
MATCHES = [[np.arange(SIZE**2) if a is b else brute_force(b, a) for b in MAPS] for a in MAPS]


def cycle(a: int, b: int, pixel: int) -> float:
    back = MATCHES[b][a][MATCHES[a][b][pixel]]
    return float(np.hypot(pixel % SIZE - back % SIZE, pixel // SIZE - back // SIZE))


def position(pixel: int) -> list[int]:
    return [int(pixel % SIZE), int(pixel // SIZE)]


def random_pictures(size: int, coords: list[torch.Tensor], names: list[str]):
    source = np.random.default_rng(1)
    shapes = [(size, size, 3)] * (len(coords) - 1) + [(size, 2 * size, 3)]
    images = [source.integers(0, 256, shape, dtype=np.uint8) for shape in shapes]
    return [ExplorerPicture(*fields) for fields in zip(names, images, coords)]


def own_position(picture: int, pixel: int) -> str:
    """In pixels of the image itself; the last one is twice as wide as its map."""
    x, y = position(pixel)
    return f'{2 * x + 1 if picture == 3 else x}, {y}'


def expected_caption(a: int, b: int, pixel: int) -> str:
    if a == b:
        return f'at {own_position(a, pixel)}'
    distance = cycle(a, b, pixel)
    grade = 'close' if distance <= 1 else 'fair' if distance <= 2 else 'far'  # at least that much
    pixels = distance * 2**0.5 if b == 3 else distance
    return f'{own_position(b, MATCHES[a][b][pixel])} · {pixels:.1f} px, {grade}'


def spread(strokes: list[tuple[int, int, list[int]]]) -> np.ndarray:
    """Labels of all images after strokes (image, label, pixels), by definition."""
    labels = np.zeros((len(MAPS), SIZE * SIZE), int)
    for picture, label, pixels in strokes:
        for other in range(len(MAPS)):
            sources = MATCHES[other][picture]
            labels[other, np.isin(sources, pixels) if other != picture else pixels] = label
    return labels


class Page:
    """The explorer as a user sees and touches it."""

    def __init__(self, browser, path: Path):
        from selenium.webdriver.common.by import By

        self.browser = browser
        browser.get('about:blank')  # leaves the last test's page, and its log, behind
        console(browser), requested_addresses(browser)
        browser.get(path.as_uri())
        self.find = lambda css: browser.find_elements(By.CSS_SELECTOR, css)
        self.pictures = self.find('.picture')

    def point(self, picture: int, pixel: int) -> tuple[float, float]:
        """Where a pixel is in the window."""
        x, y = position(pixel)
        return self.browser.execute_script(
            'arguments[0].scrollIntoView({block: "center"});'
            'const box = arguments[0].getBoundingClientRect();'
            'return [box.left + box.width * arguments[1], box.top + box.height * arguments[2]];',
            *(self.pictures[picture], (x + 0.5) / SIZE, (y + 0.5) / SIZE),
        )

    def mouse(self, picture: int, *pixels: int, press: bool = False) -> None:
        """Move over pixels, with the button pressed or not."""
        for number, pixel in enumerate(pixels):
            self._mouse('mouseMoved', picture, pixel, pressed=press and number > 0)
            if press and number == 0:
                self._mouse('mousePressed', picture, pixel, pressed=True)
        if press:
            self._mouse('mouseReleased', picture, pixels[-1], pressed=False)

    def _mouse(self, kind: str, picture: int, pixel: int, pressed: bool) -> None:
        x, y = self.point(picture, pixel)
        button = 'left' if pressed or kind == 'mouseReleased' else 'none'
        event = dict(type=kind, x=x, y=y, button=button, buttons=int(pressed), clickCount=1)
        self.browser.execute_cdp_cmd('Input.dispatchMouseEvent', event)

    def touch(self, picture: int, *pixels: int) -> None:
        kinds = ['touchStart'] + ['touchMove'] * (len(pixels) - 1)
        for kind, pixel in zip(kinds, pixels):
            x, y = self.point(picture, pixel)
            event = dict(type=kind, touchPoints=[dict(x=x, y=y)])
            self.browser.execute_cdp_cmd('Input.dispatchTouchEvent', event)
        event = dict(type='touchEnd', touchPoints=[])
        self.browser.execute_cdp_cmd('Input.dispatchTouchEvent', event)

    def choose(self, tool: str, brush=None) -> None:
        """Choose a tool, and the radius of its brush."""
        self.find(f'input[value={tool}] + span')[0].click()
        if brush is not None:
            self.browser.execute_script(
                f'const brush = document.getElementById("brush"); brush.value = {brush};'
                'brush.dispatchEvent(new Event("input"));'
            )

    def press(self, name: str) -> None:
        self.find(f'#{name}')[0].click()

    def shown(self, css: str) -> list[int]:
        """The pixel under the middle of a marker, in each image."""
        return self.browser.execute_script(
            'const [pictures, css, size] = arguments;'
            'return pictures.map((picture) => {'
            '  const outer = picture.getBoundingClientRect();'
            '  const inner = picture.querySelector(css).getBoundingClientRect();'
            '  const x = (inner.left + inner.width / 2 - outer.left) / outer.width;'
            '  const y = (inner.top + inner.height / 2 - outer.top) / outer.height;'
            '  return Math.floor(y * size) * size + Math.floor(x * size); });',
            *(self.pictures, css, SIZE),
        )

    def status(self) -> str:
        """What a screen reader was told last."""
        return self.find('#status')[0].get_attribute('textContent')

    def asks_before_closing(self) -> bool:
        """Newer browsers ask if the event is prevented, older ones if it has a returnValue."""
        prevented, value = self.browser.execute_script(
            'const event = document.createEvent("BeforeUnloadEvent");'
            'event.initEvent("beforeunload", false, true); window.dispatchEvent(event);'
            'return [event.defaultPrevented, event.returnValue];'
        )
        assert prevented == (value != ''), (prevented, value)
        return prevented

    def save_to(self, folder: Path) -> Path:
        """Press Save; returns the file."""
        options = dict(behavior='allow', downloadPath=str(folder))
        self.browser.execute_cdp_cmd('Browser.setDownloadBehavior', options)
        self.press('save')
        file, deadline = folder / 'correspondences.json', time.time() + 10
        while not file.exists() and time.time() < deadline:
            time.sleep(0.05)
        return file

    def open_file(self, path: Path) -> str:
        """Choose a file to open; returns what the page says of it."""
        chooser, deadline = self.find('#file')[0], time.time() + 10
        chooser.send_keys(str(path))
        while chooser.get_property('value') and time.time() < deadline:
            time.sleep(0.02)
        return self.find('#problem')[0].text or self.status()

    def captions(self) -> list[str]:
        return [caption.text for caption in self.find('.match')]

    def drawn_labels(self) -> np.ndarray:
        """Which pixels are coloured all over, in each image, read from its canvas."""
        self.browser.execute_async_script('requestAnimationFrame(arguments[0])')
        opacities = self.browser.execute_script(
            'return arguments[0].map((picture) => {'
            '  const canvas = picture.querySelector(".labels"), side = canvas.width;'
            '  const context = new OffscreenCanvas(side, side).getContext("2d");'
            '  context.drawImage(canvas, 0, 0);'
            '  const {data} = context.getImageData(0, 0, side, side);'
            '  return Array.from({length: side * side}, (_, i) => data[4 * i + 3]); });',
            self.pictures,
        )
        scale = int(np.sqrt(len(opacities[0]))) // SIZE
        blocks = np.reshape(opacities, (len(MAPS), SIZE, scale, SIZE, scale))
        return blocks.min(axis=(2, 4)).reshape(len(MAPS), -1) > 0

    def labels(self) -> np.ndarray:
        script = 'return explorer.annotations.labels.map((labels) => Array.from(labels))'
        return np.array(self.browser.execute_script(script))


def check_shown(page: Page, picture: int, pixel: int) -> None:
    """The cursor and the captions of all images, where the user points at a pixel of one."""
    assert page.shown('.cursor') == [matches[pixel] for matches in MATCHES[picture]]
    others = range(len(MAPS))
    assert page.captions() == [expected_caption(picture, other, pixel) for other in others]
