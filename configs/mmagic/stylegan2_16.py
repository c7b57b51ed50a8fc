# MMagic's StyleGAN2 at 16 x 16 on this package's ImageFolder.
# Set train_dataloader.dataset.data_root to a folder of images.
_base_ = ['mmagic::_base_/gen_default_runtime.py', 'mmagic::_base_/models/base_styleganv2.py']
custom_imports = dict(imports=['mmcoordgan.integrations.mmagic_preprocessor'])
model = dict(
    data_preprocessor=dict(
        type='mmcoordgan.GenerativeDataPreprocessor', output_channel_order='RGB'
    ),
    generator=dict(out_size=16, style_channels=64, num_mlps=4),
    discriminator=dict(in_size=16),
)
train_dataloader = dict(
    batch_size=4,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='mmcoordgan.ImageFolder',
        data_root='data/pictures',
        pipeline=[
            dict(type='mmcoordgan.LoadImage', size=16),
            dict(type='mmcoordgan.PackMMagicInputs'),
        ],
    ),
)
train_cfg = dict(_delete_=True, type='IterBasedTrainLoop', max_iters=10000)
val_cfg = None
val_evaluator = None
test_dataloader = dict(
    batch_size=4,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=train_dataloader['dataset'],
)
test_evaluator = dict(metrics=[dict(type='MS_SSIM', prefix='MS-SSIM-100', fake_nums=100)])
adam = dict(type='Adam', lr=0.002, betas=(0.0, 0.99))
optim_wrapper = dict(generator=dict(optimizer=adam), discriminator=dict(optimizer=adam))
