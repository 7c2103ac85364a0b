"""SimpSON's ablation tables: the same protocol over variants of one system."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from toolkit.errors import InputError, UnsupportedSystem
from toolkit.evaluation.clicking import Aim
from toolkit.evaluation.detection import run_detection
from toolkit.evaluation.groups import run_groups
from toolkit.evaluation.plots import ablation_figures
from toolkit.evaluation.proposals import run_proposals
from toolkit.evaluation.tables import markdown_table, percent
from toolkit.evaluation.verification import run_verification
from toolkit.report import Report, write_result
from toolkit.split import Split
from toolkit.systems import System, VariableSystem

_AP = {"AP": "ap", "AP_S": "ap_small", "AP_M": "ap_medium", "AP_L": "ap_large"}
_AP_AND_AR = {
    **_AP,
    "AR": "ar", "AR_S": "ar_small", "AR_M": "ar_medium", "AR_L": "ar_large",
}  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """What all rows share, under the names that the protocols give it."""

    limit: int | None = None
    seed: int = 0
    jitter: float = 0.0
    max_detections: int | None = None


@dataclass(frozen=True)
class Table:
    """A published table.

    Attributes:
        switches: its left columns, as `VariableSystem.switches` calls them.
        figures: its right columns, and what results call them.
        measure: gives the figures of a row, in a folder of its own.
        rows: the selection's settings of each row; None where rows are networks that were trained apart.
        paired: whether each network fills two rows, its clicks withheld and given, by one run.
    """

    switches: tuple[str, ...]
    figures: Mapping[str, str]
    measure: Callable[[Split, System, Path, Settings], dict[str, Any]]
    rows: tuple[dict[str, bool], ...] | None = None
    paired: bool = False


def _groups(split: Split, system: System, out: Path, settings: Settings) -> dict[str, Any]:
    return run_groups(split, system, out / "groups", **asdict(settings))


def _detection(split: Split, system: System, out: Path, settings: Settings) -> dict[str, Any]:
    return run_detection(split, system, out / "detection", **asdict(settings))


def _proposals(split: Split, system: System, out: Path, settings: Settings) -> dict[str, Any]:
    aim, folder = Aim(settings.jitter), out / "proposals"
    return run_proposals(split, system, folder, aim=aim, limit=settings.limit, seed=settings.seed)


def _groups_and_pairs(split: Split, system: System, out: Path, settings: Settings) -> dict[str, Any]:
    aim, folder = Aim(settings.jitter), out / "verification"
    pairs = run_verification(split, system, folder, aim=aim, limit=settings.limit, seed=settings.seed)
    areas = {key: pairs[key] for key in ("auc_roc", "auc_pr")}
    return {**_groups(split, system, out, settings), **areas}


_CLICKS = Table(("Backbone", "Click embedding"), _AP, _detection, paired=True)

# SimpSON, section 5.2 (table 1 on LVIS, table 2 on distractors), section 5.3 (table 3) and section 5.4
# (tables 4 and 5, to which the areas of its pairs are added).
TABLES = {
    "table1": _CLICKS,
    "table2": _CLICKS,
    "table3": Table(
        ("IDS", "PVM"),
        _AP_AND_AR,
        _groups,
        tuple({"iterate": ids, "verify": pvm} for ids in (False, True) for pvm in (False, True)),
    ),
    "table4": Table(("L1 → L2 → L3", "Mask (CPN)", "Query size"), {"AUC-PR": "auc_pr"}, _proposals),
    "table5": Table(
        ("Scale", "Square", "Mask (PVM)"),
        {**_AP_AND_AR, "AUC-ROC": "auc_roc", "AUC-PR": "auc_pr"},
        _groups_and_pairs,
    ),
}


def run_ablation(
    name: str,
    split: Split,
    system: System,
    out: Path,
    variants: Sequence[str] = (),
    settings: Settings | None = None,
) -> dict[str, Any]:
    """Measure all rows of a published table; write the table into `out`.

    Args:
        name: table1 or table2 (clicks withheld and given; the one is about LVIS, the other about
            distractors: `split` decides), table3 (IDS and PVM off and on), table4 (variants of CPN) or table5
            (variants of PVM).
        split: photos and annotations with `group_id`.
        system: the first row of tables 4 and 5, the first two of tables 1 and 2; what is switched in table 3.
        out: folder of result.json, table.md, the plot, and of a folder per row; runs again where it stopped.
        variants: folders of networks that each replace the system's own for one more row of tables 4 and 5,
            or two more of tables 1 and 2.
        settings: what all rows share.

    Returns:
        What result.json holds: table, system, rows (how many), and row1_IDS, row1_ap … for each row: its
        switches and its figures.

    Raises:
        InputError: there is no such table, it takes no variants, or a row can't be measured.
    """
    table = TABLES.get(name)
    if table is None:
        raise InputError(f"table '{name}': expected one of {', '.join(TABLES)}")
    if not isinstance(system, VariableSystem):
        raise UnsupportedSystem(f"{system.name}: nothing of this system can be switched; use simpson")
    if table.rows is not None and variants:
        raise InputError(f"--variant: the rows of {name} need no networks of their own")
    rows: list[tuple[str, System]]
    if table.rows is not None:
        rows = [(_folder(row), system.with_selection(**row)) for row in table.rows]
    else:
        own = [(f"variant-{i}", system.with_network(folder)) for i, folder in enumerate(variants, start=1)]
        rows = [("system", system), *own]
    lines: list[tuple[dict[str, bool | str], dict[str, Any]]] = []
    for folder, variant in rows:
        switches = _switches(variant, table)
        if table.paired and not switches["Click embedding"]:
            raise InputError(
                f"{folder}: was trained without click embedding, so {name} has nothing to withhold from it; "
                "measure it with eval detection --baseline"
            )
        figures = table.measure(split, variant, out / folder, settings or Settings())
        if table.paired:
            withheld = {key: figures[f"baseline_{key}"] for key in table.figures.values()}
            lines.append(({**switches, "Click embedding": False}, withheld))
        lines.append((switches, figures))
    result: dict[str, Any] = {"table": name, "system": system.name, "rows": len(lines)}
    cells, measured = [], []
    for number, (switches, figures) in enumerate(lines, start=1):
        result |= {f"row{number}_{key}": value for key, value in switches.items()}
        result |= {f"row{number}_{key}": figures[key] for key in table.figures.values()}
        cells.append([*map(_cell, switches.values()), *(percent(figures[k]) for k in table.figures.values())])
        measured.append({title: figures[key] for title, key in table.figures.items()})
    text = markdown_table([*table.switches, *table.figures], cells) + "\n\n" + _footer(result, rows, variants)
    if table.paired:
        text += "Without click embedding: clicks withheld from the same network, not one trained without.\n"
    report = Report(command=f"eval ablation {name}", split=str(split.root), system=system.name)
    report.facts["rows"] = [str(out / folder) for folder, _ in rows]
    report.write(out / "report.json")
    labels = [" · ".join(map(_label, switches.items())) for switches, _ in lines]
    write_result(out, result, text, ablation_figures(labels, measured, name))
    return result


def _folder(row: Mapping[str, bool]) -> str:
    return f"{'ids' if row['iterate'] else 'no-ids'}-{'pvm' if row['verify'] else 'no-pvm'}"


def _switches(system: System, table: Table) -> dict[str, bool | str]:
    switches = system.switches if isinstance(system, VariableSystem) else {}
    missing = [name for name in table.switches if name not in switches]
    if missing:
        raise UnsupportedSystem(f"{system.name}: these weights lack the network that '{missing[0]}' is about")
    return {name: switches[name] for name in table.switches}


def _cell(value: bool | str) -> str:
    if isinstance(value, bool):
        return "✓" if value else ""
    return value


def _label(switch: tuple[str, bool | str]) -> str:
    name, value = switch
    if isinstance(value, bool):
        return name if value else f"no {name}"
    return value


def _footer(result: Mapping[str, Any], rows: Sequence[tuple[str, System]], variants: Sequence[str]) -> str:
    text = f"{result['system']}; a folder per row has the protocol's own tables: "
    text += ", ".join(f"`{folder}`" for folder, _ in rows) + "."
    if variants:
        text += " Variants: " + ", ".join(f"{i} is {path}" for i, path in enumerate(variants, start=1)) + "."
    return text + "\n"
