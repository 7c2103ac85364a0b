"""`declutter models`: what networks there are, and what they are made of."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from toolkit.errors import InputError

app = typer.Typer(no_args_is_help=True)

BUNDLED = Path(__file__).parent / "bundled"


def card_summary(card: Path) -> str:
    """The first sentence of a model card below its title; empty without a card."""
    if not card.is_file():
        return ""
    for line in card.read_text(encoding="utf-8").splitlines():
        text = line.strip()
        if text and not text.startswith(("#", "---", "license", "tags", "-")):
            return text
    return ""


@app.command("list")
def list_models() -> None:
    """List the bundled networks, their size and what their card says first."""
    folders = sorted(path.parent for path in BUNDLED.glob("*/config.json"))
    if not folders:
        typer.echo("no networks are bundled; train some with `declutter train`")
    for folder in folders:
        size = sum(path.stat().st_size for path in folder.glob("*.safetensors")) / 1e6
        typer.echo(f"{folder.name:12} {size:6.1f} MB  {card_summary(folder / 'README.md')}")


@app.command("show")
def show(
    name: Annotated[str, typer.Argument(help="A bundled network's name, or a folder that holds one.")],
) -> None:
    """Show a network's card and the parameters of each of its parts."""
    folder = Path(name) if Path(name).is_dir() else BUNDLED / name
    weights = folder / "model.safetensors"
    if not weights.is_file():
        known = ", ".join(sorted(path.parent.name for path in BUNDLED.glob("*/config.json")))
        raise InputError(f"model '{name}': no such folder or bundled network; bundled are: {known or 'none'}")
    from safetensors import safe_open

    counts: dict[str, int] = {}
    with safe_open(weights, framework="np") as file:
        for key in file.keys():  # noqa: SIM118  # the file is no mapping
            part = key.split(".")[0]
            size = 1
            for side in file.get_slice(key).get_shape():
                size *= side
            counts[part] = counts.get(part, 0) + size
    for part, count in counts.items():
        typer.echo(f"{part:20} {count / 1e6:8.3f} M")
    typer.echo(f"{'all':20} {sum(counts.values()) / 1e6:8.3f} M parameters, with buffers")
    card = folder / "README.md"
    if card.is_file():
        typer.echo("\n" + card.read_text(encoding="utf-8"))


@app.command("bundle")
def bundle(
    source: Annotated[Path, typer.Argument(help="Folder of a trained network, such as runs/NAME/final.")],
    name: Annotated[str, typer.Argument(help="one-click, cpn or pvm.")],
    out: Annotated[Path, typer.Option(help="Folder that holds the set.")] = BUNDLED,
) -> None:
    """Put a trained network into a set of weights, in half precision."""
    from models.bundling import bundle_network

    folder = bundle_network(source, name, out)
    size = sum(path.stat().st_size for path in folder.glob("*.safetensors")) / 1e6
    typer.echo(f"{folder}: {size:.1f} MB")
