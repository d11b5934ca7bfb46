import shutil
import tarfile
from pathlib import Path
import pytest
from click.testing import CliRunner
from pipeline.cli import main
ARCHIVE = Path(__file__).parent / "old_workspace.tar.xz"

@pytest.fixture
def old(tmp_path, monkeypatch):
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "runs"

def test_try(old):
    import time
    t=time.monotonic()
    r = CliRunner().invoke(main, ["verify"])
    print(r.output, r.exit_code, r.exception, time.monotonic()-t)
    import traceback
    if r.exc_info: traceback.print_exception(*r.exc_info)
    import subprocess
    print(subprocess.run("find . -type f | head -90", shell=True, capture_output=True, text=True).stdout)
