# Photos in a folder, resized to squares (aspect ratio not kept) and flipped at random.
image_size = 128
train_pipeline = [
    dict(type='LoadImage', size=image_size),  # bilinear, antialiased
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackInputs'),
]
train_dataloader = dict(
    batch_size=2,  # on each device; even, because images are trained in pairs
    num_workers=2,
    persistent_workers=True,
    pin_memory=True,  # images reach a GPU while it computes
    sampler=dict(type='ResumableSampler', shuffle=True),
    dataset=dict(type='ImageFolder', data_root='data/images', pipeline=train_pipeline),
)
