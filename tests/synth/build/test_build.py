"""Whole builds: the same bytes however they are made, resumed at any point, open about what is left out."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from synth.build.job import Job
from synth.build.journal import FOLDER
from synth.build.local import run_local
from synth.build.run import build
from synth.build.workshop import Workshop, make_image, open_workshop
from synth.settings import SynthSettings, override
from tests.helpers.scenes import write_donors, write_photos
from toolkit.blending import BLENDS
from toolkit.errors import InputError
from toolkit.split import read_split

COUNT = 6


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    root = tmp_path_factory.mktemp("sources")
    return write_photos(root / "photos"), write_donors(root / "donors")


def job_for(sources, out, *assignments, count=COUNT, seed=0, cutouts=True):
    return Job(
        photos=str(sources[0]),
        donors=None if sources[1] is None else str(sources[1]),
        settings=override(SynthSettings(), list(assignments)),
        count=count,
        seed=seed,
        cutouts=str(out / FOLDER / "cutouts") if cutouts else None,
    )


def run(sources, out, *assignments, workers=1, **fields):
    return build(out, job_for(sources, out, *assignments, **fields), partial(run_local, workers=workers))


def digest(root: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def reference(sources, tmp_path_factory):
    out = tmp_path_factory.mktemp("reference") / "split"
    run(sources, out)
    return out, digest(out)


def test_a_split_loads_everywhere(reference):
    from lvis import LVIS
    from pycocotools.coco import COCO

    out, _ = reference
    split = read_split(out)
    assert len(split) == COUNT
    for loaded in (COCO(str(out / "annotations.json")), LVIS(str(out / "annotations.json"))):
        assert len(loaded.anns) == len(split.annotations)
        for annotation in split.annotations:
            record = split.image(annotation.image_id)
            theirs = loaded.annToMask(loaded.anns[annotation.id]) if isinstance(loaded, COCO) else None
            ours = annotation.mask(record.height, record.width)
            assert ours.sum() == annotation.area > 0
            if theirs is not None:
                assert np.array_equal(theirs > 0, ours)
                rows, columns = np.nonzero(ours)
                x, y, width, height = annotation.bbox
                assert (x, y) == (columns.min(), rows.min())
                assert (x + width, y + height) == (columns.max() + 1, rows.max() + 1)


def test_no_two_instances_share_a_pixel(reference):
    split = read_split(reference[0])
    for record in split:
        masks = [
            annotation.mask(record.height, record.width) for annotation in split.annotations_of(record.id)
        ]
        assert np.sum(masks, axis=0).max() == 1


def test_groups_and_provenance(reference):
    split = read_split(reference[0])
    donors = {"donors": 0, "photos": 0}
    for record in split:
        annotations = split.annotations_of(record.id)
        groups = {}
        for annotation in annotations:
            groups.setdefault(annotation.group_id, []).append(annotation)
        assert None not in groups
        assert len(groups) >= 3
        for members in groups.values():
            assert len({member.category_id for member in members}) == 1
            # the copies of a group come from one object
            pasted = [member.origin for member in members if member.origin["kind"] == "pasted"]
            assert len({(origin["image"], origin["annotation"]) for origin in pasted}) <= 1
        for annotation in annotations:
            if annotation.origin["kind"] == "pasted":
                origin = annotation.origin
                donors[origin["split"]] += 1
                assert origin["region"] in ("ground", "wall", "sky")
                assert origin["blend"] == record.extra["blend"]
                assert {"x", "y", "scale", "angle", "flip", "gain", "image", "annotation"} <= set(origin)
            else:
                assert split.category_names[annotation.category_id] == "spot"
        assert record.license == "CC0"
        assert record.extra["donor_licenses"]
    assert donors["donors"] > donors["photos"] > 0


def test_card_and_report_say_what_was_made(reference):
    split = read_split(reference[0])
    report = json.loads((reference[0] / "report.json").read_text())
    pasted = sum(annotation.origin["kind"] == "pasted" for annotation in split.annotations)
    for said in (split.card, report):
        assert said["instances"] == {
            "all": len(split.annotations),
            "real": len(split.annotations) - pasted,
            "pasted": pasted,
        }
        assert sum(said["pasted_by_region"].values()) == pasted
        assert sum(said["blends"].values()) == COUNT
        assert said["donor_licences"]["MIT"] == COUNT
    assert split.card["licences"] == {"CC0": COUNT}
    assert split.card["settings"]["placement"]["max_copies"] == 10
    assert report["made"] == COUNT
    assert not (reference[0] / FOLDER).exists()


def test_the_same_bytes_for_any_number_of_workers(sources, reference, tmp_path):
    run(sources, tmp_path / "split", workers=2)
    assert digest(tmp_path / "split") == reference[1]


def test_the_same_bytes_without_the_cache_and_from_elsewhere(sources, reference, tmp_path):
    photos, donors = tmp_path / "photos", tmp_path / "donors"
    photos.symlink_to(sources[0])
    donors.symlink_to(sources[1])
    run((photos, donors), tmp_path / "split", cutouts=False)
    assert digest(tmp_path / "split") == reference[1]


def test_another_seed_makes_another_split(sources, reference, tmp_path):
    run(sources, tmp_path / "split", seed=1)
    assert digest(tmp_path / "split")["images/000000.jpg"] != reference[1]["images/000000.jpg"]


@pytest.mark.parametrize("stop_after", [1, 4])
def test_an_interrupted_build_goes_on_and_redoes_nothing(sources, reference, tmp_path, stop_after):
    out = tmp_path / "split"
    job = job_for(sources, out)
    made = []

    def stop(one):
        made.append(one.index)
        if len(made) == stop_after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(out, job, partial(run_local, workers=1), on_image=stop)
    assert not (out / "annotations.json").exists()
    # a run killed in the middle of a write leaves these
    with (out / FOLDER / "images.jsonl").open("ab") as file:
        file.write(b'{"index": 5, "jp')
    (out / "images" / ".000005.abcdef.tmp.jpg").write_bytes(b"half")
    again = []
    build(out, job, partial(run_local, workers=1), on_image=lambda one: again.append(one.index))
    assert sorted(made + again) == list(range(COUNT))
    assert digest(out) == reference[1]


@pytest.mark.slow
@pytest.mark.parametrize(("workers", "kills"), [(1, (0, 1, 3, 5)), (2, (1, 4))])
def test_killed_at_any_moment_the_build_ends_with_the_same_bytes(
    sources, reference, tmp_path, workers, kills
):
    """kill -9 to the whole process group, each time once so many images are there."""
    out = tmp_path / "split"
    program = (
        "from pathlib import Path; from functools import partial; from synth.build.job import Job\n"
        "from synth.build.local import run_local; from synth.build.run import build\n"
        "from synth.settings import SynthSettings\n"
        f"job = Job({str(sources[0])!r}, {str(sources[1])!r}, SynthSettings(), {COUNT}, 0,"
        f" cutouts={str(out / FOLDER / 'cutouts')!r})\n"
        f"build(Path({str(out)!r}), job, partial(run_local, workers={workers}))\n"
    )
    for present in kills:
        process = subprocess.Popen([sys.executable, "-c", program], start_new_session=True, cwd=Path.cwd())
        while process.poll() is None:
            files = len(list((out / "images").glob("*.jpg"))) if (out / "images").exists() else 0
            if files >= present and (out / FOLDER / "job.json").exists():
                os.killpg(process.pid, signal.SIGKILL)
                break
            time.sleep(0.002)
        process.wait()
    made = len(list((out / "images").glob("[0-9]*.jpg")))
    assert made >= kills[-1]
    run(sources, out)
    assert digest(out) == reference[1]


@pytest.mark.slow
def test_workers_do_not_outlive_a_killed_build(sources, tmp_path):
    import psutil

    out = tmp_path / "split"
    program = (
        "from pathlib import Path; from functools import partial; from synth.build.job import Job\n"
        "from synth.build.local import run_local; from synth.build.run import build\n"
        "from synth.settings import SynthSettings\n"
        f"job = Job({str(sources[0])!r}, {str(sources[1])!r}, SynthSettings(), 400, 0)\n"
        f"build(Path({str(out)!r}), job, partial(run_local, workers=2))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program], start_new_session=True, cwd=Path.cwd())
    while process.poll() is None and not list((out / "images").glob("0*.jpg")):
        time.sleep(0.01)
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) >= 2
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(children, timeout=30)
    assert alive == []


def test_a_worker_that_dies_is_replaced(sources, reference, tmp_path, monkeypatch):
    """The pool breaks once; what was under way is made again."""
    from concurrent.futures.process import BrokenProcessPool

    from toolkit.processes import Processes

    real, broken = Processes._run_pool, []

    def breaking(self, items, workers):
        for number, made in enumerate(real(self, items, workers)):
            if number == 2 and not broken:
                broken.append(True)
                raise BrokenProcessPool("a worker was killed")
            yield made

    monkeypatch.setattr(Processes, "_run_pool", breaking)
    run(sources, tmp_path / "split", workers=2)
    assert broken
    assert digest(tmp_path / "split") == reference[1]


def test_a_finished_build_is_not_made_again_and_never_overwritten(sources, reference, tmp_path):
    out = tmp_path / "split"
    run(sources, out)
    seen = []
    build(out, job_for(sources, out), partial(run_local, workers=1), on_image=seen.append)
    assert seen == []
    with pytest.raises(InputError, match=r"count 6, not 7"):
        run(sources, out, count=7)
    with pytest.raises(InputError, match=r"placement\.jitter"):
        run(sources, out, "placement.jitter=0.9")
    assert digest(out) == reference[1]
    with pytest.raises(InputError, match="did not make"):
        run(sources, sources[0])


def test_an_unfinished_build_with_other_settings_is_refused(sources, tmp_path):
    out = tmp_path / "split"

    def stop(made):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(out, job_for(sources, out), partial(run_local, workers=1), on_image=stop)
    with pytest.raises(InputError, match=r"unfinished .*seed 0, not 3"):
        run(sources, out, seed=3)


@pytest.mark.skipif(sys.platform == "win32", reason="locks with fcntl")
def test_two_processes_do_not_build_in_one_folder(sources, tmp_path):
    out = tmp_path / "split"

    def second(made):
        with pytest.raises(InputError, match="another process"):
            run(sources, out)

    build(out, job_for(sources, out), partial(run_local, workers=1), on_image=second)


def test_every_blend_of_a_scene(sources, tmp_path):
    split = run(sources, tmp_path / "split", "compositing.every_blend=true", count=8)
    records = list(split)
    for first in (0, 4):
        scene = records[first : first + 4]
        assert [record.extra["blend"] for record in scene] == list(SynthSettings().compositing.blends)
        assert len({record.extra["photo"] for record in scene}) == 1
        masks = [[a.segmentation["counts"] for a in split.annotations_of(record.id)] for record in scene]
        assert masks[0] == masks[1] == masks[2] == masks[3]
    assert set(SynthSettings().compositing.blends) == set(BLENDS)


def test_photos_are_shrunk_on_request(sources, tmp_path):
    split = run(sources, tmp_path / "split", "longest_side=96", count=2)
    assert [(record.height, record.width) for record in split] == [(72, 96)] * 2
    for record in split:
        assert split.open_image(record).shape == (72, 96, 3)


def test_without_donors_the_photo_s_own_objects_are_copied(sources, tmp_path):
    split = run((sources[0], None), tmp_path / "split", count=2)
    pasted = [a for a in split.annotations if a.origin["kind"] == "pasted"]
    assert {a.origin["split"] for a in pasted} == {"photos"}
    assert {a.group_id for a in split.annotations} == {1}


def test_bad_input_is_skipped_counted_and_named(tmp_path):
    photos = write_photos(tmp_path / "photos", count=4)
    donors = write_donors(tmp_path / "donors", count=4)
    (photos / "images" / "photo0.png").unlink()
    (photos / "images" / "photo1.png").write_bytes(b"no image at all")
    (photos / "images" / "photo2.regions.png").unlink()
    text = json.loads((photos / "annotations.json").read_text())
    of_last = [a for a in text["annotations"] if a["image_id"] == 4]
    of_last[0]["segmentation"] = {"size": [120, 160], "counts": "oops"}
    of_last[1]["segmentation"] = [[500, 500, 520, 500, 520, 520]]
    (photos / "annotations.json").write_text(json.dumps(text))
    (donors / "images" / "donor0.png").write_bytes(b"")
    out = tmp_path / "split"
    split = run((photos, donors), out, count=5)
    report = json.loads((out / "report.json").read_text())
    reasons = {entry["item"]: entry["reason"] for entry in report["skipped"]}
    assert "cannot open" in reasons["photo0.png"]
    assert "not an image" in reasons["photo1.png"]
    assert "no map of regions" in reasons["photo2.png"]
    assert "RLE" in reasons["photo3.png annotation 7"]
    assert "outside" in reasons["photo3.png annotation 8"]
    assert any(item.startswith("donor0.png") for item in reasons)
    assert report["skipped_count"] == len(report["skipped"])
    assert {record.extra["photo"] for record in split} == {"photo3.png"}
    assert len(split) == 5


def test_a_build_in_which_nothing_can_be_placed_fails_with_the_reason(tmp_path):
    photos = write_photos(tmp_path / "photos", count=2, own=0)
    with pytest.raises(InputError, match="no donor of a fitting size"):
        run((photos, None), tmp_path / "split", count=5)  # more images than photos
    report = json.loads((tmp_path / "split" / "report.json").read_text())
    assert report["made"] == 0
    assert len(report["skipped"]) == 2 + 5
    assert not (tmp_path / "split" / "annotations.json").exists()


def test_an_image_does_not_depend_on_the_others(sources, tmp_path):
    job = job_for(sources, tmp_path, count=40)
    alone = make_image(job, 17)
    fresh = Workshop(job)
    for index in (3, 25):
        fresh.make(index)
    assert fresh.make(17) == alone
    assert open_workshop(job) is open_workshop(job)
