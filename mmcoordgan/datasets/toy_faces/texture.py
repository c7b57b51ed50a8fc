"""Colors of :class:`ToyFaces`: a random palette, shading, background and noise."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import numpy as np

from .shape import EYE_X, EYE_Y, REGION_INDEX, REGIONS, Warp, face_regions, warp_grid


@dataclass(frozen=True)
class Texture:
    """Everything about an image that is not structure."""

    palette: np.ndarray  # (regions, 3) RGB in [0, 1]; the background's entry is not used
    background: np.ndarray  # (2, 3) RGB at the two ends of the gradient
    background_angle: float  # Direction of the gradient in the image, in radians
    light: tuple[float, float]  # (x, y) slope of the shading in the canonical frame
    stripes: tuple[float, float, float]  # (frequency, phase, strength) of the cloth's
    strands: tuple[float, float, float]  # (frequency, phase, strength) of the hair's
    noise: float  # Standard deviation of the pixel noise
    noise_seed: int


def _rgb(hue: float, saturation: float, value: float) -> np.ndarray:
    return np.array(colorsys.hsv_to_rgb(hue % 1, saturation, min(value, 1.0)))


def draw_texture(rng: np.random.Generator) -> Texture:
    """Random texture. Skin, hair, background and cloth get well separated hues."""
    order = rng.permutation(4)
    hue = rng.random() + order / 4 + rng.uniform(-0.06, 0.06, 4)  # skin, hair, background, cloth
    uniform = rng.uniform
    skin_saturation = uniform(0.25, 0.6)
    skin_value = uniform(0.72, 1.0)
    skin = _rgb(hue[0], skin_saturation, skin_value)
    hair = _rgb(hue[1], uniform(0.5, 1), uniform(0.15, 0.65))
    cloth = _rgb(hue[3], uniform(0.55, 1), uniform(0.4, 1))
    lip_hue = hue[0] + uniform(0.4, 0.6)
    white = _rgb(uniform(0, 1), 0.06, uniform(0.94, 1))
    pupil = _rgb(uniform(0, 1), 0.5, uniform(0, 0.12))
    ear_hue = hue[0] + uniform(0.06, 0.12) * rng.choice([-1, 1])
    nose_hue = hue[0] + uniform(0.06, 0.12) * rng.choice([-1, 1])
    colors = {
        'face': skin,
        'neck': skin * 0.78,
        'hair': hair,
        'eye_white': white,
        'iris': _rgb(uniform(0, 1), uniform(0.7, 1), uniform(0.35, 0.75)),
        'pupil': pupil,
        'lash': 0.35 * skin * pupil + 0.1 * hair,
        'brow': 0.55 * hair,
        'nose': _rgb(nose_hue, skin_saturation + 0.25, skin_value * uniform(0.75, 0.88)),
        'nostril': 0.35 * skin,
        'lip': _rgb(lip_hue, uniform(0.65, 1), uniform(0.55, 0.9)),
        'mouth_line': _rgb(lip_hue, 0.8, uniform(0.1, 0.3)),
        'ear': _rgb(ear_hue, skin_saturation + 0.3, skin_value * uniform(0.8, 0.95)),
        'cloth': cloth,
        'collar': _rgb(hue[3] + uniform(0.35, 0.65), uniform(0.2, 0.8), uniform(0.6, 1)),
    }
    palette = np.zeros((len(REGIONS), 3))
    for name, color in colors.items():
        palette[REGION_INDEX[name]] = color
    saturation = uniform(0.35, 0.9)
    value = uniform(0.45, 1)
    light_angle = uniform(0, 2 * np.pi)
    light = uniform(0.1, 0.35)
    first = _rgb(hue[2], saturation, value)
    last = _rgb(hue[2] + uniform(-0.06, 0.06), saturation * 0.7, value * uniform(0.5, 0.8))
    return Texture(
        palette=palette,
        background=np.stack([first, last]),
        background_angle=float(uniform(0, 2 * np.pi)),
        light=(float(light * np.cos(light_angle)), float(light * np.sin(light_angle))),
        stripes=(uniform(10, 25), uniform(0, 2 * np.pi), uniform(0, 0.3)),
        strands=(uniform(20, 60), uniform(0, 2 * np.pi), uniform(0, 0.2)),
        noise=float(uniform(0.005, 0.02)),
        noise_seed=int(rng.integers(2**31)),
    )


def _modulation(regions: np.ndarray, coords: np.ndarray, texture: Texture) -> np.ndarray:
    """Brightness factor of every point, in the canonical frame: light, strands and stripes."""
    x, y = coords
    factor = 1 + texture.light[0] * x + texture.light[1] * y
    hair = np.nonzero(regions == REGION_INDEX['hair'])
    frequency, phase, strength = texture.strands
    spread = np.arctan2(x[hair], 0.9 - y[hair])  # strands run from the crown to the sides
    factor[hair] *= 1 + strength * np.sin(frequency * spread + phase)
    cloth = np.nonzero(regions == REGION_INDEX['cloth'])
    frequency, phase, strength = texture.stripes
    factor[cloth] *= 1 + strength * np.sin(frequency * y[cloth] + phase)
    face = np.nonzero(regions == REGION_INDEX['face'])
    # Darker towards the outline and in the sockets of the eyes.
    edge = (x[face] / 0.48) ** 2 + ((y[face] - 0.09) / 0.6) ** 2
    socket = ((np.abs(x[face]) - EYE_X) / 0.22) ** 2 + ((y[face] - EYE_Y + 0.04) / 0.2) ** 2
    factor[face] *= 1 - 0.16 * edge**2 - 0.12 * np.exp(-2 * socket)
    return factor


def render_image(warp: Warp, texture: Texture, size: int) -> np.ndarray:
    """Image (size, size, 3) uint8 RGB of the face, each pixel being the mean of 2 x 2 points."""
    quarter = 0.5 / (size - 1)  # of a pixel's width
    positions = np.linspace(-1 - quarter, 1 + quarter, 2 * size)
    coords = warp_grid(warp, positions)
    regions = face_regions(coords[0], coords[1])
    colors = texture.palette.astype(np.float32)[regions]
    colors *= _modulation(regions, coords, texture)[..., None]

    cos, sin = np.cos(texture.background_angle), np.sin(texture.background_angle)
    position = (0.5 + 0.35 * (cos * positions[None, :] + sin * positions[:, None])).clip(0, 1)
    first, last = texture.background.astype(np.float32)
    where = regions == REGION_INDEX['background']
    colors[where] = first + position[where][:, None].astype(np.float32) * (last - first)

    pixels = 0.25 * (colors[::2, ::2] + colors[1::2, ::2] + colors[::2, 1::2] + colors[1::2, 1::2])
    noise = np.random.default_rng(texture.noise_seed).standard_normal(pixels.shape, np.float32)
    pixels += texture.noise * noise
    return np.rint(pixels.clip(0, 1) * 255).astype(np.uint8)
