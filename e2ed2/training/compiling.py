"""Compiles an objective's networks with torch.compile, on machines where it works."""

import torch

from e2ed2.errors import UserError
from e2ed2.objectives.objective import Objective


def compile_network(objective: Objective, device: torch.device | str) -> None:
    """Compile, in place, the modules of the objective that are called with tensors; weight names stay unchanged.

    Raises:
        UserError: nothing can be compiled on this machine.
    """
    try:
        torch.compile(lambda x: x + 1)(torch.ones(2, device=device))
    except Exception as error:  # compilers and their drivers may raise anything
        reason = str(error).strip().partition("\n")[0]
        raise UserError(f"torch.compile does not work here ({reason}): leave --trainer.compile out.") from error
    for part in objective.compiled_parts():
        part.compile()
