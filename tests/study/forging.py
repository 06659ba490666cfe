"""Somebody who changes an export, and knows what `study verify` looks at."""

from pathlib import Path

import pandas as pd

from study.reporting.manifest import add_to_manifest, read_manifest


def forge(out: Path, **tables: pd.DataFrame) -> None:
    """Writes these tables in all their forms, and the manifest anew for whatever lies in the folder now."""
    for name, table in tables.items():
        table.to_parquet(out / f"{name}.parquet", index=False)
        table.to_csv(out / f"{name}.csv", index=False)
        table.to_json(out / f"{name}.json", orient="records", indent=1)
    add_to_manifest(out, read_manifest(out))
