"""A region extractor that trains in seconds."""

from synth.regions.training import CompactConfig

TINY = CompactConfig(
    width=32,
    heads=2,
    queries=8,
    encoder_layers=1,
    decoder_layers=2,
    backbone=(16, 24, 32, 32),
    depths=(1, 1, 1, 1),
    stem=8,
    side=64,
)
