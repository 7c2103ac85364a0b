"""A photo, encoded once; every click after that runs the light parts only."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch

from models.agreement import agreed, agreement
from models.chooser.choosing import choose
from models.ids import SelectionConfig
from models.judge.features import Candidate, Selection
from models.judge.judging import judged
from models.one_click.found_object import FoundObject, in_photo
from models.overlaps import overlaps_of_smaller
from models.photo_proposals import PhotoProposals, points_of
from models.placed_object import PlacedObject
from models.proposing import grid_points, group_by_similarity, in_groups, without_duplicates
from models.recently_used import RecentlyUsed
from models.refiner.refining import Copy, refine
from models.several_clicks import ClickProposals, object_of_clicks
from models.sibling_views import SiblingViews
from models.view import PhotoView, SelectionModels
from models.zoom_in import SIBLINGS_SCALE
from toolkit.clicks import Click, center_click
from toolkit.errors import InputError, UnsupportedSystem
from toolkit.masks import mask_box
from toolkit.selection import Instance

MOST_REFINED = 256  # objects whose refined masks are remembered: more than a selection holds
COMPARED_SIDE = 1024  # longer side, pixels, at which proposed masks are compared


class PhotoScene:
    """An encoded photo; see :class:`toolkit.systems.GroupScene`.

    The photo is encoded at one or more scales (views). Each click looks at all of them, and of all that they
    propose the object is what agrees best with the rest (:mod:`models.agreement`); its siblings are sought in
    the view that shows it neither too small nor too large (:mod:`models.sibling_views`). A click changes
    nothing but what is remembered, so threads may share a scene.

    Attributes:
        height: Of the photo, pixels.
        width: Of the photo, pixels.
        photo: Its pixels, uint8 ``[H, W, 3]``, for :mod:`models.zoom_in`; None for none of that.
    """

    def __init__(
        self,
        models: SelectionModels,
        views: Sequence[PhotoView],
        size: tuple[int, int],
        photo: np.ndarray | None = None,
    ) -> None:
        self._models = models
        self.views = tuple(views)
        self.height, self.width = size
        self.photo = photo
        self._sibling_views = SiblingViews(models, views, photo)
        self._proposals = PhotoProposals(models, views, size, photo)
        self._refinements: RecentlyUsed[Hashable, PlacedObject] = RecentlyUsed(MOST_REFINED)

    @property
    def nbytes(self) -> int:
        """Memory that the scene holds, in bytes."""
        own = 0 if self.photo is None else self.photo.nbytes
        own += sum(item.found.logits.nbytes for item in self._refinements.values())
        own += self._proposals.nbytes + self._sibling_views.nbytes
        return own + sum(view.nbytes for view in self.views)

    def prepare(self) -> None:
        """Compute now what the first selection would otherwise; for a photo that was encoded ahead."""
        for view in self.views:
            view.prepare()

    def segment(self, clicks: Sequence[Click]) -> Instance | None:
        """The object under some clicks; negative ones say what it must not hold. None: nothing found.

        Raises:
            InputError: No click is positive, or one lies outside the photo.
        """
        positive = [c for c in clicks if c.positive]
        if not positive:
            raise InputError("clicks: at least one must be positive, on the object to select")
        chosen = self._answer(clicks, self._models.config)
        return None if chosen is None else self._instance(chosen, positive[0])

    def segment_each(self, clicks: Sequence[Click]) -> list[Instance | None]:
        """The object under each click, all in one batch; None where nothing was found."""
        chosen = self._agreed([[click] for click in clicks])
        return [
            None if item is None else self._instance(item, click)
            for item, click in zip(chosen, clicks, strict=True)
        ]

    def select_similar(
        self, click: Click, negatives: Sequence[Click] = (), config: SelectionConfig | None = None
    ) -> list[Instance]:
        """The clicked object first, then all that are like it; empty when nothing is under the click.

        Args:
            click: On one of the objects.
            negatives: Clicks on objects that must not be selected, and that count as unlike.
            config: Parameters of the selection; the selector's own by default.
        """
        settings = config or self._models.config
        judge = self._models.judge if settings.judge and settings.verify else None
        found = self.selection(click, negatives, settings if judge is None else settings.before_judge())
        if found is None:
            return []
        scores = judged(judge, found)
        instances = [
            None if score is None else self._instance(candidate.shown, candidate.click, 0, score)
            for candidate, score in zip(found.candidates, scores, strict=True)
        ]
        return [] if instances[0] is None else [instance for instance in instances if instance is not None]

    def selection(
        self, click: Click, negatives: Sequence[Click] = (), config: SelectionConfig | None = None
    ) -> Selection | None:
        """What :meth:`select_similar` selects, before it is judged; None when nothing is under the click."""
        settings = config or self._models.config
        clicked = [click, *(replace(negative, positive=False) for negative in negatives)]
        # CPN and PVM learned on masks that were not refined
        exemplar = self._answer(clicked, replace(settings, refine=False))
        if exemplar is None:
            return None
        chosen = self._answer(clicked, settings) if negatives else self._refined([exemplar], settings)[0]
        if chosen is None:
            return None
        view = self._sibling_views.nearest(exemplar.side, settings.zoom_in)
        avoid = [self._proposals.point(c, view) for c in negatives]
        accepted = view.select(exemplar.at_scale(view.scale).found, avoid, settings)
        seen = [PlacedObject(item.item, view.scale) for item in accepted]
        clicks = [click, *(self._click(item.found, view) for item in seen[1:])]
        shown = seen[1:]
        if settings.zoom_in:
            shown = self._looked_closer(clicks[1:], shown, negatives)
        shown = [chosen, *self._refined(shown, settings, negatives)]
        kept: list[int] = []
        for index, item in enumerate(shown):
            others = [shown[other] for other in kept]
            # two that differed in the view may turn out to be one object in their crops
            if (
                index
                and item.scale != view.scale
                and overlaps_of_smaller(item, others).max() > settings.overlap
            ):
                continue
            kept.append(index)
        candidates = [
            Candidate(seen[i], shown[i], clicks[i], a.similarity, a.proposed, a.confidence)
            for i, a in ((index, accepted[index]) for index in kept)
        ]
        return Selection(candidates, view.similarities([candidate.seen.found for candidate in candidates]))

    def proposals(self, clicks: Sequence[Click]) -> list[list[PlacedObject]]:
        """For each click all that it may mean, as the views and a crop around it show it, in no order."""
        return self._proposals.of([[click] for click in clicks])

    def propose_clicks(self, click: Click, limit: int = 100) -> list[tuple[Click, float]]:
        """CPN's clicks on what is like the clicked object, with confidences; none is too low.

        Args:
            click: On the object.
            limit: Most clicks.

        Returns:
            The best first, one per window (``single_window``); empty when nothing is under the click.

        Raises:
            UnsupportedSystem: The weights hold no CPN.
        """
        chosen = self._agreed([[click]])[0]
        if chosen is None:
            return []
        view = self._sibling_views.nearest(chosen.side, self._models.config.zoom_in)
        proposals = view.propose(chosen.at_scale(view.scale).found, self._models.config.single_window, limit)
        return [(self._click_at(p.x, p.y, view), p.confidence) for p in proposals]

    def similarities(self, clicks: Sequence[Click]) -> np.ndarray:
        """How like the object under click i the one under click j is, as IDS judges it after click i.

        Returns:
            float ``[N, N]``, 0–1; NaN where one of the two was not found.

        Raises:
            UnsupportedSystem: The weights hold no PVM.
        """
        if self._models.verification is None:
            raise UnsupportedSystem("these weights hold no verification network (folder pvm)")
        chosen = self._agreed([[click] for click in clicks])
        result = np.full((len(clicks), len(clicks)), np.nan)
        for view in self.views:
            own = {i: x for i, x in enumerate(chosen) if x is not None and self._view_of(x) is view}
            if not own:
                continue
            found = view.find([[self._proposals.point(click, view)] for click in clicks])
            items = {i: item for i, item in enumerate(found) if item is not None}
            items |= {i: item.at_scale(view.scale).found for i, item in own.items()}
            places = {index: place for place, index in enumerate(items)}
            alike = view.similarities(list(items.values()))  # [M, M]
            result[np.ix_(list(own), list(items))] = alike[[places[i] for i in own]]
        return result

    def propose(self, spacing: int = 48, least_score: float = 0.45, limit: int = 200) -> list[Instance]:
        """Everything worth asking about, with no click: similar objects share a group.

        A grid of clicks on every view, each object kept once, in the view surest of it; grouped by PVM.
        1C-DSN answers a click on the background too, but what it makes of that changes from view to view. So
        each object is clicked again, in its middle, and its score falls with the square of how far the
        views disagree.

        Args:
            spacing: Of the grid, pixels of each view.
            least_score: Objects below are left out. On 40 photos of photos/val, 43 % of those from 0.43 on
                were annotated objects, a quarter of all there are; from 0.53 on 65 %, a fifth.
            limit: Most objects.

        Returns:
            Instances with ``group`` 0, 1, …; large groups first, and the best first within a group.
        """
        found: list[tuple[PhotoView, FoundObject]] = []
        for view in self.views:
            points = grid_points(view.encoded.height, view.encoded.width, spacing)
            for item in view.find([[point] for point in points]):
                if item is not None and item.score >= least_score:
                    found.append((view, item))
        found.sort(key=lambda pair: -pair[1].score)
        masks = [self._small_mask(view, item) for view, item in found]
        kept = without_duplicates(masks, limit)
        middles = [self._middle(masks[index]) for index in kept]
        shares = [agreement(p) for p in self._proposals.of_views([[click] for click in middles])]
        scores = {index: found[index][1].score * share**2 for index, share in zip(kept, shares, strict=True)}
        kept = [index for index in kept if scores[index] >= least_score]
        grouped: list[tuple[Instance, int]] = []
        for number, view in enumerate(self.views):
            own = [index for index in kept if found[index][0] is view]
            items = [found[index][1] for index in own]
            labels = group_by_similarity(view.similarities(items))
            for index, item, label in zip(own, items, labels, strict=True):
                placed = self._refined([PlacedObject(item, view.scale)], self._models.config)[0]
                instance = self._instance(placed, self._click(item, view), score=scores[index])
                if instance is not None:
                    grouped.append((instance, number * limit + label))
        return in_groups(grouped)

    def _middle(self, mask: np.ndarray) -> Click:
        """A click in the middle of a mask that is a copy of the photo's size."""
        x1, y1, x2, y2 = (int(side) for side in mask_box(mask))
        click = center_click(mask[y1:y2, x1:x2])
        height, width = mask.shape
        return Click((click.x + x1) * self.width / width, (click.y + y1) * self.height / height)

    def _small_mask(self, view: PhotoView, found: FoundObject) -> np.ndarray:
        """A mask in a copy of the photo: hundreds of a large photo's own size would fill the memory."""
        part = min(COMPARED_SIDE / max(self.height, self.width), 1.0)
        height, width = max(round(self.height * part), 1), max(round(self.width * part), 1)
        return found.mask(height, width, view.scale / part)

    def _looked_closer(
        self, clicks: Sequence[Click], found: Sequence[PlacedObject], negatives: Sequence[Click]
    ) -> list[PlacedObject]:
        """Objects as their crops show them, where those show one that holds no negative click."""
        answers = []
        shown = self._proposals.closer(clicks, [item.side for item in found], SIBLINGS_SCALE)
        for item, closer in zip(found, shown, strict=True):
            allowed = [i for i in closer if not any(i.holds(*point) for point in points_of(negatives))]
            answers.append(agreed([item, *allowed]) or item)
        return answers

    def _agreed(self, groups: Sequence[Sequence[Click]]) -> list[PlacedObject | None]:
        """For each group of clicks the proposal that it most likely means, refined."""
        chosen = [choose(self._models.chooser, items) for items in self._proposals.remembered(groups)]
        refined = iter(self._refined([item for item in chosen if item is not None], self._models.config))
        return [None if item is None else next(refined) for item in chosen]

    def _refines(self, settings: SelectionConfig) -> bool:
        return settings.refine and self._models.refiner is not None

    def _refined(
        self, items: Sequence[PlacedObject], settings: SelectionConfig, negatives: Sequence[Click] = ()
    ) -> list[PlacedObject]:
        """Objects as the refiner mends and judges them, where no negative click speaks against it."""
        if self._models.refiner is None or not self._refines(settings):
            return list(items)
        keys = [_identity(item) for item in items]
        known = {key: self._refinements.get(key) for key in keys}
        fresh = {key: item for key, item in zip(keys, items, strict=True) if known[key] is None}
        if fresh:
            answers = refine(self._models.refiner, self._copies(), list(fresh.values()))
            for key, (answer, quality) in zip(fresh, answers, strict=True):
                judged = PlacedObject(replace(answer.found, quality=quality), answer.scale)
                self._refinements.keep(key, judged)
                known[key] = judged
        points = points_of(negatives)
        return [
            item if (own := known[key]) is None or any(own.holds(*p) for p in points) else own
            for key, item in zip(keys, items, strict=True)
        ]

    def _copies(self) -> list[Copy]:
        """The photo at all scales there are."""
        copies = [
            Copy(view.image[:, : view.encoded.height, : view.encoded.width], view.scale)
            for view in self.views
        ]
        if self.photo is not None:
            copies.append(Copy(torch.from_numpy(self.photo).permute(2, 0, 1), 1.0))
        return copies

    def _answer(self, clicks: Sequence[Click], settings: SelectionConfig) -> PlacedObject | None:
        """The object of one or more positive clicks, without what negative ones are on."""
        positive = [click for click in clicks if click.positive]
        together = [positive] if len(positive) > 1 else []
        proposals = self._proposals.remembered([*([click] for click in clicks), *together])
        held = points_of(positive)
        own = [
            ClickProposals(
                (click.x, click.y),
                click.positive,
                items if click.positive else [i for i in items if not any(i.holds(*p) for p in held)],
            )
            for click, items in zip(clicks, proposals, strict=False)
        ]
        joint = proposals[-1] if together else ()
        return object_of_clicks(
            own,
            joint,
            partial(choose, self._models.chooser),
            lambda item: self._refined([item], settings)[0],
        )

    def _view_of(self, placed: PlacedObject) -> PhotoView:
        """The view that an object was found in; the one of the nearest scale for what a crop showed."""
        return min(self.views, key=lambda view: abs(view.scale - placed.scale))

    def _click(self, found: FoundObject, view: PhotoView) -> Click:
        return self._click_at(*found.clicks[0], view)

    def _click_at(self, x: float, y: float, view: PhotoView) -> Click:
        """A point of a view as a click on the photo."""
        return Click(
            min(x / view.scale, np.nextafter(self.width, 0)),
            min(y / view.scale, np.nextafter(self.height, 0)),
        )

    def _instance(
        self, placed: PlacedObject, click: Click, group: int | None = None, score: float | None = None
    ) -> Instance | None:
        """An object in the photo's pixels; None when not a single pixel of it is left.

        Its score is, unless given, that it is what was clicked, times the expected IoU of its mask.
        """
        piece, top, left = placed.found.piece(self.height, self.width, placed.scale)
        if not piece.any():
            return None
        mask = in_photo(piece, top, left, self.height, self.width)
        x1, y1, x2, y2 = mask_box(piece)  # a large photo has more pixels than there is time for
        box = (left + x1, top + y1, left + x2, top + y2)
        own = placed.found.score * placed.found.quality
        return Instance(mask, box, own if score is None else score, click, group)


def _identity(item: PlacedObject) -> Hashable:
    """What tells an object from others of the photo: the same click may mean another after a negative one."""
    found = item.found
    return found.clicks, found.top, found.left, item.scale, hash(found.logits.tobytes())
