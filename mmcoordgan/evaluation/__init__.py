"""Metrics: what correspondences are worth."""

from __future__ import annotations

from .keypoint_transfer_pck import KeypointTransferPCK
from .seg_transfer_iou import SegTransferIoU
from .transfer_metric import TransferMetric

__all__ = ['KeypointTransferPCK', 'SegTransferIoU', 'TransferMetric']
