# CoordGAN on ToyFaces, tested by MMagic's metrics that need no download, beside SwapConsistency.
_base_ = '../coordgan/toyfaces_32.py'
# Real pictures, as MMagic's metrics take them.
test_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='ToyFaces',
        size=32,
        length=1000,
        seed=2000,
        pipeline=[dict(type='PackMMagicInputs')],
    )
)
test_evaluator = dict(
    _delete_=True,
    type='mmagic.Evaluator',
    metrics=[
        dict(type='mmagic.MS_SSIM', prefix='MS-SSIM-1000', fake_nums=1000),
        dict(type='mmagic.SWD', prefix='SWD-1000', fake_nums=1000, image_shape=(3, 32, 32)),
        dict(type='SwapConsistency', perceptual=dict(type='StructureTensorLoss'), num_samples=1000),
    ],
)
test_cfg = dict(type='mmagic.MultiTestLoop')
# Counts the batches of that loop.
log_processor = dict(type='mmagic.LogProcessor')
