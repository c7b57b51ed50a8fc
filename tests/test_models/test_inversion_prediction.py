"""What the second stage predicts, and refinement."""

import pytest
import torch
from mmengine.structures import BaseDataElement, PixelData
from test_inversion import batch, build, same, snapshot, with_w


@pytest.mark.parametrize(('build_model', 'codes'), [(build, (6, 5)), (with_w, (5,))])
def test_predictions_carry_samples_on(build_model, codes):
    model = build_model().eval()
    samples = [
        BaseDataElement(metainfo=dict(sample_idx=i), gt_coords=PixelData(data=torch.ones(2, 3, 3)))
        for i in range(3)
    ]
    data = dict(batch(3), data_samples=samples)
    predictions = model.test_step(data)
    encoding = model.encode(data['inputs'])
    for index, prediction in enumerate(predictions):
        assert prediction.sample_idx == index
        assert torch.equal(prediction.gt_coords.data, samples[index].gt_coords.data)
        for name, values in encoding._asdict().items():
            value = prediction.get(name)
            assert torch.equal(value, values[index]) and not value.requires_grad, name
        shapes = [tuple(prediction.get(name).shape) for name in encoding._fields]
        assert shapes == [(6,), codes, (2, 16, 16)]
    assert set(predictions[0].keys()) == {'gt_coords', *encoding._fields}
    (again, *_) = model(data['inputs'], samples, mode='predict')
    assert set(again.keys()) == set(predictions[0].keys())
    assert set(samples[0].keys()) == {'gt_coords'}  # the data's own are left alone


def test_modes():
    model = build(refinement=dict(steps=0, lr=0.1), render_predictions=True).eval()
    inputs = batch(3)['inputs']
    predictions = model(inputs, mode='predict')
    images = model(inputs, mode='tensor')
    assert torch.equal(images, torch.stack([p.reconstruction for p in predictions]))
    assert 'refined' not in ' '.join(predictions[0].keys())
    with pytest.raises(ValueError, match=r"mode must be 'loss', .*, but got 'train'"):
        model(inputs, mode='train')


@pytest.mark.parametrize('weight', [1.0, 1e-7])  # 1e-7: gradients of the size of Adam's epsilon
def test_refinement_treats_every_image_alone(weight):
    refinement = dict(steps=10, lr=0.05, l1_weight=weight, perceptual_weight=weight)
    model = build(refinement=refinement).eval().double()  # so that rounding stays small
    images = torch.stack([*batch(3)['inputs'][:2], torch.ones(3, 16, 16)]).double()
    weights, together = snapshot(model), model.predict(images)
    assert same(model, weights) and all(p.grad is None for p in model.parameters())
    for index in range(3):
        alone = model.predict(images[index : index + 1])
        for name, values in together.items():
            assert torch.allclose(alone[name][0], values[index], atol=1e-8), (index, name)
    moved = (together['refined_coords'] - together['coords']).abs().amax(dim=(1, 2, 3))
    assert (moved > 1e-4).all()  # far more than the tolerance above


def test_refinement_by_hand():
    """One step of Adam moves every entry by the learning rate, against the gradient's sign."""
    model = build(refinement=dict(steps=1, lr=0.01, l1_weight=2.0, perceptual_weight=3.0)).eval()
    images = batch(2)['inputs']
    found = model.predict(images)
    for index in range(2):
        codes = [found[k][index : index + 1].clone().requires_grad_() for k in CODES]
        rendered = model.generator.synthesize(model.generator.warp(codes[0]), codes[1])
        image = images[index : index + 1]
        loss = 2 * (rendered - image).abs().mean() + 3 * model.perceptual(rendered, image).mean()
        for name, code, gradient in zip(CODES, codes, torch.autograd.grad(loss, codes)):
            step = found[f'refined_{name}'][index] - code[0]
            clear = gradient[0].abs() > 1e-5
            assert clear.float().mean() > 0.5
            assert torch.allclose(step[clear], -0.01 * gradient[0].sign()[clear], atol=1e-4)
        coords = model.generator.warp(found['refined_structure_w'][index : index + 1])
        assert torch.allclose(coords[0], found['refined_coords'][index], atol=1e-6)


CODES = ('structure_w', 'texture_w')
