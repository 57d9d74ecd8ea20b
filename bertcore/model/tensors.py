"""Tensors: a weights file as tensors by name, and nothing of it is run (chapter 0)."""

import pickle
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor


def read_tensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a weights file, by name; a pickle's code is never run.

    Raises:
        ValueError: if the file is cut short, damaged or holds more than tensors.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        tensors = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if "Unsupported" in str(error):
            raise _not_tensors(path) from error
        raise _unreadable(path, error) from error
    except (SafetensorError, RuntimeError, EOFError, OSError) as error:
        raise _unreadable(path, error) from error
    if not isinstance(tensors, dict):
        raise _not_tensors(path)
    tensors = tensors.get("state_dict", tensors)
    if not all(isinstance(tensor, Tensor) for tensor in tensors.values()):
        raise _not_tensors(path)
    return tensors


def _not_tensors(path: Path) -> ValueError:
    return ValueError(
        f"{path} holds something other than tensors, and loading it would run its "
        "code or lose it; ask its author for a model.safetensors"
    )


def _unreadable(path: Path, error: Exception) -> ValueError:
    reason = (str(error) or type(error).__name__).splitlines()[0]
    return ValueError(
        f"{path} ({path.stat().st_size:,} bytes) cannot be read: {reason}. "
        "It is probably cut short; fetch it again"
    )
