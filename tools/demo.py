"""A first look at a bundled model, as one HTML page: ``python tools/demo.py``."""

from __future__ import annotations

import argparse
import base64
import html
import io

import numpy as np
import torch
from PIL import Image, ImageDraw

from mmcoordgan.apis import CoordGANInferencer
from mmcoordgan.apis.codes import blend, mean_codes, render, seed_codes
from mmcoordgan.cli.outputs import check_file
from mmcoordgan.datasets.label_files import full_palette
from mmcoordgan.errors import explained_errors
from mmcoordgan.io.files import atomic_file
from mmcoordgan.visualization import arrange_cells, coords_to_colors, overlay_labels
from mmcoordgan.visualization.explorer import DOUBTFUL, Accuracy, ExplorerPicture, explorer_page

MODEL, SEED = 'faces_64', 1
PARTS = {1: (16, 26, 27, 33), 2: (37, 26, 48, 33), 3: (27, 36, 37, 44), 4: (22, 44, 42, 58)}
"""Labels of eyes, nose and mouth, and boxes in which faces show them (left, top, right, bottom)."""
PAGE = """<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><title>mmcoordgan: a first look</title>
<style>body {{ font: 16px/1.5 sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem }}
img {{ max-width: 100% }} iframe {{ width: 100%; height: 90vh; border: 0 }}</style>
<h1>mmcoordgan: a first look</h1>
<p>The model <code>{model}</code>, which comes with the package. All faces are generated.</p>
{sections}<h2>Try it</h2>
<iframe title="Correspondence explorer" srcdoc="{explorer}"></iframe></html>
"""


@explained_errors('demo.py')
def main() -> None:
    parser = argparse.ArgumentParser(
        prog='demo.py', description=f'Writes one HTML page that shows what {MODEL} can do.'
    )
    parser.add_argument('--out', default='demo.html', help='file to write [demo.html]')
    parser.add_argument('--force', action='store_true', help='overwrite it')
    args = parser.parse_args()
    check_file(args.out, ['.html'], force=args.force)
    page = make_page().encode()
    with atomic_file(args.out) as file:
        file.write(page)
    print(f'{args.out}: open it in a browser. Your own photographs: mmcoordgan infer --help')


def make_page() -> str:
    model = CoordGANInferencer(MODEL, device='cpu', show_progress=False)
    samples = model.sample(8, seed=SEED, truncation=0.7)
    faces = [sample.image for sample in samples]
    maps = [coords_to_colors(sample.coords) for sample in samples]
    generator = model.networks.generator
    mean = mean_codes(generator)[1]
    textures = [blend(mean, seed_codes(generator, seed)[1], 0.7) for seed in range(SEED, SEED + 6)]
    swapped = [
        [render(generator, '', torch.from_numpy(s.coords)[None], w).image for w in textures]
        for s in samples[2:7]
    ]
    (average,) = model.sample(1, truncation=0.0)
    drawing, palette = Image.new('L', average.image.shape[:2]), full_palette(None)
    for label, box in PARTS.items():
        ImageDraw.Draw(drawing).ellipse(box, fill=label)
    mask = np.array(drawing)
    labelled = [overlay_labels(average.image, mask, palette)]
    found = model.transfer_labels(average.image, mask, faces)
    labelled += [overlay_labels(face, f.labels, palette) for face, f in zip(faces, found)]
    shown = [
        ('Samples', 'Below each face, its map in colours: one colour is one place of a face.',
         [faces, maps], [], ['sample', 'map']),
        ('Structure and texture', 'Rows share a structure, columns a texture.',
         swapped, [f'texture {n + 1}' for n in range(6)], [f'structure {n}' for n in range(3, 8)]),
        ('Labels', 'The first face was labelled; its labels were carried to the others.',
         [labelled], ['labelled', *['carried'] * len(faces)], []),
    ]  # fmt: skip
    sections = ''.join(
        f'<h2>{title}</h2><p>{text}</p>{image_html(text, *cells)}' for title, text, *cells in shown
    )
    pictures = []
    for sample, seen in zip(samples, model.encode(faces)):
        found = torch.from_numpy(seen.coords), DOUBTFUL * seen.domain.doubtful, seen.map_error
        pictures.append(ExplorerPicture(sample.name, sample.image, *found))
    accuracy = Accuracy(model.temperature, *model.networks.held_out[1:])
    explorer = html.escape(explorer_page(pictures, accuracy=accuracy))
    return PAGE.format(model=MODEL, sections=sections, explorer=explorer)


def image_html(text: str, rows: list, titles: list[str], sides: list[str]) -> str:
    """Images in rows, as an HTML element."""
    buffer = io.BytesIO()
    Image.fromarray(arrange_cells(rows, titles=titles, sides=sides)).save(buffer, 'PNG')
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<img alt="{text}" src="data:image/png;base64,{data}">'


if __name__ == '__main__':
    main()
