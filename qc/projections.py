"""Quality control of a CT scan while its views arrive: each view goes to each check, and none can stop the scan.

Checks see line integrals in the order of the source's way and keep half a turn of them at most.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from qc.dose import dose
from qc.elements import detector
from qc.finding import Finding, Severity
from qc.limits import SHIPPED, Limits
from qc.monitor import CannotAssessError
from qc.sight import Check, Known, Maker, Sight, Values, middle_row
from qc.stillness import stillness
from recon_models.ct.geometry import Scanner, View

# what the first two find out, stillness needs to know
CHECKS: Final[Mapping[str, Maker]] = MappingProxyType({"detector": detector, "dose": dose, "motion": stillness})


class ProjectionWatch:
    """The checks of one scan.

    Parameters
    ----------
    scanner
        As the header describes it.
    limits
        Thresholds.
    checks
        Name to what makes it.

    Attributes
    ----------
    found
        Worst finding of each cause so far: what images carry.
    """

    def __init__(self, scanner: Scanner, limits: Limits = SHIPPED, checks: Mapping[str, Maker] = CHECKS) -> None:
        self.found: dict[str, Finding] = {}
        self._known = Known(scanner)
        self._checks: dict[str, Check] = {name: make(limits, self._known) for name, make in checks.items()}
        for check in self._checks.values():
            next(check)

    @property
    def measures(self) -> Mapping[str, float]:
        """Figures for the meta of images, as known so far."""
        return dict(self._known.measures)

    def see(self, values: Values, view: View, number: int, promised: float = 0.0) -> list[Finding]:
        """Look at one view.

        Parameters
        ----------
        values
            (rows, columns) float32 line integrals.
        view
            Where the source stood.
        number
            Of the view.
        promised
            Photons through air as the scanner gives them, 0 if it does not.

        Returns
        -------
        list of Finding
            What is new or worse than before.
        """
        middle = middle_row(values, self._known.scanner.detector.central_row)
        return self._ask(Sight(values, middle, view, number, promised))

    def end(self) -> list[Finding]:
        """Return what is new when the last view has come."""
        return self._ask(None)

    def _ask(self, sight: Sight | None) -> list[Finding]:
        found: list[Finding] = []
        for name, check in list(self._checks.items()):
            try:
                found += check.send(sight)
            except StopIteration:
                del self._checks[name]
            except CannotAssessError as reason:
                del self._checks[name]
                found.append(_grey(name, str(reason)))
            except Exception as error:  # whatever it is, images go out all the same
                del self._checks[name]
                found.append(_grey(name, f"its check failed ({type(error).__name__}: {error})"))
        return [finding for finding in found if self._is_new(finding)]

    def _is_new(self, finding: Finding) -> bool:
        before = self.found.get(finding.cause)
        if before is not None and finding.severity <= before.severity:
            return False
        self.found[finding.cause] = finding
        return True


def _grey(name: str, reason: str) -> Finding:
    return Finding(Severity.GREY, f"{name} not assessed", f"{name.capitalize()} is not assessed: {reason}")
