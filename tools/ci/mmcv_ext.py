"""Stand-in for ``mmcv._ext``: lets ``mmcv.ops`` be imported without compiled operators.

``mmagic_env.sh`` copies this file into mmcv-lite. On a CPU the operators of MMagic's StyleGAN2
(upfirdn2d, fused_bias_leakyrelu, conv2d) have a form in plain PyTorch in ``mmcv.ops``. Every
compiled operator raises when it is called.
"""


def __getattr__(name: str):
    if name.startswith('__'):
        raise AttributeError(name)

    def missing(*args, **kwargs):
        raise NotImplementedError(f'mmcv-lite has no compiled operator {name}')

    return missing
