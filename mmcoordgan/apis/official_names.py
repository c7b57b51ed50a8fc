"""Names and layouts of the reference implementation's parameters (NVlabs/CoordGAN).

The reference stores one state dict per network, under ``g``, ``g_ema``, ``d``, ``d_patch`` (and
``e`` in stage 2). Its tensors equal ours up to names and singleton dimensions; its buffers are
constant filters, which ours do not store.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

Rules = tuple[tuple[str, str], ...]

_GENERATOR_RULES: Rules = (
    (r'^style\.(\d+)\.', r'texture_mapping.layers.{\1-1}.'),
    (r'^struc\.(\d+)\.', r'structure_mapping.layers.{\1-1}.'),
    (r'^foldnet\.conv1_1\.', r'warp_net.first.'),
    (r'^foldnet\.conv1_2\.', r'warp_net.second.'),
    (r'^foldnet\.conv1_3\.', r'warp_net.last.'),
    (r'^lff\.ffm\.conv\.', r'fourier.conv.'),
    (r'^conv1\.', r'stem.'),
    (r'^to_rgb1\.', r'stem_to_rgb.'),
    (r'^to_rgbs\.(\d+)\.', r'levels.{\1}.to_rgb.'),
    (r'^convs\.(\d*[02468])\.', r'levels.{\1/2}.conv1.'),
    (r'^convs\.(\d*[13579])\.', r'levels.{\1/2}.conv2.'),
    (r'\.noise\.weight$', r'.noise_strength'),
    (r'\.activate\.bias$', r'.bias'),
)
_PATCH_DISCRIMINATOR_RULES: Rules = (
    (r'^convs\.0\.', r'trunk.0.'),
    (r'^convs\.(\d+)\.', r'trunk.{\1-1}.'),
    (r'\.(Conv|Act)\.', r'.'),
    (r'^pairlinear\.', r'decision.'),
)


def _discriminator_rules(base_resolution: int, image_size: int) -> Rules:
    sizes = {str(k): base_resolution * 2**k for k in range(3)}
    blocks = image_size.bit_length() - 3
    return (
        *((rf'^from_rgb\.{k}\.[01]\.', f'from_rgb.{size}.') for k, size in sizes.items()),
        *((rf'^convs\.{k}\.', f'blocks.{image_size >> k}.') for k in range(blocks)),
        (r'\.conv1\.[01]\.', r'.conv1.'),
        (r'\.conv2\.[12]\.', r'.conv2.'),
        (r'\.skip\.1\.', r'.skip.'),
        (r'^final_conv\.[01]\.', r'last_conv.'),
        (r'^final_linear\.', r'head.'),
    )


def _encoder_rules(names: list[str]) -> Rules:
    """The reference names layers by the power of two by which they find the picture shrunk."""
    depth = len({m[1] for name in names if (m := re.search(r'ResBlockDownBy(\d+)', name))})
    powers = [(str(2**k), k) for k in range(depth + 8)]
    return (
        (r'^FromRGB\.', r'from_rgb.'),
        *((rf'^DownToSpatialCode\.ResBlockDownBy{p}\.', f'blocks.{k}.') for p, k in powers),
        *(
            (rf'^DownToGlobalCode\.ConvLayerDownBy{p}\.', f'texture_blocks.{k - depth}.conv.')
            for p, k in powers[depth:]
        ),
        (r'^ToSpatialCode\.', r'structure_conv.'),
        (r'^sp_fc\.', r'structure_head.'),
        (r'^ToGlobalCode\.', r'texture_heads.'),
        (r'\.(Conv|Act)\.', r'.'),
    )


def _rename(name: str, rules: Rules) -> str:
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return re.sub(r'\{(\d+)([-/]?)(\d*)\}', _evaluate, name)


def _evaluate(match: re.Match) -> str:
    number, operator, operand = int(match[1]), match[2], match[3]
    if operator == '-':
        return str(number - int(operand))
    return str(number // int(operand)) if operator == '/' else str(number)


def official_names(
    network: str, names: list[str], *, base_resolution: int = 128, image_size: int = 128
) -> dict[str, str]:
    """Map the reference's parameter names of one network to ours.

    Args:
        network: The reference's key: 'g', 'g_ema', 'd', 'd_patch' or 'e'.
        names: Names in the reference's state dict; constant filters (``*.kernel``) are left out.
        base_resolution: Side of the correspondence map.
        image_size: Side of the largest picture.

    Returns:
        The reference's name -> our name.

    Raises:
        ValueError: If ``network`` is unknown.
    """
    if network in ('g', 'g_ema'):
        rules = _GENERATOR_RULES
    elif network == 'd':
        rules = _discriminator_rules(base_resolution, image_size)
    elif network == 'd_patch':
        rules = _PATCH_DISCRIMINATOR_RULES
    elif network == 'e':
        rules = _encoder_rules(names)
    else:
        raise ValueError(
            f"network must be 'g', 'g_ema', 'd', 'd_patch' or 'e', but got {network!r}"
        )
    return {name: _rename(name, rules) for name in names if not name.endswith('.kernel')}


def from_official(
    network: str,
    state_dict: Mapping[str, Tensor],
    target: Mapping[str, Tensor],
    *,
    base_resolution: int = 128,
    image_size: int = 128,
) -> dict[str, Tensor]:
    """Rename and reshape one network's tensors of the reference to fit ours.

    Args:
        network: As for :func:`official_names`.
        state_dict: The reference's tensors.
        target: Our network's state dict, which gives the shapes.
        base_resolution: Side of the correspondence map.
        image_size: Side of the largest picture.

    Returns:
        Our names -> tensors, ready for ``load_state_dict(strict=True)``.

    Raises:
        ValueError: If a tensor's number of elements differs from ours (names it).
    """
    names = official_names(
        network, list(state_dict), base_resolution=base_resolution, image_size=image_size
    )
    result = {}
    for theirs, ours in names.items():
        tensor = state_dict[theirs]
        if ours in target:
            if tensor.numel() != target[ours].numel():
                raise ValueError(
                    f'{network}.{theirs} has shape {tuple(tensor.shape)}, '
                    f'but {ours} needs {tuple(target[ours].shape)}'
                )
            tensor = tensor.reshape(target[ours].shape)
        result[ours] = tensor
    return result
