"""Protocols that measure selection systems on a split: one click per object, one click per group."""
