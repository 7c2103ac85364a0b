"""The synthesis tour runs from its first cell to its last."""

from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "synthesis_tour.ipynb"


@pytest.mark.slow
def test_the_tour_runs(tmp_path, monkeypatch):
    nbclient = pytest.importorskip("nbclient", reason="pip install declutter[notebooks]")
    nbformat = pytest.importorskip("nbformat", reason="pip install declutter[notebooks]")
    pytest.importorskip("ipykernel", reason="pip install declutter[notebooks]")
    pytest.importorskip("skimage", reason="pip install declutter[demo]")
    # the kernel is a process of its own: it finds the packages by this
    monkeypatch.setenv("PYTHONPATH", str(NOTEBOOK.parents[1]))
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    client = nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()
    printed = "".join(output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", ()))
    assert "coins are whole enough" in printed
    assert "same six places" in printed
    assert printed.endswith("done\n")
    pictures = [
        output
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if "image/png" in output.get("data", {})
    ]
    assert len(pictures) >= 6
