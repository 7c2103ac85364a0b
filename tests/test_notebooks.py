"""Every notebook runs from its first cell to its last, in a kernel of its own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
# What each must have said on its way, and how many pictures it must have drawn.
EXPECTED = {
    "one_click_tour": (
        ["siblings are sought in", "round 1", "select_similar gives what our own loop gave"],
        6,
    ),
    "retrain": (["12 photos, 60 cones to learn from; 4 photos held back", "step 16: "], 2),
    "synthesis_tour": (["coins are whole enough", "same six places"], 6),
}


def test_every_notebook_is_run_and_committed_without_outputs() -> None:
    nbformat = pytest.importorskip("nbformat", reason="pip install declutter[notebooks]")
    notebooks = {path.stem: nbformat.read(path, as_version=4) for path in FOLDER.glob("*.ipynb")}
    assert set(notebooks) == set(EXPECTED)
    assert not [name for name, notebook in notebooks.items() if any(c.get("outputs") for c in notebook.cells)]


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPECTED)
def test_notebook(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbclient = pytest.importorskip("nbclient", reason="pip install declutter[notebooks]")
    nbformat = pytest.importorskip("nbformat", reason="pip install declutter[notebooks]")
    pytest.importorskip("ipykernel", reason="pip install declutter[notebooks]")
    pytest.importorskip("skimage", reason="pip install declutter[demo]")
    # the kernel is a process of its own: it finds the packages by this
    monkeypatch.setenv("PYTHONPATH", str(FOLDER.parent))
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    client = nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    printed = "".join(output.get("text", "") for output in outputs)
    said, pictures = EXPECTED[name]
    assert [words for words in said if words not in printed] == []
    assert printed.endswith("done\n")
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= pictures
    if name == "retrain":  # before training, the bundled weights reach 0.88
        before, after = (float(miou) for miou in re.findall(r"(?:before|after): mIoU ([\d.]+)", printed))
        assert after > 0.9
        assert after != before
