import numpy as np
import torch

from mmcoordgan.geometry import canonical_grid
from mmcoordgan.visualization import (
    TransferPicture,
    coords_to_colors,
    overlay_labels,
    transfer_row,
)

PALETTE = [[0, 0, 0], [200, 0, 0], [0, 100, 50]]


def picture(seed: int, size: int = 4, coords=None, labelled: bool = True) -> TransferPicture:
    source = np.random.default_rng(seed)
    image = source.integers(0, 256, (size, size, 3), dtype=np.uint8)
    labels = torch.from_numpy(np.eye(3)[source.integers(0, 3, (size, size))]).permute(2, 0, 1)
    coords = canonical_grid(size, size) if coords is None else coords
    return TransferPicture(image, coords, labels.float() if labelled else None)


def test_overlay_leaves_the_background_clear():
    image = np.full((4, 4, 3), 100, np.uint8)
    labels = np.array([[0, 1], [2, 0]])  # each pixel becomes a block of 2 x 2
    shown = overlay_labels(image, labels, PALETTE)
    blocks = shown.reshape(2, 2, 2, 2, 3).transpose(0, 2, 1, 3, 4).reshape(2, 2, 4, 3)
    expected = [[[100] * 3, [155, 45, 45]], [[45, 100, 72], [100] * 3]]  # 0.55 of the colours
    assert all((blocks[:, :, i] == expected).all() for i in range(4))


def test_colours_and_labels_travel_from_reference_to_query():
    """The query shows the reference moved to the right, and its map says so."""
    reference = picture(0)
    query = picture(1, coords=canonical_grid(4, 4).roll(1, dims=2))
    for temperature in (1e-3, 0):
        cells = transfer_row(reference, query, PALETTE, temperature)
        moved = reference.labels.argmax(0).roll(1, dims=1)
        expected = [
            reference.image,
            query.image,
            coords_to_colors(query.coords),
            np.roll(reference.image, 1, axis=1),
            overlay_labels(reference.image, reference.labels.argmax(0), PALETTE),
            overlay_labels(query.image, moved, PALETTE),
            overlay_labels(query.image, query.labels.argmax(0), PALETTE),
        ]
        assert len(cells) == len(expected)
        for cell, wanted in zip(cells, expected):
            np.testing.assert_array_equal(cell, wanted)


def test_without_labels():
    reference, query = picture(0), picture(1, labelled=False)
    assert (transfer_row(reference, query, PALETTE)[6] == 255).all()
    cells = transfer_row(picture(0, labelled=False), query)
    assert len(cells) == 4
    np.testing.assert_array_equal(cells[0], reference.image)


def test_images_larger_than_their_maps():
    coords, labels = canonical_grid(2, 2), torch.ones(3, 2, 2)
    image = np.zeros((4, 4, 3), np.uint8)
    image[:, 2:] = 200
    large = TransferPicture(image, coords, labels)
    cells = transfer_row(large, large, PALETTE, temperature=0)
    assert [cell.shape[0] for cell in cells] == [4, 4, 2, 2, 4, 4, 4]
    # Antialiased, which reaches a little across the edge.
    assert cells[3][:, :, 0].tolist() == [[29, 171], [29, 171]]
