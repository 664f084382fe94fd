"""Diagnoses as lines for a person. Used by `dunwu status` and `dunwu show`."""

from collections.abc import Collection, Sequence

from dunwu.functional.diagnosis.watch import Diagnosis


def diagnosis_lines(diagnoses: Sequence[Diagnosis], told: Collection[str] = ()) -> list[str]:
    """Write what ails or ailed a stage, one paragraph each, those that last first.

    Args:
        told: evidence that was shown already, for example what the watch for reward hacking said; it is not told twice.
    """
    lasting_first = sorted(diagnoses, key=lambda diagnosis: diagnosis.ended is not None)
    return [diagnosis.text for diagnosis in lasting_first if diagnosis.evidence not in told]
