"""Draws docs/architecture.md's picture from the imports.

python -m tools.architecture

A room is a folder of modules, or a module beside such folders; an arrow points from what imports to what is imported.
Arrows that follow from others are left out, as are the rooms that nearly everything imports.
"""

import ast
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("app", "study", "e2ed2")
PAGE = ROOT / "docs" / "architecture.md"
START, END = "<!-- drawn by tools/architecture.py -->\n", "<!-- end -->\n"
ENTRANCES = {"cli", "__main__", "__init__"}
EVERYWHERE = {"errors", "device", "progress", "assets", "files", "seeds", "types", "settings"} | ENTRANCES

Graph = Mapping[str, set[str]]


def modules(root: Path = ROOT) -> dict[str, Path]:
    """Every module of the packages by its dotted name."""
    files = [file for package in PACKAGES for file in sorted((root / package).rglob("*.py"))]
    return {".".join(file.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): file for file in files}


def room_of(module: str, file: Path, root: Path = ROOT) -> str:
    folders = file.relative_to(root).parts[:-1]
    return ".".join(folders) if len(folders) > 1 else module


def imported(file: Path, known: Iterable[str]) -> set[str]:
    """The modules among `known` that a file imports, anywhere in it."""
    found, known = set(), set(known)
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            named = {f"{node.module}.{name.name}" for name in node.names}
            found |= named & known or {node.module}
    return found & known


def rooms(root: Path = ROOT) -> dict[str, set[str]]:
    """Every room, and the rooms that it imports."""
    of = {module: room_of(module, file, root) for module, file in modules(root).items()}
    graph: dict[str, set[str]] = defaultdict(set)
    for module, file in modules(root).items():
        graph[of[module]] |= {of[other] for other in imported(file, of)} - {of[module]}
    return dict(graph)


def reachable(graph: Graph, start: str) -> set[str]:
    found, todo = set(), [start]
    while todo:
        new = graph.get(todo.pop(), set()) - found
        found |= new
        todo += new
    return found


def reduced(graph: Graph) -> dict[str, set[str]]:
    """The graph, which has no cycle, without the arrows that follow from others."""
    return {
        room: {other for other in others if not any(other in reachable(graph, via) for via in others - {other})}
        for room, others in graph.items()
    }


def diagram(graph: Graph) -> str:
    """A Mermaid flow chart, one box around each package."""
    drawn = {
        room
        for room in graph
        if room.rpartition(".")[2] not in EVERYWHERE
        and room not in PACKAGES
        and room != "app.pages"
        and not room.startswith("study.migrations")
    }
    arrows = reduced({room: {other for other in graph[room] if other in drawn} for room in drawn})
    lines = ["```mermaid", "flowchart TD"]
    for package in PACKAGES:
        lines.append(f"  subgraph {package}")
        inside = sorted(room for room in drawn if room.split(".")[0] == package)
        lines += [f'    {room}["{room.partition(".")[2].replace(".", "/")}"]' for room in inside]
        lines.append("  end")
    lines += [f"  {room} --> {other}" for room in sorted(arrows) for other in sorted(arrows[room])]
    return "\n".join([*lines, "```", ""])


def main() -> None:
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(START)
    _, _, after = rest.partition(END)
    PAGE.write_text(before + START + diagram(rooms()) + END + after, encoding="utf-8")
    print(PAGE)


if __name__ == "__main__":
    main()
