"""Share a set of weights on the Hugging Face hub."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from models.bundling import NETWORKS
from toolkit.errors import InputError

CARD = "README.md"
NEEDED = ("config.json", "model.safetensors", CARD)


@dataclass(frozen=True)
class Upload:
    """A file that is sent: where it lies, its name in the repository, and its size in bytes."""

    path: Path
    name: str
    size: int


def files_to_push(source: Path) -> list[Upload]:
    """List which files of a set of weights, or of one network's folder, are shared.

    Args:
        source: Folder with the sub-folders ``one-click``, ``cpn``, ``pvm``, or a network's own folder.

    Raises:
        InputError: There is no network, or one without a model card.
    """
    single = (source / "config.json").is_file()
    folders = [source] if single else [source / name for name in NETWORKS if (source / name).is_dir()]
    if not folders:
        raise InputError(
            f"{source}: no network there; expected config.json, or folders {', '.join(NETWORKS)}"
        )
    found = []
    for folder in folders:
        missing = [name for name in NEEDED if not (folder / name).is_file()]
        if missing:
            hint = "; write a model card that says what it was trained on" if CARD in missing else ""
            raise InputError(f"{folder}: {', '.join(missing)} missing{hint}")
        _check_config(folder / "config.json")
        found += [folder / name for name in NEEDED]
        found += sorted(folder.glob("*.jpg"))  # pictures that the card shows
    if not single and (source / CARD).is_file():
        found.insert(0, source / CARD)
    return [Upload(path, path.relative_to(source).as_posix(), path.stat().st_size) for path in found]


def _check_config(path: Path) -> None:
    known = [kind.config_class.model_type for kind in NETWORKS.values() if kind.config_class is not None]
    try:
        found = json.loads(path.read_text(encoding="utf-8")).get("model_type")
    except (ValueError, AttributeError) as error:
        raise InputError(f"{path}: expected JSON with model_type ({error})") from error
    if found not in known:
        raise InputError(f"{path}: model_type is {found}, expected one of {', '.join(known)}")


def push(source: Path, repository: str, *, private: bool = False) -> str:
    """Send a set of weights to a repository of the hub, which is made where it is missing.

    Args:
        source: See :func:`files_to_push`.
        repository: Such as ``name/declutter``.
        private: Whether a new repository is private.

    Returns:
        The repository's address.

    Raises:
        InputError: The files are not complete, nobody is logged in, or the hub refuses or can't be reached.
    """
    from httpx import HTTPError
    from huggingface_hub import HfApi, get_token
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    uploads = files_to_push(source)
    if get_token() is None:
        raise InputError("no token for the hub; run `hf auth login`, or set HF_TOKEN to one that may write")
    api = HfApi()
    try:
        address = api.create_repo(repository, private=private, exist_ok=True)
        api.upload_folder(
            repo_id=repository,
            folder_path=source,
            allow_patterns=[upload.name for upload in uploads],
            commit_message="Upload weights of Declutter",
        )
    except HFValidationError as error:
        raise InputError(f"repository '{repository}': {error}") from error
    except (HfHubHTTPError, HTTPError, OSError) as error:
        raise InputError(f"the hub did not take '{repository}': {error}") from error
    return str(address)
