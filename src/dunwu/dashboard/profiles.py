"""Where the time and the memory of a stage's profiled steps went, as plain data. Reads leniently. Called by the routes.

`runs.profiles.read_profiles` gives the same strictly; here a damaged profile is named and the others are shown.
"""

from collections.abc import Mapping
from typing import Any

from dunwu.dashboard.run_view import RunView
from dunwu.runs.profiles import PROFILE_FOLDER, profile_files

_FIGURES = ("seconds", "share", "calls", "peak_memory_bytes")


def stage_profiles(view: RunView, stage: str) -> dict[str, Any]:
    """Return the profiles of a stage in the order of their steps, and what is damaged; none of a stage that was not profiled.

    Returns:
        {profiles, faults}: a profile is {step, seconds, phases}, a phase {name, seconds, share, calls, peak_memory_bytes,
        operations}, with share in [0, 1], None for a figure that is not there, and operations as [name, seconds].
    """
    profiles, faults = [], []
    for step, path in profile_files(view.path / stage / PROFILE_FOLDER):
        data, fault = view.json(stage, PROFILE_FOLDER, path.name)
        if fault:
            faults.append(fault)
        elif not isinstance(data, dict) or not isinstance(data.get("phases"), list):
            faults.append(f"{path} is not a profile")
        else:
            phases = [_phase(phase) for phase in data["phases"] if isinstance(phase, dict)]
            profiles.append({"step": step, "seconds": _number(data.get("seconds")), "phases": phases})
    return {"profiles": profiles, "faults": faults}


def _phase(phase: Mapping[str, Any]) -> dict[str, Any]:
    operations = phase.get("operations")
    return {
        "name": str(phase.get("name")),
        **{name: _number(phase.get(name)) for name in _FIGURES},
        "operations": [
            [str(one[0]), _number(one[1])]
            for one in (operations if isinstance(operations, list) else [])
            if isinstance(one, list) and len(one) == 2
        ],
    }


def _number(value: Any) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
