# Label and point transfer on procedural faces: 5 references, 100 queries that training never saw.
toyfaces_transfer = dict(num_references=5, temperature=0.02, reference_size=32)
test_dataloader = dict(
    batch_size=21,
    num_workers=0,
    sampler=dict(type='ReferenceSampler', num_references=5),
    dataset=dict(
        type='ToyFaces',
        size=32,
        length=105,
        seed=2000,
        pipeline=[
            dict(type='SimilarityJitter', strength=0),  # 1: misaligned images
            dict(type='PackInputs'),
        ],
    ),
)
test_evaluator = [
    dict(type='SegTransferIoU', **toyfaces_transfer),
    dict(type='KeypointTransferPCK', alpha=0.1, foreground_only=True, **toyfaces_transfer),
]
test_cfg = dict(type='TestLoop')

# Choose settings on these, so that the test stays unseen.
val_dataloader = dict(
    batch_size=21,
    num_workers=0,
    sampler=dict(type='ReferenceSampler', num_references=5),
    dataset=dict(type='ToyFaces', size=32, length=42, seed=1000),
)
val_evaluator = [
    dict(type='SegTransferIoU', ceiling=False, **toyfaces_transfer),
    dict(type='KeypointTransferPCK', foreground_only=True, ceiling=False, **toyfaces_transfer),
]
val_cfg = dict(type='ValLoop')

# One row of images for each query, in <work_dir>/pictures/transfer.
custom_hooks = [dict(type='TransferVisualizationHook', max_pictures=20, **toyfaces_transfer)]
