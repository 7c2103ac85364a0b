"""Counting FLOPs of networks; see :mod:`toolkit.flops`."""

from toolkit.flops import count_flops

__all__ = ["count_flops"]
