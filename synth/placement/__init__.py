"""Where copies go: at the maximum of a region's distance map, again and again."""

from synth.placement.copies import count_copies
from synth.placement.literal import distance_map, literal_peak
from synth.placement.space import FreeSpace, Peak

__all__ = ["FreeSpace", "Peak", "count_copies", "distance_map", "literal_peak"]
