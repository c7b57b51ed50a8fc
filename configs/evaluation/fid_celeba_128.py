# FID of coordgan/celeba_128.py as the reference implementation measures it: as many samples, each
# with fresh noise, as there are real images; of these the first 10,000 by name, not flipped. Needs
# torch-fidelity. For a smaller data set: test_dataloader.dataset.indices=None takes all its images.
_base_ = '../coordgan/celeba_128.py'
model = dict(generator=dict(eval_noise='random'))
test_dataloader = dict(
    _delete_=True,
    batch_size=50,
    num_workers=2,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='ImageFolder',
        data_root='data/CelebAMask-HQ/CelebA-HQ-img',
        indices=10000,
        pipeline=[dict(type='LoadImage', size=128), dict(type='PackInputs')],
    ),
)
test_evaluator = dict(_delete_=True, type='FID')  # prints FID-<samples>-<extractor>-<layer>
