"""Results as Markdown tables, laid out as papers print them: percentages with one decimal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table: the first column to the left, the others to the right."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join(
        "| " + " | ".join(_escaped(cell) for cell in row) + " |" for row in [header, rule, *rows]
    )


def percent(value: float | None) -> str:
    """Return a fraction of 1 as a percentage; a dash for None."""
    return "–" if value is None else f"{100 * value:.1f}"


def one_click_tables(result: Mapping[str, Any]) -> str:
    """Return the tables of `eval one-click`: the main row, and mIoU per source of the photos."""
    columns = {
        "mIoU": "miou", "mIoU_S": "miou_small", "mIoU_M": "miou_medium", "mIoU_L": "miou_large",
        "IoU ≥ 50": "success_50", "IoU ≥ 85": "success_85",
        "AP": "ap", "AP_S": "ap_small", "AP_M": "ap_medium", "AP_L": "ap_large", "AR": "ar",
    }  # fmt: skip
    text = _main_row(result, columns, "objects")
    text += f"\n\n95 % intervals (bootstrap over photos): AP {percent_interval(result, 'ap')}, "
    text += f"AR {percent_interval(result, 'ar')}. "
    text += f"AP and AR{_rules(result)}: at most {result['max_detections']} masks per photo."
    header = ["objects", "n", "mIoU", "95 % interval"]
    parts = [("all", "n", "miou")]
    parts += [(size, f"n_{size}", f"miou_{size}") for size in ("small", "medium", "large")]
    parts += [(name, f"n_source_{name}", f"miou_source_{name}") for name in sources_of(result)]
    rows = [
        [name, str(result[count]), percent(result[key]), percent_interval(result, key)]
        for name, count, key in parts
    ]
    return f"{text}\n\n{markdown_table(header, rows)}\n"


def group_tables(result: Mapping[str, Any]) -> str:
    """Return the tables of `eval groups`: all groups, those of two and more, and those of each source."""
    columns = {
        "AP": "ap", "AP_S": "ap_small", "AP_M": "ap_medium", "AP_L": "ap_large",
        "AR": "ar", "AR_S": "ar_small", "AR_M": "ar_medium", "AR_L": "ar_large",
        "precision": "precision", "recall": "recall", "exact": "exact",
    }  # fmt: skip
    text = _main_row(result, columns, "groups")
    text += f"\n\n95 % intervals (bootstrap over photos): AP {percent_interval(result, 'ap')}, AR "
    text += f"{percent_interval(result, 'ar')}, precision {percent_interval(result, 'precision')}, "
    text += f"recall {percent_interval(result, 'recall')}; the last two at IoU 50."
    text += f" AP and AR{_rules(result)}: at most {result['max_detections']} masks per click."
    names = ("ap", "ar", "precision", "recall")
    row = [str(result["n_multi"]), *(percent(result[f"{name}_multi"]) for name in names)]
    multi = markdown_table(["groups of two and more", "AP", "AR", "precision", "recall"], [row])
    header = ["photos of", "groups", "precision", "95 % interval", "recall", "95 % interval"]
    rows = []
    for source in sources_of(result):
        keys = [f"{name}_source_{source}" for name in ("precision", "recall")]
        cells = [cell for key in keys for cell in (percent(result[key]), percent_interval(result, key))]
        rows.append([source, str(result[f"n_source_{source}"]), *cells])
    return f"{text}\n\n{multi}\n\n{markdown_table(header, rows)}\n"


def detection_tables(result: Mapping[str, Any]) -> str:
    """Return the table of `eval detection` (SimpSON, tables 1 and 2)."""
    columns = {"AP": "ap", "AP_S": "ap_small", "AP_M": "ap_medium", "AP_L": "ap_large", "AR": "ar"}
    rows = [
        [result["backbone_baseline"], "", *(percent(result[f"baseline_{key}"]) for key in columns.values())],
        [result["backbone"], "✓", *(percent(result[key]) for key in columns.values())],
    ]
    text = markdown_table(["backbone", "click embedding", *columns], rows)
    text += f"\n\n{result['n']} objects, one click each, the same in both rows. COCO's sizes: small < 32², "
    text += (
        f"medium < 96² px; AP and AR{_rules(result)}: at most {result['max_detections']} masks per photo. "
    )
    return f"{text}Without click embedding: {result['baseline']}.\n"


def proposal_tables(result: Mapping[str, Any]) -> str:
    """Return the table of `eval proposals` (SimpSON, table 4)."""
    columns = {"AUC-PR": "auc_pr", "precision": "precision", "recall": "recall", "F1": "f1"}
    text = _main_row(result, columns, "groups")
    text += f"\n\nPrecision, recall and F1 at confidence {result['confidence']:g}; 95 % intervals (bootstrap "
    text += f"over photos): precision {percent_interval(result, 'precision')}, "
    text += f"recall {percent_interval(result, 'recall')}."
    return f"{text} At most {result['most_clicks']} clicks per exemplar.\n"


def verification_tables(result: Mapping[str, Any]) -> str:
    """Return the table of `eval verification`."""
    columns = {
        "AUC-ROC": "auc_roc", "AUC-PR": "auc_pr", "accuracy": "accuracy", "precision": "precision",
        "recall": "recall", "false positives": "false_positive_rate",
    }  # fmt: skip
    text = _main_row(result, columns, "pairs")
    text += f"\n\n{result['positives']} pairs are siblings. At similarity {result['similarity']:g}; siblings "
    text += "and others weigh the same in the accuracy. "
    return f"{text}Objects that were not found, and so not compared: {result['missed']}.\n"


def click_tables(result: Mapping[str, Any]) -> str:
    """Return the tables of `eval clicks`: clicks to reach an IoU, and mean IoU per number of clicks."""
    nocs, nofs = ["noc_80", "noc_85", "noc_90"], ["nof_80", "nof_85", "nof_90"]
    header = ["system", "objects", "NoC@80", "NoC@85", "NoC@90", "NoF@80", "NoF@85", "NoF@90"]
    row = [str(result["system"]), str(result["n"]), *(_with_spread(result, key, 1, 2) for key in nocs)]
    row += [_with_spread(result, key, 1, 0 if result[f"{key}_sd"] is None else 1) for key in nofs]
    text = markdown_table(header, [row])
    rule = "positive clicks only" if result["positive_only"] else "positive and negative clicks"
    aim = "human-like" if result["human"] else f"jitter {result['jitter']:g}"
    if not result["human"] and not result["jitter"]:
        aim = "centres"
    text += f"\n\nAt most {result['most_clicks']} {rule} ({aim}; repeats: {result['repeats']}). "
    low, high = result["noc_90_ci_low"], result["noc_90_ci_high"]
    interval = "not known (one photo)" if low is None else f"{low:.2f} to {high:.2f}"
    text += f"95 % interval of NoC@90 (bootstrap over photos): {interval}."
    if result["ritm_nof"]:
        text += " NoF as RITM counts it: success with the last click is a failure."
    clicks = [click for click in (1, 2, 3, 5, 10, 15, 20) if click <= result["most_clicks"]]
    means = [_with_spread(result, f"miou_{click}", 100, 1) for click in clicks]
    table = markdown_table(["mean IoU after clicks", *map(str, clicks)], [[str(result["system"]), *means]])
    return f"{text}\n\n{table}\n"


def _with_spread(result: Mapping[str, Any], key: str, factor: float, digits: int) -> str:
    spread = result[f"{key}_sd"]
    text = f"{factor * result[key]:.{digits}f}"
    return text if spread is None else f"{text} ± {factor * spread:.{digits}f}"


def _main_row(result: Mapping[str, Any], columns: Mapping[str, str], what: str) -> str:
    row = [str(result["system"]), str(result["n"]), *(percent(result[key]) for key in columns.values())]
    return markdown_table(["system", what, *columns], [row])


def sources_of(result: Mapping[str, Any]) -> list[str]:
    """Return the sources of photos that a result has figures of."""
    return [key.removeprefix("n_source_") for key in result if key.startswith("n_source_")]


def _rules(result: Mapping[str, Any]) -> str:
    return " as LVISEval computes them" if result.get("ap_rules") == "lvis" else ""


def percent_interval(result: Mapping[str, Any], name: str) -> str:
    """Return the interval of a figure in percent; a dash where it has none."""
    low, high = result[f"{name}_ci_low"], result[f"{name}_ci_high"]
    return "–" if low is None else f"{percent(low)} to {percent(high)}"


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|")
