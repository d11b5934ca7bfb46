"""The tar files of crops, against Python's own writer of them."""

import io
import tarfile

from pipeline.stages.crop_store import ShardWriter


def test_equal_crops_make_equal_shards():
    def shard(*sizes):
        out = io.BytesIO()
        writer = ShardWriter(out)
        offsets = [writer.add(f"{size:08d}_000.jpg", bytes([size % 251]) * size) for size in sizes]
        writer.end()
        return out.getvalue(), offsets

    data, offsets = shard(1, 511, 512, 513, 9000)
    assert data == shard(1, 511, 512, 513, 9000)[0]
    reference = io.BytesIO()
    with tarfile.open(fileobj=reference, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for size in (1, 511, 512, 513, 9000):
            entry = tarfile.TarInfo(f"{size:08d}_000.jpg")
            entry.size = size
            archive.addfile(entry, io.BytesIO(bytes([size % 251]) * size))
    assert data == reference.getvalue()
    assert [data[at : at + 1] for at in offsets] == [bytes([size % 251]) for size in (1, 511, 512, 513, 9000)]
