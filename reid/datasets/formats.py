"""The table of data set formats: layout, published counts and origin of each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from reid.datasets import ag_reid, cuhk03, market, msmt17, prai1581, table
from reid.datasets.parts import Parts

_Pair = tuple[int | None, int | None]  # identities and images


@dataclass(frozen=True)
class Count:
    """Size of a part of a data set; None: not published.

    Attributes:
        identities: number of persons, without distractors and junk.
        images: number of images, with those of distractors and junk.

    """

    identities: int | None
    images: int | None


@dataclass(frozen=True)
class Format:
    """The format of a data set as its authors publish it, or a layout that several share.

    Attributes:
        name: of the format, as in `--data`.
        read: reads the labels of a folder.
        layout: the files of a folder, shown to people.
        needs: paths that must be in the folder.
        below: folders that archives put around them.
        origin: the place to download it from.
        published: counts of its parts; empty: any counts are accepted.
        source: of the counts.

    """

    name: str
    read: Callable[[Path], Parts]
    layout: str
    needs: tuple[str, ...] = ()
    below: tuple[str, ...] = ()
    origin: str = ""
    published: Mapping[str, Count] = field(default_factory=dict)
    source: str = ""


def _counts(train: _Pair, query: _Pair, gallery: _Pair) -> dict[str, Count]:
    return {"train": Count(*train), "query": Count(*query), "gallery": Count(*gallery)}


def _cuhk03(boxes: cuhk03.Boxes, train: int, gallery: int) -> tuple[Format, Format]:
    where = "https://www.ee.cuhk.edu.hk/~xgwang/CUHK_identification.html (cuhk-03.mat)"
    return (
        Format(
            f"cuhk03-{boxes}",
            partial(cuhk03.read_new_protocol, boxes=boxes),
            f"CUHK03-NP's {boxes}/, or images_{boxes}/ and cuhk03_new_protocol_config_{boxes}.mat",
            below=("cuhk03-np", "cuhk03"),
            origin="https://github.com/zhunzhong07/person-re-ranking (CUHK03-NP), " + where,
            published=_counts((767, train), (700, 1400), (700, gallery)),
            source="CUHK03-NP's README",
        ),
        Format(
            f"cuhk03-{boxes}-single-shot",
            partial(cuhk03.read_single_shot, boxes=boxes),
            f"images_{boxes}/ and splits_classic_{boxes}.json, made by 'uavpipe reid extract-cuhk03' or by "
            "torchreid; for protocol single-shot",
            needs=(f"images_{boxes}", f"splits_classic_{boxes}.json"),
            below=("cuhk03",),
            origin=where,
            published={"train": Count(1367, None), "query": Count(100, None), "gallery": Count(100, None)},
            source="the splits in cuhk-03.mat",
        ),
    )


FORMATS: dict[str, Format] = {
    each.name: each
    for each in (
        Format(
            "market",
            market.read_market,
            "any of bounding_box_train/, query/, bounding_box_test/ in Market-1501's names; our own data sets, "
            "which also have dataset.parquet",
        ),
        Format(
            "csv",
            table.read_csv,
            "a CSV: path, identity, camera, flight, tracklet, split (train, query or gallery)",
        ),
        Format(
            "market1501",
            market.read_market,
            "bounding_box_train/, query/, bounding_box_test/",
            needs=market.FOLDERS,
            below=("Market-1501-v15.09.15",),
            origin="https://zheng-lab.cecs.anu.edu.au/Project/project_reid.html",
            published=_counts((751, 12936), (750, 3368), (750, 19732)),
            source="the archive's readme.txt",
        ),
        Format(
            "dukemtmc",
            market.read_market,
            "bounding_box_train/, query/, bounding_box_test/",
            needs=market.FOLDERS,
            below=("DukeMTMC-reID",),
            origin="https://github.com/layumi/DukeMTMC-reID_evaluation; its authors withdrew it in 2019",
            published=_counts((702, 16522), (702, 2228), (1110, 17661)),
            source="Zheng et al. 2017",
        ),
        *_cuhk03("labeled", 7368, 5328),
        *_cuhk03("detected", 7365, 5332),
        Format(
            "cuhk-sysu",
            market.read_market,
            "what 'uavpipe reid cut-cuhk-sysu' cuts out of its scenes",
            needs=market.FOLDERS,
            origin="https://github.com/ShuangLI59/person_search, on request",
            published=_counts((5532, None), (2900, 2900), (2900, None)),
            source="Xiao et al. 2017",
        ),
        Format(
            "msmt17",
            msmt17.read_msmt17,
            "train/ and test/, or mask_train_v2/ and mask_test_v2/; " + ", ".join(msmt17.LISTS),
            needs=msmt17.LISTS,
            below=("MSMT17_V1", "MSMT17_V2", "MSMT17"),
            origin="https://www.pkuvmc.com/dataset.html, on request",
            published=_counts((1041, 32621), (3060, 11659), (3060, 82161)),
            source="Wei et al. 2018",
        ),
        Format(
            "prai1581",
            prai1581.read_prai1581,
            "images/, with names as 00000003_0002_00000007.jpg; split by us",
            needs=("images",),
            below=("PRAI-1581",),
            origin="https://github.com/stormyoung/PRAI-1581",
            published={"all": Count(1581, 39461)},
            source="Zhang et al. 2020, abstract",
        ),
        Format(
            "ag-reid",
            ag_reid.read_aerial_to_ground,
            ", ".join(f"{name}/" for name in ag_reid.AERIAL_TO_GROUND) + "; names as P0006T02140A0C0F1831.jpg",
            needs=ag_reid.AERIAL_TO_GROUND,
            below=("AG-ReID",),
            origin="https://github.com/huynguyen792/AG-ReID",
            published=_counts((199, None), (189, 1701), (189, 3331)),
            source="its README",
        ),
        Format(
            "ag-reid-ground-to-aerial",
            ag_reid.read_ground_to_aerial,
            ", ".join(f"{name}/" for name in ag_reid.GROUND_TO_AERIAL),
            needs=ag_reid.GROUND_TO_AERIAL,
            below=("AG-ReID",),
            origin="https://github.com/huynguyen792/AG-ReID",
            published=_counts((199, None), (189, 962), (189, 7204)),
            source="its README",
        ),
    )
}
