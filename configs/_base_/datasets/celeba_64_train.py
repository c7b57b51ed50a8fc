# Aligned photographs of faces, 64 x 64, in folders; no labels.
train_dataloader = dict(
    batch_size=16,
    num_workers=0,  # on a CPU, processes would take what training needs
    sampler=dict(type='ResumableSampler', shuffle=True),
    dataset=dict(
        type='ImageFolder',
        data_root='data/celeba_64',
        pipeline=[
            dict(type='LoadImage', size=64),
            dict(type='RandomFlip', prob=0.5, direction='horizontal'),
            dict(type='PackInputs'),
        ],
    ),
)
