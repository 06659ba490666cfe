"""One update through a chain of four steps: this project's trainer and the one in TRL that had the same idea.

TRL's last release with AlignPropTrainer is 0.23.1; it is installed into an environment of its own, which sees the
packages of this one.
"""
