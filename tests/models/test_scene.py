"""What a scene answers, with tiny random networks and with networks made by hand."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import models.view
from models.ids import Accepted, Proposal, SelectionConfig
from models.one_click.finder import EncodedImage
from models.one_click.found_object import FoundObject
from models.scene import PhotoScene
from models.selector import Selector
from models.view import PhotoView, SelectionModels, overlap_of_smaller
from tests.helpers.networks import save_selector
from toolkit.clicks import Click
from toolkit.errors import InputError
from toolkit.masks import mask_box
from toolkit.selection import Instance

HEIGHT, WIDTH = 120, 192
CLICKS = [Click(40, 30), Click(150.5, 100.25), Click(0, 0), Click(191.9, 119.9), Click(96, 60)]
EASY = SelectionConfig(similarity=0.0, confidence=0.05, rounds=2, clicks_per_round=4)


@pytest.fixture(scope="module")
def selector(tmp_path_factory: pytest.TempPathFactory) -> Selector:
    folder: Path = save_selector(tmp_path_factory.mktemp("selector"))
    return Selector.load(folder, device="cpu", working_sizes=(192,), config=EASY)


@pytest.fixture(scope="module")
def scene(selector: Selector) -> PhotoScene:
    image = np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    return selector.encode(image)


def same(a: Instance | None, b: Instance | None) -> bool:
    if a is None or b is None:
        return a is b
    return (
        np.array_equal(a.mask, b.mask)
        and (a.box, a.click, a.group) == (b.box, b.click, b.group)
        and a.score == pytest.approx(b.score, abs=1e-6)
    )


def test_the_answer_to_one_click(scene: PhotoScene) -> None:
    for click in CLICKS:
        found = scene.segment([click])
        assert found is not None
        assert found.mask[click.row, click.column]
        assert found.box == mask_box(found.mask)
        assert (found.click, found.group) == (click, None)


def test_segment_each_equals_one_by_one(scene: PhotoScene) -> None:
    together = scene.segment_each(CLICKS)
    assert all(same(one, scene.segment([click])) for one, click in zip(together, CLICKS, strict=True))
    assert scene.segment_each([]) == []


def test_several_clicks_on_one_object(scene: PhotoScene) -> None:
    clicks = [Click(90, 60), Click(96, 66)]
    found = scene.segment(clicks)
    assert found is not None
    assert found.click == clicks[0]
    assert all(found.mask[c.row, c.column] for c in clicks)


def test_negative_clicks_are_not_held(scene: PhotoScene) -> None:
    held = 0
    for click in CLICKS:
        found = scene.segment([click])
        assert found is not None
        rows, columns = found.mask.nonzero()
        far = np.argmax(np.hypot(columns - click.x, rows - click.y))
        negative = Click(columns[far] + 0.5, rows[far] + 0.5, positive=False)
        other = scene.segment([negative, click])
        if other is not None:
            assert not other.mask[negative.row, negative.column]
            assert other.click == click
            held += 1
    assert held


@pytest.mark.parametrize(
    ("x", "y", "said"),
    [
        (192, 5, "click 192,5 lies outside"),
        (5, 120, "click 5,120 lies outside"),
        (-0.5, 5, "click -0.5,5 lies outside"),
        (float("nan"), 5, "click nan,5 lies outside"),
        (float("inf"), 5, "click inf,5 lies outside"),
    ],
)
def test_clicks_outside_the_photo(scene: PhotoScene, x: float, y: float, said: str) -> None:
    message = f"{said} the photo; it is 192 × 120 pixels, x comes first"
    good = Click(5, 5)
    for ask in (
        lambda: scene.segment([good, Click(x, y)]),
        lambda: scene.segment([good, Click(x, y, positive=False)]),
        lambda: scene.segment_each([good, Click(x, y)]),
        lambda: scene.select_similar(Click(x, y)),
        lambda: scene.select_similar(good, [Click(x, y, positive=False)]),
    ):
        with pytest.raises(InputError) as caught:
            ask()
        assert str(caught.value) == message


@pytest.mark.parametrize("clicks", [[], [Click(5, 5, positive=False)]])
def test_segment_needs_a_positive_click(scene: PhotoScene, clicks: list[Click]) -> None:
    with pytest.raises(InputError, match="at least one must be positive"):
        scene.segment(clicks)


def test_select_similar_starts_with_the_clicked_object(scene: PhotoScene) -> None:
    for click in CLICKS[:2]:
        selection = scene.select_similar(click)
        clicked = scene.segment([click])
        assert clicked is not None
        assert np.array_equal(selection[0].mask, clicked.mask)
        assert (selection[0].click, selection[0].score) == (click, clicked.score)
        assert len(selection) > 1
        for instance in selection:
            assert instance.group == 0
            assert instance.box == mask_box(instance.mask)
            assert instance.click is not None
            assert instance.mask[instance.click.row, instance.click.column]
        for index, a in enumerate(selection):
            for b in selection[:index]:  # at most half of the smaller one, as counted at stride 4
                assert (a.mask & b.mask).sum() <= 0.55 * min(a.mask.sum(), b.mask.sum())


def test_a_configuration_of_its_own(scene: PhotoScene, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, float]] = []
    find_peaks = models.view.find_peaks

    def noting(heatmap: Tensor, window: int, threshold: float) -> list[Proposal]:
        asked.append((window, threshold))
        return find_peaks(heatmap, window, threshold)

    monkeypatch.setattr(models.view, "find_peaks", noting)
    scene.select_similar(
        CLICKS[0], config=SelectionConfig(rounds=2, clicks_per_round=2, window=7, confidence=0.3)
    )
    assert set(asked) == {(7, 0.3)}
    asked.clear()
    scene.select_similar(
        CLICKS[0], config=SelectionConfig(rounds=1, clicks_per_round=2, window=7, single_window=3)
    )
    assert asked == [(3, 0.2)]
    asked.clear()
    scene.select_similar(CLICKS[0])
    assert set(asked) == {(5, 0.05)}  # the selector's own
    assert len(scene.select_similar(CLICKS[0], config=SelectionConfig(confidence=1.1))) == 1


def test_nothing_similar_holds_a_negative_click(scene: PhotoScene) -> None:
    selection = scene.select_similar(CLICKS[0])
    rows, columns = (selection[1].mask & ~selection[0].mask).nonzero()
    middle = len(rows) // 2
    negative = Click(columns[middle] + 0.5, rows[middle] + 0.5, positive=False)
    without = scene.select_similar(CLICKS[0], [negative])
    assert np.array_equal(without[0].mask, selection[0].mask)
    assert not any(i.mask[negative.row, negative.column] for i in without[1:])


def test_a_click_does_not_change_the_scene(selector: Selector, scene: PhotoScene) -> None:
    def state() -> list[Tensor]:
        (view,) = scene.views
        encoded = view.encoded
        free = [t for level in encoded.free for t in vars(level).values()]
        return [t.clone() for t in (*encoded.pyramid, encoded.mask_features, *free, view._image)]

    before = state()
    answers = [scene.segment_each(CLICKS), scene.select_similar(CLICKS[0]), scene.select_similar(CLICKS[1])]
    again = [scene.segment_each(CLICKS), scene.select_similar(CLICKS[0]), scene.select_similar(CLICKS[1])]
    for first, second in zip(answers, again, strict=True):
        assert len(first) == len(second)
        assert all(same(a, b) for a, b in zip(first, second, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(before, state(), strict=True))


def test_threads_may_share_a_scene(selector: Selector) -> None:
    image = np.random.default_rng(2).integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    expected = [selector.encode(image).select_similar(click) for click in CLICKS[:3]]
    shared = selector.encode(image)  # whose cached part does not exist yet
    with ThreadPoolExecutor(3) as threads:
        answers = list(threads.map(shared.select_similar, CLICKS[:3]))
    for first, second in zip(expected, answers, strict=True):
        assert len(first) == len(second)
        assert all(same(a, b) for a, b in zip(first, second, strict=True))


def test_nbytes_is_what_the_tensors_hold(scene: PhotoScene) -> None:
    (view,) = scene.views
    assert view.image.nbytes == 3 * 128 * 192
    finer = scene._sibling_views._finer
    views = [view] if finer is None else [view, finer]
    held = sum(v.encoded.nbytes + v.image.nbytes + v._memory.nbytes + v._found.nbytes for v in views)
    photo = 3 * HEIGHT * WIDTH  # kept for crops that enlarge it
    remembered = scene._proposals._known.values()
    proposed = sum(item.found.logits.nbytes for items in remembered for item in items)
    assert proposed > 0
    assert scene.nbytes == photo + held + proposed


def found(logits: np.ndarray, top: int = 0, left: int = 0) -> FoundObject:
    return FoundObject(logits.astype(np.float32), top, left, 0.5, ((2.0, 2.0),))


class ScriptedFinder:
    """Finds, under every click, what its view's number says."""

    def __init__(self, *answers: FoundObject | None) -> None:
        self.answers = answers

    def find(
        self, encoded: EncodedImage, groups: Sequence[object], avoid: Sequence[object] = ()
    ) -> list[FoundObject | None]:
        return [self.answers[encoded.height // 16 - 1]] * len(groups)

    def candidates(self, encoded: EncodedImage, groups: Sequence[object]) -> list[list[FoundObject]]:
        return [[] if answer is None else [answer] for answer in self.find(encoded, groups)]

    def candidates_in(
        self, asked: Sequence[tuple[EncodedImage, Sequence[object]]]
    ) -> list[list[list[FoundObject]]]:
        return [self.candidates(*one) for one in asked]


def scripted_scene(*answers: FoundObject | None, verification: object = None) -> PhotoScene:
    """A photo of 8 × 8 pixels, seen twice, four times, … as large: one answer for each view."""
    parts = SelectionModels(ScriptedFinder(*answers), None, verification)  # type: ignore[arg-type]
    views = []
    for number in range(1, len(answers) + 1):
        side = 16 * number
        encoded = EncodedImage(
            [torch.zeros(1, side // 4, side // 4)], torch.zeros(8, side // 4, side // 4), [], side, side
        )
        views.append(PhotoView(parts, torch.zeros(3, side, side, dtype=torch.uint8), encoded, side / 8))
    return PhotoScene(parts, views, (8, 8))


def test_the_view_that_is_surest_of_an_object_answers() -> None:
    sure, unsure = found(np.ones((4, 4))), replace(found(np.ones((8, 8))), score=0.4)
    for answers in ((sure, unsure), (unsure, sure), (sure, None), (None, sure)):
        answer = scripted_scene(*answers).segment([Click(1, 1)])
        assert answer is not None
        assert answer.score == 0.5


def test_a_view_that_two_others_contradict_does_not_answer() -> None:
    # left half, left half and right half of the photo, seen 2, 4 and 6 times as large; all hold the click
    halves = [found(np.ones((4, 2))), found(np.ones((8, 4))), found(np.ones((12, 6)), left=5)]
    halves = [replace(half, clicks=half.clicks * 2) for half in halves]  # of two, none need lie in the middle
    surest = replace(halves[2], score=0.55)  # 0.55 ** 4 < 2 * 0.5 ** 4
    answer = scripted_scene(halves[0], halves[1], surest).segment([Click(3.6, 3)])
    assert answer is not None
    assert answer.score == 0.5
    assert answer.mask[:, :4].all()
    much_surer = replace(halves[2], score=0.7)  # 0.7 ** 4 > 2 * 0.5 ** 4
    answer = scripted_scene(halves[0], halves[1], much_surer).segment([Click(3.6, 3)])
    assert answer is not None
    assert answer.score == 0.7


@pytest.mark.parametrize(
    ("side", "number"),
    [(8, 3), (6, 4), (4, 4), (2, 4)],  # 8 px: 64 of the view that is 8 times as large; 6 px: 60 at 10 times
)
def test_siblings_are_sought_in_the_view_that_shows_the_object_at_64_pixels(side: int, number: int) -> None:
    cells = side // 2  # of the first view: the photo is shown twice as large, and a cell is 4 pixels
    scene = scripted_scene(*(found(np.ones((cells * n, cells * n))) for n in range(1, 6)))
    asked = []
    for place, view in enumerate(scene.views):
        view.select = lambda *args, place=place: asked.append(place) or [Accepted(args[0], 1.0)]  # type: ignore[method-assign]
    (only,) = scene.select_similar(Click(1, 1))
    assert asked == [number]
    assert only.mask.sum() == side**2


def test_a_further_click_asks_about_itself_and_all_together_only() -> None:
    answer = found(np.ones((4, 4)))
    scene, asked = scripted_scene(answer), []
    finder = scene._models.finder
    ask = finder.candidates
    finder.candidates = lambda encoded, groups: asked.append(groups) or ask(encoded, groups)  # type: ignore[method-assign]
    clicks = [Click(1, 1), Click(3, 3), Click(5, 1, positive=False)]
    for count in (1, 2, 3, 3):
        scene.segment(clicks[:count])
    one, two, three = (2.0, 2.0), (6.0, 6.0), (10.0, 2.0)  # the view is twice as large as the photo
    assert asked == [[[one]], [[two], [one, two]], [[three]], []]


def test_nothing_found() -> None:
    scene = scripted_scene(None, None)
    assert scene.segment([Click(4, 4)]) is None
    assert scene.segment_each([Click(4, 4), Click(1, 1)]) == [None, None]
    assert scene.select_similar(Click(4, 4)) == []


def test_a_mask_between_the_pixels_is_nothing() -> None:
    logits = np.full((4, 4), -1.0)
    logits[1, 1] = (
        0.1  # positive at the cell's place, (6.5, 6.5), but not at 7 and at 5, where pixels 3 and 2 lie
    )
    scene = scripted_scene(found(logits))
    assert scene.segment([Click(3, 3)]) is None
    assert scene.segment_each([Click(3, 3)]) == [None]
    assert scene.select_similar(Click(3, 3)) == []
    logits[1, 1] = 1.0
    answer = scripted_scene(found(logits)).segment([Click(3, 3)])
    assert answer is not None
    assert np.argwhere(answer.mask).tolist() == [[2, 3], [3, 2], [3, 3]]  # 0.625² < 1/2 < 0.625 · 0.875


def block(top: int, left: int, height: int, width: int) -> FoundObject:
    """Positive cells, in a window with a border of one negative cell."""
    logits = np.full((height + 2, width + 2), -1.0)
    logits[1:-1, 1:-1] = 1
    return found(logits, top - 1, left - 1)


def test_overlap_of_the_smaller() -> None:
    large = block(10, 10, 10, 10)
    assert overlap_of_smaller(large, block(12, 12, 4, 4)) == 1
    assert overlap_of_smaller(block(12, 12, 4, 4), large) == 1
    assert overlap_of_smaller(large, block(18, 10, 4, 10)) == 0.5  # 2 of its 4 rows
    assert overlap_of_smaller(large, block(20, 10, 5, 5)) == 0  # the windows touch, the masks do not
    assert overlap_of_smaller(large, block(100, 100, 5, 5)) == 0
    assert overlap_of_smaller(large, found(np.full((30, 30), -1.0))) == 0


class PlaceVerification:
    """Says that objects are alike when their boxes begin at similar columns."""

    def gather(self, image: Tensor, feature: Tensor, masks: Tensor, boxes: Tensor, _: object) -> Tensor:
        return boxes[:, :1]

    def __call__(self, columns: Tensor) -> Tensor:
        return columns

    def similarity(self, target: Tensor, sources: Tensor) -> Tensor:
        return (1 - (sources - target.T).abs() / 20).clamp(min=0).amax(1)


def test_what_is_more_like_a_negative_is_unlike() -> None:
    (view,) = scripted_scene(None, verification=PlaceVerification()).views

    def at(column: int) -> FoundObject:
        logits = np.full((4, 4), -1.0)
        logits[1, column] = 1
        return found(logits)

    items = [at(0), at(1), at(3)]  # boxes from x = 0, 4, 12
    assert view.similarity_to(at(0), [])(items) == pytest.approx([1, 0.8, 0.4])
    assert view.similarity_to(at(0), [at(2)])(items) == pytest.approx([1, 0, 0])  # 4 lies between 0 and 8
    assert view.similarity_to(at(0), [at(3), at(2)])(items) == pytest.approx([1, 0, 0])
    assert view.similarity_to(at(0), [at(3)])(items) == pytest.approx([1, 0.8, 0])
    assert scripted_scene(None).views[0].similarity_to(at(0), [])(items) == [1, 1, 1]  # no PVM: all pass


def test_the_clicked_object_is_embedded_once() -> None:
    class Counting(PlaceVerification):
        embedded: list[int] = []  # noqa: RUF012

        def __call__(self, columns: Tensor) -> Tensor:
            self.embedded.append(len(columns))
            return columns

    (view,) = scripted_scene(None, verification=Counting()).views
    items = [replace(found(np.ones((4, 4))), clicks=((x, 0.0),)) for x in (1.0, 2.0, 3.0)]
    judge = view.similarity_to(items[0], [])
    assert judge([]) == []
    assert [*judge(items[1:2]), *judge(items[2:])] == [1, 1]
    assert Counting.embedded == [2, 1]  # the clicked one with the first round's
