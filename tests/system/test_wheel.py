"""The wheel, installed into an environment of its own, has all that the product needs."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).parents[2]
PATIENCE_S = 200


def run(*command: str | Path, folder: Path, **environment: str) -> str:
    done = subprocess.run(
        list(map(str, command)),
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder)} | environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done
    return done.stdout


def test_the_wheel_makes_a_picture_without_this_folder(tmp_path):
    source, fresh = tmp_path / "source", tmp_path / "fresh"
    left_out = shutil.ignore_patterns("tests", "build", "*.egg-info", "__pycache__", ".*")
    shutil.copytree(ROOT, source, ignore=left_out)
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "-q")
    run(*pip, "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", tmp_path, source, folder=tmp_path)
    (wheel,) = tmp_path.glob("nightshift-*.whl")

    run(sys.executable, "-m", "venv", "--without-pip", fresh, folder=tmp_path)
    site = Path(
        run(fresh / "bin/python", "-c", "import site; print(site.getsitepackages()[0])", folder=tmp_path).strip()
    )
    # The libraries are those of the tests' environment; what is installed there to be edited is not seen.
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib"))
    run(*pip, "--python", fresh / "bin/python", "install", "--no-deps", "--no-index", wheel, folder=tmp_path)
    shutil.rmtree(source)

    settings = {"NIGHTSHIFT_DATA_DIR": str(tmp_path / "data"), "NIGHTSHIFT_DEVICE": "cpu", "OMP_NUM_THREADS": "1"}
    asked = ("--prompt", "a red boot", "--checkpoint", "demo", "--checks", "shoes")
    report = run(fresh / "bin/producer", "run", *asked, folder=tmp_path, **settings)
    assert "1 of 1" in report
    assert len(list((tmp_path / "data" / "pictures").rglob("*.png"))) == 1
    run(fresh / "bin/producer", "report", "--html", "night.html", folder=tmp_path, **settings)
    where = "import worker, producer, models; print(worker.__file__)"
    assert run(fresh / "bin/python", "-c", where, folder=tmp_path).startswith(str(fresh))
