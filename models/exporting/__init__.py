"""Export of networks to ONNX, and the check that the files answer as torch does."""

from models.exporting.checking import SPEED_SIZE, EncoderTimes, largest_difference, time_encoder
from models.exporting.graphs import Graph, one_click_graphs, pvm_graph, refiner_graph
from models.exporting.writing import Exported, exportable, write_graphs

__all__ = [
    "SPEED_SIZE",
    "EncoderTimes",
    "Exported",
    "Graph",
    "exportable",
    "largest_difference",
    "one_click_graphs",
    "pvm_graph",
    "refiner_graph",
    "time_encoder",
    "write_graphs",
]
