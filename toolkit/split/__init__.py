"""The split folder: `images/`, `annotations.json`, `card.yaml`; read lazily, written atomically."""

from toolkit.split.dataset import Split
from toolkit.split.reading import read_split
from toolkit.split.records import NEW_ID, Annotation, ImageRecord
from toolkit.split.writing import SplitWriter

__all__ = ["NEW_ID", "Annotation", "ImageRecord", "Split", "SplitWriter", "read_split"]
