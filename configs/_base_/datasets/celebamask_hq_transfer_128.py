# CoordGAN's benchmark CelebA-7: labels of 5 faces carried to 100 others at 128 x 128.
celebamask_transfer = dict(num_references=5, temperature=0.01, reference_size=128)
test_dataloader = dict(
    batch_size=8,
    num_workers=2,
    sampler=dict(type='ReferenceSampler', num_references=5),
    dataset=dict(
        type='CelebAMaskHQ',
        data_root='data/CelebAMask-HQ',
        num_classes=7,
        subset='benchmark',
        pipeline=[
            dict(type='LoadImage'),
            dict(type='ResizeWithSoftLabels', size=128),
            dict(type='SimilarityJitter', strength=0),  # 1: misaligned images
            dict(type='PackInputs'),
        ],
    ),
)
test_evaluator = [dict(type='SegTransferIoU', **celebamask_transfer)]
test_cfg = dict(type='TestLoop')
custom_hooks = [dict(type='TransferVisualizationHook', max_pictures=20, **celebamask_transfer)]
