# As toyfaces_32_metrics.py, with the metrics whose networks are downloaded (95 and 175 MB).
_base_ = './toyfaces_32_metrics.py'
test_evaluator = dict(
    metrics=[
        dict(
            type='mmagic.FrechetInceptionDistance',
            # A path, where there is no network: the StyleGAN authors' inception-2015-12-05.pt.
            inception_path=None,
            prefix='FID-1000-inception-2015-12-05',
            fake_nums=1000,
            real_nums=1000,
            sample_model='ema',
        ),
        dict(
            type='SwapConsistency',
            perceptual=dict(type='StructureTensorLoss'),
            # ArcFace. ir_se50_weights: a path or URL.
            identity=dict(type='mmagic.IDLossModel', ir_se50_weights=None),
            num_samples=1000,
        ),
    ],
)
