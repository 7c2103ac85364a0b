"""The regions, and the table that maps the label names of published checkpoints to them.

The table is read as it stands: a label it does not name is listed as unmapped and left unknown, never
guessed. Names are those of ADE20K (150 classes), COCO panoptic and COCO-stuff, and Cityscapes. Outer walls
count as walls, as in the bundled extractor's own training data.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

OTHER, GROUND, CEILING, WALL, SKY, SEA, RIVER = range(7)
UNKNOWN = 255
REGION_NAMES = {
    OTHER: "other",
    GROUND: "ground",
    CEILING: "ceiling",
    WALL: "wall",
    SKY: "sky",
    SEA: "sea",
    RIVER: "river",
    UNKNOWN: "unknown",
}
# SimpSON, Section 4: "ground, ceiling, wall, sky, sea, and river, as candidate regions".
PLACEABLE = (GROUND, CEILING, WALL, SKY, SEA, RIVER)

_LABELS: dict[int, str] = {
    GROUND: """
        ground; floor; road; route; sidewalk; pavement; earth; grass; sand; dirt; dirt track; path; field;
        land; soil; runway; rug; carpet; snow; gravel; mud; playingfield; platform; terrain; parking; rail
        track; railroad; floor-wood; floor-marble; floor-stone; floor-tile; ground track; straw; moss; leaves;
        stage; desert; lawn
    """,
    CEILING: "ceiling; ceiling-tile",
    WALL: """
        wall; wall-brick; wall-concrete; wall-panel; wall-stone; wall-tile; wall-wood; building; house;
        skyscraper; tower; hovel; roof; solid-wall; facade
    """,
    SKY: "sky; clouds; fog",
    SEA: "sea; ocean",
    # Inland water, still or not.
    RIVER: "river; lake; water; pool; swimming pool; pond; canal",
    OTHER: """
        other; tree; vegetation; plant; bush; branch; flower; palm; mountain; hill; rock; stone; wood; bridge;
        fence; rail; railing; net; cage; column; pillar; pole; stairs; stairway; step; escalator; bannister;
        fireplace; grandstand; person; rider; child; people; car; bus; truck; van; train; motorcycle;
        motorbike; bicycle; minibike; trailer; caravan; airplane; plane; boat; ship; traffic light; traffic
        sign; stop sign; street sign; signboard; banner; parking meter; fire hydrant; bench; street lamp;
        streetlight; guard rail; tunnel; polegroup; awning; canopy; booth; tent; tank; pier; fountain; crt
        screen; monitor; screen; screen door; tv; computer; laptop; mouse; remote; keyboard; cell phone;
        bulletin board; poster; painting; picture; mirror; mirror-stuff; window; window-blind; window-other;
        blind; curtain; door; door-stuff; cabinet; cupboard; wardrobe; chest of drawers; shelf; bookcase;
        table; dining table; coffee table; pool table; desk; desk-stuff; counter; countertop; kitchen island;
        buffet; chair; armchair; swivel chair; seat; sofa; couch; stool; ottoman; bed; cradle; cushion;
        pillow; blanket; towel; lamp; light; chandelier; sconce; tub; sink; toilet; shower; stove; oven; hood;
        refrigerator; microwave; toaster; dishwasher; washer; radiator; fan; furniture; furniture-other;
        cloth; clothes; textile; textile-other; napkin; mat; base; box; cardboard; case; bag; barrel; basket;
        pot; potted plant; vase; tray; trash can; bottle; glass; wine glass; cup; plate; fork; knife; spoon;
        bowl; book; paper; clock; flag; sculpture; trade name; toy; plaything; teddy bear; hair drier;
        toothbrush; scissors; bar; arcade machine; conveyer belt; animal; bird; cat; dog; horse; sheep; cow;
        elephant; bear; zebra; giraffe; backpack; umbrella; handbag; tie; suitcase; frisbee; skis; snowboard;
        sports ball; ball; kite; baseball bat; baseball glove; skateboard; surfboard; tennis racket; banana;
        apple; sandwich; orange; broccoli; carrot; hot dog; pizza; donut; cake; food; fruit; vegetable; salad;
        metal; plastic; structural; solid; falls; waterfall; waterdrops; ego vehicle; static; dynamic
    """,
}

# Endings of COCO's names that say nothing about what a thing is.
_ENDINGS = re.compile(r"(-other)?(-merged)?(-stuff)?$")


def _table() -> dict[str, int]:
    return {" ".join(name.split()): region for region, names in _LABELS.items() for name in names.split(";")}


def region_of_label(label: str, table: Mapping[str, int] | None = None) -> int | None:
    """The region that a label name stands for, or None when the table does not name it.

    ADE20K joins synonyms with commas; the first that the table names counts. COCO's endings ``-other``,
    ``-merged`` and ``-stuff`` are ignored.

    Args:
        label: as a checkpoint's configuration gives it.
        table: names in lower case and their regions; by default the one of this module.
    """
    table = _table() if table is None else table
    for synonym in label.lower().split(","):
        name = " ".join(synonym.replace("_", " ").split())
        for candidate in (name, _ENDINGS.sub("", name)):
            if candidate in table:
                return table[candidate]
    return None


def map_labels(id2label: Mapping[int, str]) -> tuple[np.ndarray, list[str]]:
    """Map a checkpoint's classes to regions.

    Args:
        id2label: class index and label name, as in a checkpoint's configuration.

    Returns:
        uint8 [256 or more], the region of every class index (`UNKNOWN` where the table has none), and the
        label names that the table does not have, in order.
    """
    table = _table()
    lookup = np.full(max(256, max(map(int, id2label), default=0) + 1), UNKNOWN, np.uint8)
    unmapped = []
    for index, label in sorted((int(index), label) for index, label in id2label.items()):
        region = region_of_label(label, table)
        if region is None:
            unmapped.append(label)
        else:
            lookup[index] = region
    return lookup, unmapped
