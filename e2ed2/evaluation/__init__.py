"""How good a model is, without asking a person: distance to real pictures, alignment, variety, cost."""
