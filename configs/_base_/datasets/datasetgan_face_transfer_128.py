# CoordGAN's benchmark DatasetGAN-face-34: 5 labelled faces, all others as queries, at 128 x 128.
datasetgan_transfer = dict(num_references=5, temperature=0.01, reference_size=128)
test_dataloader = dict(
    batch_size=8,
    num_workers=2,
    sampler=dict(type='ReferenceSampler', num_references=5),
    dataset=dict(
        type='DatasetGANSegmentation',
        data_root='data/datasetgan',
        subset='face-34',
        pipeline=[
            dict(type='LoadImage'),
            dict(type='ResizeWithSoftLabels', size=128),
            dict(type='SimilarityJitter', strength=0),  # 1: misaligned images
            dict(type='PackInputs'),
        ],
    ),
)
test_evaluator = [
    # The published mean leaves hair (17) and neck (25) out.
    dict(type='SegTransferIoU', ignore_classes=['hair', 'neck'], **datasetgan_transfer)
]
test_cfg = dict(type='TestLoop')
custom_hooks = [dict(type='TransferVisualizationHook', max_pictures=20, **datasetgan_transfer)]
