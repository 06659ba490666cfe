"""The parts of `python -m benchmarks.preference_loop`: simulated raters, their studies, and the trainings."""
