"""The progress of labelling a workspace."""

from dataclasses import dataclass
from pathlib import Path

from annotate.log.store import LABELS
from annotate.project import Project
from pipeline.relinking.keep import check_carried
from pipeline.stages.crop_store import Crops
from pipeline.words import counted


@dataclass(frozen=True)
class LabellingProgress:
    """The progress of labelling a workspace.

    Attributes:
        labelled: tracklets that have a label.
        tracklets: those that have a crop, and so can get one.

    """

    labelled: int
    tracklets: int

    @property
    def is_complete(self) -> bool:
        """Whether there are tracklets, and all have a label."""
        return 0 < self.tracklets == self.labelled

    def __str__(self) -> str:
        """For a person."""
        if not self.tracklets:
            return "no tracklet has a label yet"
        return f"{self.labelled:,} of {counted(self.tracklets, 'tracklet has', 'tracklets have')} a label"


def labelling_progress(workspace: Path) -> LabellingProgress:
    """The progress of labelling `workspace`.

    Raises:
        AnnotateError: its tables, crops or labels are damaged.
        PipelineError: labels wait to be carried over.

    """
    if not (workspace / LABELS).exists():
        return LabellingProgress(0, 0)
    check_carried(workspace)
    project = Project(workspace, crops=Crops(), write=False)
    try:
        with project.reading() as state:
            done = project.progress(state, "")
        return LabellingProgress(done.labelled, done.tracklets)
    finally:
        project.close()
