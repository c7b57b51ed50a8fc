# Disentanglement of a generator: compare images before and after swapping a code. Not the paper's
# protocol: see SwapConsistency.
test_dataloader = dict(
    batch_size=8,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='SwapSeeds', length=1000, seed=0),
)
# For identity as well (images of faces; needs MMagic): identity=dict(type='mmagic.IDLossModel').
test_evaluator = dict(type='SwapConsistency', perceptual=dict(type='LPIPSLoss'))
test_cfg = dict(type='TestLoop')
