"""Stand-in for ``mmcv._ext``: lets ``mmcv.ops`` be imported without compiled operators.

On a CPU, those of MMagic's StyleGAN2 have a form in plain PyTorch. Others raise when called.
"""


def __getattr__(name: str):
    if name.startswith('__'):
        raise AttributeError(name)

    def missing(*args, **kwargs):
        raise NotImplementedError(f'mmcv-lite has no compiled operator {name}')

    return missing
