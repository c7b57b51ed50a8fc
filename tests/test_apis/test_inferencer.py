"""CoordGANInferencer: each verb against the model that wrote the checkpoint."""

from itertools import islice

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_inversion import EVALUATOR, SIZE, STAGE2, labels, model_input, pictures, write_checkpoint

from mmcoordgan.apis import CoordGANInferencer
from mmcoordgan.evaluation import SegTransferIoU
from mmcoordgan.evaluation.seg_transfer_iou import confusion_matrix, iou_per_class
from mmcoordgan.models.networks import CoordGANGenerator
from mmcoordgan.registry import MODELS
from mmcoordgan.visualization import images_to_uint8


@pytest.fixture(scope='module')
def model(stage2):
    built = MODELS.build(STAGE2).eval()
    built.load_state_dict(torch.load(stage2, weights_only=True)['state_dict'])
    return built


def test_the_codes_of_the_model(model, inferencer):
    images = pictures(5)
    expected = model.predict(model_input(images))
    for settings in ({}, {'batch_size': 2}, {'refine': True}):
        prefix = 'refined_' * ('refine' in settings)
        found = inferencer.encode(images, **settings)
        assert [e.name for e in found] == [f'image {n}' for n in range(5)]
        for name in ('structure_w', 'texture_w', 'coords'):
            values = np.stack([getattr(encoding, name) for encoding in found])
            assert np.allclose(values, expected[prefix + name].numpy(), atol=1e-4), name
        codes = expected[f'{prefix}coords'][:1], expected[f'{prefix}texture_w'][:1]
        rendered = images_to_uint8(model.generator.synthesize(*codes))[0]
        assert np.abs(inferencer.reconstruct(found[0]).astype(int) - rendered).max() <= 1
    more = inferencer.encode(images[:1], refine=4)[0]
    assert not np.allclose(more.coords, found[0].coords)
    # Maps differ, else the tests of correspondence would hold for any.
    assert np.abs(found[0].coords - found[1].coords).max() > 0.02


def test_own_sizes_come_back(inferencer):
    wide, tall = pictures(1, 20, 50)[0], pictures(1, 40, 30, seed=1)[0]
    assert inferencer.encode(wide)[0].shape == (20, 50)
    found = inferencer.correspond(wide, tall)
    assert found.matches.shape == (2, 20, 50)
    assert found.confidence.shape == found.cycle_distance.shape == (20, 50)
    assert found.matches.min() >= 0 and (found.matches.max((1, 2)) <= [29, 39]).all()
    same = inferencer.correspond(wide, wide)
    x, y = np.meshgrid(np.arange(50), np.arange(20))
    # To a map pixel, but for squeezed places: the soft correspondence averages over neighbours.
    assert (np.abs(same.matches - [x, y]).mean((1, 2)) < [50 / SIZE, 20 / SIZE]).all()
    mask = labels(1, 20, 50)[0]
    (carried,) = inferencer.transfer_labels(wide, mask, [tall])
    assert carried.labels.shape == (40, 30) and carried.labels.dtype == np.uint8
    assert carried.probabilities.shape == (len(carried.classes), SIZE, SIZE)
    ((swapped,),) = inferencer.swap_texture(tall, wide)
    assert swapped.image.shape == (40, 30, 3)


def test_labels_score_as_the_evaluator_counts(model, inferencer):
    images, masks = pictures(7), labels(7)
    predicted = model.predict(model_input(images))['coords']
    metric = SegTransferIoU(**{k: v for k, v in EVALUATOR.items() if k != 'type'}, num_references=3)
    for index, coords in enumerate(predicted):
        truth = {'data': torch.from_numpy(masks[index])[None].long()}
        metric.process(None, [{'sample_idx': index, 'coords': coords, 'gt_sem_seg': truth}])
    expected = metric.evaluate(7)

    def iou(references: slice) -> float:
        found = inferencer.transfer_labels(images[references], masks[references], images[3:])
        carried = torch.from_numpy(np.stack([f.labels for f in found])).long()
        truth = torch.from_numpy(masks[3:]).long()
        return float(iou_per_class(confusion_matrix(carried[None], truth, 3)).mean())

    assert inferencer.temperature == pytest.approx(0.05)
    assert iou(slice(0, 3)) == pytest.approx(expected['fused_iou'], abs=1e-6)
    for k in range(3):
        assert iou(slice(k, k + 1)) == pytest.approx(expected[f'iou/ref{k}'], abs=1e-6)
    assert expected['fused_iou'] != pytest.approx(expected['identity_iou'], abs=0.1)


def test_points_are_matches_of_their_pixels(inferencer):
    wide, tall = pictures(1, 20, 50)[0], pictures(1, 40, 30, seed=1)[0]
    # Centres of map pixels, where nothing is interpolated.
    columns, rows = np.array([2, 7, 13]), np.array([1, 9, 15])
    points = np.stack([(columns + 0.5) * 50 / SIZE, (rows + 0.5) * 20 / SIZE], 1) - 0.5
    (found,) = inferencer.transfer_points(wide, points, [tall])
    square = np.array(Image.fromarray(wide).resize((SIZE, SIZE), Image.Resampling.BILINEAR))
    expected = inferencer.correspond(square, tall)
    assert np.allclose(found.points, expected.matches[:, rows, columns].T, atol=1e-3)
    assert np.allclose(found.confidence, expected.confidence[rows, columns], atol=1e-4)


def test_textures_are_swapped(model, inferencer):
    images = pictures(3)
    codes = model.predict(model_input(images))
    rows = inferencer.swap_texture(images[:1], images)
    pictures_of = model.generator.synthesize(codes['coords'][[0] * 3], codes['texture_w'])
    for found, expected in zip(rows[0], images_to_uint8(pictures_of.detach())):
        assert np.abs(found.image.astype(int) - expected).max() <= 1
    assert [len(row) for row in rows] == [3]


def test_nothing_is_rendered_that_is_not_asked_for(inferencer, monkeypatch):
    """Codes, maps and what they carry cost no rendering; swaps one for each result."""
    rendered, whole = [], CoordGANGenerator.synthesize

    def counting(self, *arguments):
        rendered.append(len(arguments[0]))
        return whole(self, *arguments)

    monkeypatch.setattr(CoordGANGenerator, 'synthesize', counting)
    images, mask = pictures(10), labels(1)[0]
    found = inferencer.encode(images)
    inferencer.correspond(images[0], images[1])
    inferencer.transfer_labels(images[0], mask, images)
    inferencer.transfer_points(images[0], [[1, 2]], images)
    inferencer(images[:2])
    assert rendered == []
    inferencer.swap_texture(images, images[0])
    assert rendered == [1] * 10
    inferencer.reconstruct(found[0])
    assert len(rendered) == 11


def test_maps_without_structure_codes(tmp_path):
    """An encoder that finds maps has no structure codes to refine."""
    encoder = dict(type='DenseEncoder', input_size=SIZE, texture_width=5, channels=(4, 6, 8))
    write_checkpoint(tmp_path / 'x.pth', {**STAGE2, 'encoder': encoder, 'refinement': None})
    dense = CoordGANInferencer(tmp_path / 'x.pth', device='cpu', show_progress=False)
    a, b = images = pictures(2)
    first, last = dense.encode(images)
    assert first.structure_w is None and first.texture_w.shape == (5,)
    expected = dense.networks.encoder(model_input(images)).coords.detach()
    assert np.allclose([first.coords, last.coords], expected, atol=1e-5)
    assert np.isfinite(dense.correspond(a, b).matches).all()
    assert len(dense.transfer_labels(a, labels(1)[0], images)) == 2
    frames = dense.interpolate(a, b, 3)
    assert np.allclose(frames[1].coords, (first.coords + last.coords) / 2, atol=1e-5)
    assert np.array_equal(frames[0].image, dense.reconstruct(first))
    assert dense(a, return_vis=True)['visualization'][0].ndim == 3


def test_a_photograph_turns_into_a_sample():
    """Maps of the bundled encoder are finer than its generator's, and it has no codes to refine."""
    model = CoordGANInferencer('faces_64', device='cpu', show_progress=False, check_domain=False)
    image = pictures(1, 64, 64)[0]
    (sample,) = model.sample(1, seed=4)
    first, last = model.interpolate(image, 4, frames=2, part='both')
    assert np.array_equal(first.coords, model.encode(image)[0].coords)
    corners = np.ix_([0, 1], [0, -1], [0, -1])
    assert np.allclose(last.coords[corners], sample.coords[corners], atol=1e-5)
    with pytest.raises(ValueError, match='has no structure codes: leave out'):
        model.encode(image, refine=1)


def test_samples_depend_on_their_seed_alone(sampler):
    found = sampler.sample(4, seed=10)
    (alone,) = sampler.sample(1, seed=np.int64(12))
    assert found[2].name == alone.name == 'seed 12'
    assert np.array_equal(found[2].image, alone.image)
    assert len({rendering.image.tobytes() for rendering in found}) == 4
    assert alone.coords.shape == (2, SIZE, SIZE)


def test_truncation_pulls_codes_to_their_mean(sampler):
    network = sampler.networks.generator
    full, half, none = (sampler.sample(1, 3, t)[0].coords for t in (1.0, 0.5, 0.0))
    codes = network.map_structure(torch.randn(20_000, 4)).mean(0, keepdim=True)
    assert np.allclose(none, network.warp(codes)[0].numpy(), atol=0.02)
    assert np.abs(half - none).max() < np.abs(full - none).max()
    textures = sampler.sample(2, 3, (1.0, 0.0))
    assert np.array_equal(textures[0].coords, full)
    structures = sampler.sample(2, 3, (0.0, 1.0))
    assert np.array_equal(structures[0].coords, structures[1].coords)
    assert not np.array_equal(structures[0].image, structures[1].image)
    same = sampler.sample(2, 3, 0.0)
    assert np.array_equal(same[0].image, same[1].image)


@pytest.mark.parametrize('part', ['structure', 'texture', 'both'])
def test_ways_begin_and_end_where_they_should(sampler, part):
    first, last = sampler.sample(2, seed=5)
    frames = sampler.interpolate(5, 6, frames=5, part=part)
    assert len(frames) == 5
    assert np.array_equal(frames[0].image, first.image)
    if part != 'texture':
        assert np.array_equal(frames[-1].coords, last.coords)
    else:
        assert all(np.array_equal(frame.coords, first.coords) for frame in frames)
    assert np.array_equal(frames[-1].image, last.image) == (part == 'both')
    moved = [np.abs(f.image.astype(int) - first.image).sum() for f in frames]
    assert moved[0] < moved[2] and moved[1] < moved[-1]


def test_from_an_image_to_a_seed(tmp_path):
    wplus = {**STAGE2, 'encoder': {**STAGE2['encoder'], 'num_texture_codes': 6}}
    write_checkpoint(tmp_path / 'x.pth', wplus)
    inferencer = CoordGANInferencer(tmp_path / 'x.pth', device='cpu', show_progress=False)
    image = pictures(1)[0]
    frames = inferencer.interpolate(image, np.int64(7), frames=2, part='both')
    assert np.array_equal(frames[0].image, inferencer.reconstruct(inferencer.encode(image)[0]))
    assert np.array_equal(frames[1].image, inferencer.sample(1, seed=7)[0].image)


def test_no_more_than_a_batch_is_read_ahead(inferencer):
    read = 0

    def endless():
        nonlocal read
        while True:
            read += 1
            yield pictures(1)[0]

    image, mask = pictures(1)[0], labels(1)[0]
    for found in (
        inferencer.iter_encode(endless(), batch_size=2),
        inferencer.iter_transfer_labels(image, mask, endless(), batch_size=2),
        inferencer.iter_transfer_points(image, [[1, 2]], endless(), batch_size=2),
        inferencer.iter_swap_texture(endless(), image, batch_size=2),
    ):
        read = 0
        assert len(list(islice(found, 3))) == 3
        assert read == 4


def test_hard_transfer_is_temperature_zero(stage2):
    hard = CoordGANInferencer(stage2, device='cpu', temperature=0, show_progress=False)
    image, mask = pictures(1)[0], labels(1)[0]
    (found,) = hard.transfer_labels(image, mask, image)
    assert np.array_equal(found.labels, mask)
    assert set(np.unique(found.probabilities)) == {0, 1}
