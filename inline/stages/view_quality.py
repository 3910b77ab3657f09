"""What is known of a CT scan's quality while its views arrive: said at once, and carried by its images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from inline.scan import Context, Image
from inline.views import Projection
from qc.finding import Finding, Severity
from qc.projections import ProjectionWatch
from recon_models.ct.geometry import Scanner


class ViewQuality:
    """Findings of one scan: what the stages before report, and what the views show.

    Parameters
    ----------
    scanner
        As the header describes it.
    context
        Where findings go.
    """

    def __init__(self, scanner: Scanner, context: Context) -> None:
        self._context = context
        self._watch = ProjectionWatch(scanner, context.limits)
        self._found: dict[str, Finding] = {}
        self._doubts: dict[str, str] = {}

    def report(self, finding: Finding) -> None:
        """Say a finding; images carry the worst of each cause. What nobody can change only images say."""
        if finding.severity is Severity.GREY:
            self._doubts[finding.cause] = finding.message
            return
        before = self._found.get(finding.cause)
        if before is None or finding.severity >= before.severity:
            self._found[finding.cause] = finding
        self._context.report(finding)

    def withdraw(self, cause: str) -> None:
        """Take back what turned out not to be so: images no longer carry it."""
        self._found.pop(cause, None)

    def see(self, projection: Projection) -> None:
        """Look at a view and say what is new."""
        self._say(self._watch.see(projection.values, projection.view, projection.number, projection.photons))

    def end(self) -> None:
        """Say what there is to say when the last view has come."""
        self._say(self._watch.end())

    def coloured(self, image: Image) -> Image:
        """Return an image with the findings and figures so far."""
        doubts = {"QC_not_assessed": "; ".join(self._doubts.values())} if self._doubts else {}
        return replace(
            image,
            findings=(*image.findings, *self._found.values()),
            meta={**image.meta, **self._watch.measures, **doubts},
        )

    def _say(self, findings: Sequence[Finding]) -> None:
        for finding in findings:
            self.report(finding)
