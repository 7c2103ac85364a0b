"""Systems that learn nothing: GrabCut from clicks, flood fill, random walker."""

from models.systems.classical.stepper import flood_fill, grabcut, random_walker

__all__ = ["flood_fill", "grabcut", "random_walker"]
