"""The NVIDIA GPUs of this machine, as the driver's files and, if `nvidia-ml-py` is installed, NVML tell of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

DRIVER_FOLDER = Path("/proc/driver/nvidia")


def driver_version() -> str | None:
    """Return the version of the loaded driver; None if none is loaded."""
    first = (_read(DRIVER_FOLDER / "version") or "").partition("\n")[0]
    found = re.search(r"\s(\d+\.\d+(?:\.\d+)?)\s", first)
    return found[1] if found else first or None


def gpu_names() -> tuple[str, ...]:
    """Return the model of every GPU that can be seen from here, from the driver's files, else from NVML."""
    found = []
    for path in sorted((DRIVER_FOLDER / "gpus").glob("*/information")):
        model = re.search(r"^Model:\s*(.+)", _read(path) or "", re.MULTILINE)
        if model:
            found.append(model[1].strip())
    if found:
        return tuple(found)
    with _nvml() as nvml:
        if nvml is None:
            return ()
        return tuple(nvml.nvmlDeviceGetName(handle) for handle in _handles(nvml))


def free_memory_bytes() -> int | None:
    """Return the free memory of the GPU; None without NVML, and where there are several and any may be meant."""
    with _nvml() as nvml:
        if nvml is None:
            return None
        handles = _handles(nvml)
        return int(nvml.nvmlDeviceGetMemoryInfo(handles[0]).free) if len(handles) == 1 else None


def _handles(nvml: Any) -> list[Any]:
    return [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]


@contextmanager
def _nvml() -> Iterator[Any]:
    """Yield NVML, initialised; None where the package or the driver's library is missing."""
    try:
        import pynvml
    except ImportError:
        yield None
        return
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        yield None
        return
    try:
        yield pynvml
    finally:
        pynvml.nvmlShutdown()


def _read(path: Path) -> str | None:
    """Return the text of a file of the driver, None where there is none or only root may read it."""
    try:
        return path.read_text(encoding="utf-8").strip() or None
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None
