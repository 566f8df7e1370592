"""Results in an S3-compatible store: a real server over HTTP on this machine."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator

import pytest

pytest.importorskip("s3fs", reason="pip install 'cutswap[s3]'")
pytest.importorskip("flask_cors", reason="of moto's server, in the dev extra")
boto3 = pytest.importorskip("boto3", reason="of moto")
server = pytest.importorskip("moto.server", reason="of the dev extra")

from cutswap.commands.parser import main  # noqa: E402
from cutswap.errors import CutSwapError  # noqa: E402
from cutswap.sweeps.store import need_store, open_store  # noqa: E402
from tests.helpers.sweeps import GRID, SEEDS, SameProcess, demo, words  # noqa: E402

KEYS = {
    "AWS_ACCESS_KEY_ID": "nobody",
    "AWS_SECRET_ACCESS_KEY": "nothing",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    import fsspec
    import s3fs

    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**KEYS, "AWS_ENDPOINT_URL": f"http://{host}:{port}"}.items():
            patch.setenv(name, value)
        s3fs.S3FileSystem.clear_instance_cache()
        fsspec.filesystem("s3").mkdir("results")
        yield "s3://results"
    s3fs.S3FileSystem.clear_instance_cache()
    running.stop()


def test_values_come_back_and_names_are_listed(bucket):
    store = open_store(f"{bucket}/one")
    assert store.names("cells") == []
    assert store.read("cells/a") is None
    need_store(store)
    store.write("cells/b", {"n": 1})
    store.write("cells/a", {"n": 2})
    store.write("cells/b", {"n": 3})
    assert store.names("cells") == ["a", "b"]
    assert store.read("cells/b") == {"n": 3}
    other = open_store(f"{bucket}/one")
    other.write("cells/c", {})
    assert store.names("cells") == ["a", "b", "c"]
    # Another machine writes, of which this process's s3fs hears nothing: no stale listing.
    elsewhere = boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"])
    for name, body in (("d.json", b'{"n": 4}'), ("e.json", b'{"n":'), ("note.txt", b"{}")):
        elsewhere.put_object(Bucket="results", Key=f"one/cells/{name}", Body=body)
    assert store.names("cells") == ["a", "b", "c", "d", "e"]
    assert store.read("cells/d") == {"n": 4}
    assert store.read("cells/e") is None


@pytest.mark.journey
def test_a_sweep_lands_in_s3_and_goes_on_there(bucket, tmp_path, monkeypatch):
    monkeypatch.setenv("CUTSWAP_CACHE", str(tmp_path / "cache"))
    url, result = f"{bucket}/sweep", tmp_path / "r.json"
    line = [*words(demo(tmp_path / "demo"), url), "--json", str(result)]
    line[line.index(GRID)] = "k=1"
    assert main(line) == 0  # a worker of its own process writes there
    store = open_store(url)
    names = store.names("cells")
    assert len(names) == 2 * SEEDS
    assert {store.read(f"cells/{n}")["state"] for n in names} == {"done"}
    monkeypatch.setattr("cutswap.commands.sweep.engine_of", lambda _: SameProcess())
    store._files.rm(f"results/sweep/cells/{names[-1]}.json")
    assert main(line) == 0
    assert json.loads(result.read_text())["computed"] == 1
    assert open_store(url).names("cells") == names


@pytest.mark.usefixtures("bucket")
def test_a_missing_bucket_and_a_dead_server_are_told_within_ten_seconds(monkeypatch):
    import s3fs

    with pytest.raises(CutSwapError, match="a folder of this machine"):
        need_store(open_store("s3://no-such-bucket/x"))
    s3fs.S3FileSystem.clear_instance_cache()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    began = time.monotonic()
    with pytest.raises(CutSwapError, match="--engine local|a folder of this machine"):
        need_store(open_store("s3://results/x"))
    assert time.monotonic() - began < 10
    s3fs.S3FileSystem.clear_instance_cache()
