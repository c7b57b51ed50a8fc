# CoordGAN's generator at 16 x 16 under MMagic's StyleGAN2: its discriminator, losses, path length
# regularization and averaging. No loss of CoordGAN's keeps structure and texture apart here.
_base_ = ['mmagic::_base_/gen_default_runtime.py', 'mmagic::_base_/models/base_styleganv2.py']
custom_imports = dict(imports=['mmcoordgan.integrations.mmagic_preprocessor'])
model = dict(
    data_preprocessor=dict(
        type='mmcoordgan.GenerativeDataPreprocessor', output_channel_order='RGB'
    ),
    generator=dict(
        _delete_=True,
        type='mmcoordgan.JointLatentGenerator',
        image_size=16,
        base_resolution=16,
        structure_dim=32,
        texture_dim=32,
        mapping_layers=3,
        channels=48,
        num_levels=2,
        warp_channels=64,
        warp_residual=True,
    ),
    discriminator=dict(in_size=16),
)
train_dataloader = dict(
    batch_size=4,
    num_workers=0,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='mmcoordgan.ToyFaces',
        size=16,
        length=4096,
        seed=1,
        pipeline=[dict(type='mmcoordgan.PackMMagicInputs')],
    ),
)
train_cfg = dict(_delete_=True, type='IterBasedTrainLoop', max_iters=10000)
val_cfg = None
val_evaluator = None
test_dataloader = train_dataloader | dict(sampler=dict(type='DefaultSampler', shuffle=False))
test_evaluator = dict(metrics=[dict(type='MS_SSIM', prefix='MS-SSIM-1000', fake_nums=1000)])
adam = dict(type='Adam', lr=0.002, betas=(0.0, 0.99))
optim_wrapper = dict(generator=dict(optimizer=adam), discriminator=dict(optimizer=adam))
custom_hooks = [dict(type='mmcoordgan.CoordGANVisualizationHook', interval=1000)]
