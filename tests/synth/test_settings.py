"""Settings: defaults, presets, files, overrides, and what is refused."""

import pytest

from synth.presets import PRESETS, find_preset
from synth.settings import (
    SynthSettings,
    override,
    settings_from_file,
    settings_from_mapping,
    settings_to_mapping,
)
from toolkit.errors import InputError


def test_settings_survive_plain_values():
    settings = override(SynthSettings(), ["placement.coverage=0.2", "compositing.blends=[hard, poisson]"])
    assert settings.placement.coverage == 0.2
    assert settings.compositing.blends == ("hard", "poisson")
    assert settings_from_mapping(settings_to_mapping(settings)) == settings


@pytest.mark.parametrize(
    ("assignment", "named"),
    [
        ("placement.coverage=2", "placement.coverage"),
        ("placement.coverage=much", "placement.coverage"),
        ("placement.nonsense=1", "placement.nonsense"),
        ("nonsense=1", "nonsense"),
        ("placement.coverage", "placement.coverage"),
        ("placement.coverage=[", "placement.coverage"),
        ("compositing.blends=[glue]", "compositing.blends"),
        ("compositing.blends=[]", "compositing.blends"),
        ("objects.area_ratio=[0.2, 0.1]", "objects.area_ratio"),
        ("compositing.quality=0", "compositing.quality"),
        ("longest_side=0", "longest_side"),
    ],
)
def test_bad_values_are_named(assignment, named):
    with pytest.raises(InputError, match=named.replace(".", r"\.")):
        override(SynthSettings(), [assignment])


def test_a_file_changes_only_what_it_names(tmp_path):
    path = tmp_path / "settings.yaml"
    path.write_text("placement: {jitter: 0.9}\nlongest_side: 300\n", encoding="utf-8")
    base = PRESETS["paper-train"].settings
    settings = settings_from_file(path, base)
    assert settings.placement.jitter == 0.9
    assert settings.longest_side == 300
    assert settings.placement.max_overlap == base.placement.max_overlap
    path.write_text("placement: {jitte: 0.9}\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"placement\.jitte"):
        settings_from_file(path, base)
    with pytest.raises(InputError, match=r"missing\.yaml"):
        settings_from_file(tmp_path / "missing.yaml", base)


def test_presets_state_the_figures_of_the_paper():
    train, val = find_preset("paper-train"), find_preset("paper-val")
    assert (train.count, train.published["instances"]) == (14_264, 287_150)
    assert (val.count, val.published["instances"], val.settings.photo_limit) == (1_188, 10_980, 531)
    for preset in (train, val):
        assert preset.settings.placement.max_copies == 10
        assert preset.settings.objects.per_region == 3
        assert preset.settings.placement.jitter == 0
    with pytest.raises(InputError, match="paper-test"):
        find_preset("paper-test")
