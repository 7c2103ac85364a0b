"""Every command line that documents, recipes, notebooks, messages and comments show is one that exists."""

from __future__ import annotations

import json
import re
from pathlib import Path

from toolkit import cli

ROOT = Path(__file__).parents[2]
PACKAGES = ("annotation", "models", "notebooks", "synth", "toolkit")
KINDS = (".ipynb", ".md", ".py", ".yaml")
DOCUMENTS = [ROOT / "README.md"]
DOCUMENTS += [path for name in PACKAGES for path in (ROOT / name).rglob("*") if path.suffix in KINDS]
# In code: `declutter …`, or a line of a block that begins with it, with what continues it.
SPAN = re.compile(r"`declutter ([^`]+)`")
LINE = re.compile(r"^(?: {4,}|\$ )?declutter ((?:[^\n]*\\\n)*[^\n]*)", re.MULTILINE)
SHORTENED = "…"


def text_of(path: Path) -> str:
    """What a document says; of a notebook, what its cells hold."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".ipynb":
        return text
    return "\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"])


def command_lines(text: str) -> list[list[str]]:
    """The words of each command line, alternatives such as ``a|b`` spelled out."""
    lines = [match.group(1) for match in (*SPAN.finditer(text), *LINE.finditer(text))]
    result = []
    for line in lines:
        words = line.split("#")[0].replace("\\|", "|").replace("\\\n", " ").split()
        choices = words[1].split("|") if len(words) > 1 else [None]
        result += [[words[0], *([] if one is None else [one]), *words[2:]] for one in choices]
    return result


def fault(words: list[str]) -> str | None:
    """What is wrong with a command line; None when the program takes its command and options."""
    if words[0] == SHORTENED or words[0].startswith("-"):
        return None
    if words[0] not in cli.COMMANDS:
        return f"no command {words[0]}"
    command, rest = cli.load_command(words[0], cli.COMMANDS[words[0]]), words[1:]
    while hasattr(command, "commands") and rest:
        if rest[0].isupper() or rest[0] == SHORTENED:  # PROTOCOL stands for all of them
            return None
        if rest[0] not in command.commands:
            return f"no command {' '.join(words[:2])}"
        command, rest = command.commands[rest[0]], rest[1:]
    known = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
    unknown = {word.split("=")[0] for word in rest if word.startswith("--")} - known - {"--help"}
    return f"no option {' '.join(sorted(unknown))}" if unknown else None


def test_the_commands_of_all_documents_exist() -> None:
    faults, seen = [], 0
    for path in DOCUMENTS:
        lines = command_lines(text_of(path))
        seen += len(lines)
        faults += [(path.name, " ".join(words), wrong) for words in lines if (wrong := fault(words))]
    assert faults == []
    assert seen > 100


def test_a_wrong_line_would_be_noticed() -> None:
    text = "Run `declutter eval nothing SPLIT`, or:\n\n    declutter click photo.jpg \\\n        --att 4,3\n"
    found = command_lines(text)
    assert found == [["eval", "nothing", "SPLIT"], ["click", "photo.jpg", "--att", "4,3"]]
    assert [fault(words) for words in found] == ["no command eval nothing", "no option --att"]
    assert fault(["eval", "regions", "SCENES", "--out", "DIR"]) is None
