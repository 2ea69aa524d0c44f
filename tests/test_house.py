"""The house: which package may import which, and where each heavy dependency lives."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MAY_IMPORT = {
    "search_spaces": {"search_spaces"},
    "trainers": {"trainers", "search_spaces"},
    "results": {"results", "search_spaces"},
    "nas": {"nas", "results", "trainers", "search_spaces"},
}
HOMES = {
    "networkx": ("search_spaces/",),
    "torch": (
        "trainers/",
        "results/export/",
        "nas/conclude.py",
        "nas/export",
        "nas/trial_weights.py",
        "nas/candidate.py",
        "nas/doctor.py",
    ),
    "ray": ("nas/executors/ray_",),
    "optuna": ("nas/samplers/",),
    "sqlalchemy": ("results/ledger", "nas/samplers/to_optuna.py"),
    "moocore": ("results/pareto.py", "results/ranking.py"),
    "plotly": ("results/",),
    "yaml": ("search_spaces/yaml_files.py",),
    "click": ("nas/cli",),
    "pyarrow": ("nas/storage.py",),
    "dash": ("results/dashboard/",),
    "dash_ag_grid": ("results/dashboard/",),
    "flask": ("results/dashboard/",),
    "waitress": ("results/dashboard/app.py",),
    "PIL": ("trainers/decode.py",),
    "datasets": ("trainers/huggingface.py",),
    "onnx": ("results/export/",),
    "onnxruntime": ("results/export/",),
}


def sources() -> list[Path]:
    return [path for package in MAY_IMPORT for path in sorted((ROOT / package).rglob("*.py"))]


def imports(path: Path) -> set[str]:
    """Full names of all modules that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module or "")
    return found


def test_there_is_something_to_check() -> None:
    assert len(sources()) > 30


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_downwards_and_heavy_packages_stay_at_home(path: Path) -> None:
    place = path.relative_to(ROOT).as_posix()
    package = place.split("/")[0]
    for module in imports(path):
        top = module.split(".")[0]
        if top in MAY_IMPORT:
            assert top in MAY_IMPORT[package], f"{place} imports {module}"
        if top in HOMES:
            assert place.startswith(HOMES[top]), f"{place} imports {module}, whose home is {HOMES[top]}"


@pytest.mark.parametrize(
    "command",
    [
        "import nas",
        "import nas; nas.cost(nas.load('inception-v3')); nas.audit(nas.load('inception-v3'))",
        "import nas.cli; nas.cli.nas(['--help'], standalone_mode=False)",
        "import nas.cli; nas.cli.nas(['cost', 'inception-v3'], standalone_mode=False)",
        "import nas; nas.space('inception').sample(random_seed=0)",
        "import nas.config, nas.measuring, nas.measure_view, trainers.memory",
    ],
)
def test_what_only_reads_loads_no_heavy_package(command: str, tmp_path: Path) -> None:
    heavy = "{'torch', 'ray', 'dash', 'optuna', 'sklearn', 'plotly', 'PIL', 'datasets'}"
    code = f"import sys\n{command}\nfound = {heavy} & set(sys.modules)\nassert not found, found"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr


def test_a_shadowed_sibling_is_named(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "__init__.py").touch()
    code = f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(ROOT)!r}]; import nas"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 1
    assert "rename" in done.stderr
    assert str(tmp_path) in done.stderr


def test_the_package_list_is_complete() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    listed = set(project["tool"]["setuptools"]["packages"])
    found = {
        path.parent.relative_to(ROOT).as_posix().replace("/", ".")
        for package in MAY_IMPORT
        for path in (ROOT / package).rglob("__init__.py")
    }
    assert found == listed
