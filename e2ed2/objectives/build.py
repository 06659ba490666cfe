"""From options to the objective that they describe."""

from e2ed2.objectives.backbone import BackboneEndToEnd, BackboneSingleStep
from e2ed2.objectives.backbone_config import BackboneEndToEndConfig, BackboneSingleStepConfig
from e2ed2.objectives.coarse import CoarseRegression
from e2ed2.objectives.config import (
    CoarseConfig,
    EndToEndConfig,
    ObjectiveConfig,
    PreferenceConfig,
    ReconstructionConfig,
    SingleStepConfig,
)
from e2ed2.objectives.end_to_end import EndToEnd
from e2ed2.objectives.objective import Objective
from e2ed2.objectives.preference import PreferenceObjective
from e2ed2.objectives.reconstruction import Reconstruction
from e2ed2.objectives.single_step import SingleStep

OBJECTIVES: dict[type[ObjectiveConfig], type[Objective]] = {
    ReconstructionConfig: Reconstruction,
    CoarseConfig: CoarseRegression,
    SingleStepConfig: SingleStep,
    EndToEndConfig: EndToEnd,
    BackboneSingleStepConfig: BackboneSingleStep,
    BackboneEndToEndConfig: BackboneEndToEnd,
    PreferenceConfig: PreferenceObjective,
}


def build_objective(config: ObjectiveConfig, resolution: int) -> Objective:
    """Build the objective. Raises UserError: a model it names is missing, damaged, or does not fit the resolution."""
    return OBJECTIVES[type(config)].of(config, resolution)
