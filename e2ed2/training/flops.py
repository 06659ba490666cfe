"""What a training costs, counted and not timed."""

from torch.utils.flop_counter import FlopCounterMode

from e2ed2.objectives.objective import Batches, Objective
from e2ed2.seeds import UpdateSeeds
from e2ed2.training.adversary import judge, learning


def update_flops(objective: Objective, batches: Batches, updates: int = 8) -> float:
    """Floating-point operations of one update, backward pass and adversary included.

    A mean over `updates`, since the number of steps T may be drawn at each. Gradients are dropped again.
    """
    with FlopCounterMode(display=False) as counter:
        for step in range(updates):
            seeds = UpdateSeeds(0, step, device=next(objective.parameters()).device)
            outcome = objective(batches(step, 0, 1), seeds)
            outcome.total().backward()
            if objective.adversary is not None and outcome.judged is not None:
                with learning(objective.adversary):
                    judge(objective.adversary, outcome.judged, seeds).backward()
    objective.zero_grad()
    return counter.get_total_flops() / updates
