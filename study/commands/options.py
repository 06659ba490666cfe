"""What the commands' options share."""

from typing import Annotated

import tyro

Name = Annotated[str, tyro.conf.Positional]
