"""Readers of public folder layouts, on tiny copies of those layouts."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from train import datasets, evaluate, loading, overlap
from train.datasets import covid_19_ct_seg, manifests, public
from train.datasets.records import Record


def picture(file: Path, size: int = 64) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.arange(size * size, dtype=np.uint32).reshape(size, size).astype(np.uint8)).save(file)


def groups_stay_whole(records) -> bool:
    parts: dict[str, set[str]] = {}
    for record in records:
        parts.setdefault(record.group, set()).add(record.split)
    return all(len(p) == 1 for p in parts.values())


def test_radiography_database(tmp_path: Path) -> None:
    for i in range(3):
        picture(tmp_path / "COVID" / "images" / f"COVID-{i}.png", 96)
        picture(tmp_path / "COVID" / "masks" / f"COVID-{i}.png", 64)
        picture(tmp_path / "Normal" / "images" / f"Normal-{i}.png", 96)
    records = datasets.read([f"radiography_database={tmp_path}"])
    assert [r.covid for r in records] == [1, 1, 1, 0, 0, 0]
    assert loading.mask(records[0], records[0].lungs, (96, 96)).shape == (96, 96)
    assert records[3].lungs is None and groups_stay_whole(records)
    with pytest.raises(ValueError, match="the mask is"):
        loading.mask(records[0], records[0].lungs, (96, 40))


def test_large_ct_groups_by_patient(tmp_path: Path) -> None:
    for name in (
        "6_Rahimzadeh_137covid_patient1_SR_3_IM00024",
        "6_Rahimzadeh_137covid_patient1_SR_4_IM00025",
        "6_Rahimzadeh_137covid_patient2_SR_3_IM00024",
        "17_Zhao_2020.02.17.20024018-p17-61%2",
        "14_Jun_coronacases_case7_75",
    ):
        picture(tmp_path / "2COVID" / f"{name}.png")
    picture(tmp_path / "3CAP" / "cap001_12.png")
    for part in ("normal2", "normal5"):
        picture(tmp_path / "1NonCOVID" / f"6_Rahimzadeh_{part}_patient205_SR_4_IM00012.png")
    records = public.large_ct(tmp_path)
    assert [r.group.removeprefix("large_ct/") for r in records] == [
        *["1NonCOVID/patient205"] * 2,
        *["2COVID/patient1"] * 2,
        "2COVID/patient2",
        "3CAP/cap001",
    ]
    assert [r.finding for r in records] == ["normal"] * 2 + ["covid"] * 3 + ["pneumonia"]


def test_what_a_mac_notes_about_a_picture_is_none(tmp_path: Path) -> None:
    picture(tmp_path / "COVID" / "COVID-1.png")
    (tmp_path / "COVID" / "._COVID-1.png").write_text("notes")
    assert len(public.radiography_database(tmp_path)) == 1


def test_labels_and_columns_are_checked(tmp_path: Path) -> None:
    (tmp_path / "ct").mkdir()
    file = tmp_path / "ct" / "manifest.csv"
    file.write_text("file,label,source,group,split,official_split\na.png,COVID,b,c,train,\n")
    with pytest.raises(ValueError, match=r"a.png: there is no finding 'COVID'. Use one of: covid, normal"):
        manifests.ct(tmp_path)
    file.write_text("file,label,group,split,official_split\na.png,covid,c,train,\n")
    with pytest.raises(ValueError, match=r"manifest.csv has no column 'source'"):
        manifests.ct(tmp_path)
    file.write_text("file,label,source,group,split,official_split\na.png,covid,b,c,Test,\n")
    with pytest.raises(ValueError, match=r"a.png: there is no split 'Test'. Use one of: train, val"):
        manifests.ct(tmp_path)
    file.write_text("file,label,source,group,split,official_split\na.png,covid,b,c,train,\nd.png,covid,b,c,test,\n")
    with pytest.raises(ValueError, match=r"d.png: the group c is in the splits train and test"):
        manifests.ct(tmp_path)
    lines = ["a.png,covid,1,c,external,", "covid_ct_0001.png,covid,1,d,external,", "covid_ct/a.png,covid,1,e,external,"]
    file.write_text("\n".join(["file,label,source,group,split,official_split", *lines]))
    assert [r.dataset for r in manifests.ct(tmp_path)] == [
        "ct",
        "ct",
        "covid_ct",
    ]  # the first two nobody's but their owner's
    with pytest.raises(ValueError, match="lesions_known"):
        Record(file, "ct", "own", "own", "a", lesions=file)


def test_a_mask_marks_with_white(tmp_path: Path) -> None:
    record = Record(tmp_path / "a.png", "ct", "d", "s", "g")
    for marked, is_read in ((255, True), (128, True), (0, True), (1, False), (127, False)):
        values = np.zeros((64, 64), np.uint8)
        values[:9] = marked
        Image.fromarray(values).save(tmp_path / "mask.png")
        if is_read:
            assert loading.mask(record, tmp_path / "mask.png", (64, 64)).sum() == 9 * 64 * (marked > 0)
        else:
            with pytest.raises(ValueError, match=f"largest value is {marked}. Save it with 255"):
                loading.mask(record, tmp_path / "mask.png", (64, 64))


def test_a_manifest_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds none of the folders xray, ct"):
        datasets.read([f"manifests={tmp_path}"])
    file = tmp_path / "xray" / "manifest.csv"
    file.parent.mkdir()
    for content, said in (
        (b"", "cannot be read"),
        ("file,label\nä.png,covid\n".encode("latin-1"), "Save it as CSV in UTF-8"),
        (b"file;label;source;group;split\na.png;covid;s;g;train\n", "only file;label;source;group;split"),
    ):
        file.write_bytes(content)
        with pytest.raises(ValueError, match="manifest.csv") as caught:
            datasets.read([f"manifests={tmp_path}"])
        assert said in str(caught.value)
    file.write_text("\ufefffile,label,source,group,split\na.png,covid,s,g,train\n", encoding="utf-8")
    assert [r.finding for r in datasets.read([f"manifests={tmp_path}"])] == ["covid"]


@pytest.mark.parametrize("folder", ["xray", "ct_lesions", "xray_lesions", "xray_lungs"])
def test_a_group_in_two_splits_is_named_in_every_folder(folder: str, tmp_path: Path) -> None:
    columns = ("file", "image", "label", "source", "volume", "lungs", "lesions")
    facts = dict.fromkeys(columns, "a.png") | {"label": "covid", "group": "g", "patient": "g"}
    (tmp_path / folder).mkdir()
    for splits, is_told in ((("train", "train"), False), (("train", "external"), True), (("test", "val"), True)):
        rows = [facts | {"split": split} for split in splits]
        pd.DataFrame(rows).to_csv(tmp_path / folder / "manifest.csv", index=False)
        if is_told:
            with pytest.raises(ValueError, match=f"is in the splits {splits[0]} and {splits[1]}"):
                datasets.read([f"manifests={tmp_path}"])
        else:
            assert [r.split for r in datasets.read([f"manifests={tmp_path}"])] == ["train", "train"]


def test_a_folder_is_the_same_however_one_spells_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ct").mkdir()
    lines = ["file,label,source,group,split,official_split", "a.png,covid,b,c,test,"]
    (tmp_path / "ct" / "manifest.csv").write_text("\n".join(lines))
    monkeypatch.chdir(tmp_path)
    assert datasets.read(["manifests=."]) == datasets.read([f"manifests={tmp_path}"])


def test_ct_lesion_frames_needs_both(tmp_path: Path) -> None:
    picture(tmp_path / "frames" / "a_1.png")
    picture(tmp_path / "frames" / "b_1.png")
    picture(tmp_path / "masks" / "a_1.png")
    for folder in ("frames", "masks"):
        for taken in ("Jun_coronacases_case1_90.png", "bjorke_98.png"):
            picture(tmp_path / folder / taken)
    (record,) = public.ct_lesion_frames(tmp_path)
    assert record.lesions == tmp_path / "masks" / "a_1.png" and record.lesions_known


def test_sars_cov_2_ct_groups_by_runs(tmp_path: Path) -> None:
    for i in (1, 2, 71):
        picture(tmp_path / "COVID" / f"Covid ({i}).png")
    picture(tmp_path / "non-COVID" / "Non-Covid (1).png")
    records = public.sars_cov_2_ct(tmp_path)
    assert len({r.group for r in records}) == 3 and sum(r.covid or 0 for r in records) == 3


def test_covid_ct_keeps_the_official_split(tmp_path: Path) -> None:
    for part, folder in (("COVID", "CT_COVID"), ("NonCOVID", "CT_NonCOVID")):
        for split in ("train", "val", "test"):
            picture(tmp_path / "Images-processed" / folder / f"{split}-p1-1.png")
            names = tmp_path / "Data-split" / part / f"{split}CT_{part}.txt"
            names.parent.mkdir(parents=True, exist_ok=True)
            names.write_text(f"{split}-p1-1.png\n")
    records = public.covid_ct(tmp_path)
    assert sorted(r.official_split for r in records) == ["test", "test", "train", "train", "val", "val"]
    assert [r.split for r in records] == [r.official_split for r in records]
    # Another figure of the paper with a test image goes with it, whatever was published.
    picture(tmp_path / "Images-processed" / "CT_COVID" / "test-p2-7.png")
    with (tmp_path / "Data-split" / "COVID" / "trainCT_COVID.txt").open("a") as names:
        names.write("test-p2-7.png\n")
    records = public.covid_ct(tmp_path)
    (moved,) = (r for r in records if r.image.name == "test-p2-7.png")
    assert (moved.split, moved.official_split) == ("test", "train") and groups_stay_whole(records)
    (tmp_path / "Data-split" / "COVID" / "valCT_COVID.txt").unlink()
    with pytest.raises(ValueError, match="published split"):
        public.covid_ct(tmp_path)


@pytest.mark.parametrize("name", [n for n in datasets.READERS if n not in ("manifests", "covid_ct")])
def test_an_empty_folder_is_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Expected the layout"):
        datasets.read([f"{name}={tmp_path}"])


def test_volumes_to_slices(tmp_path: Path) -> None:
    import nibabel

    lungs = np.zeros((40, 50, 3), np.float32)
    lungs[5:15, 30:45, :] = 1  # low first index: the patient's left in this affine
    lesion = np.zeros_like(lungs)
    lesion[6:8, 32:34, 1] = 1
    volume = np.where(lungs > 0, -800, 40).astype(np.float32)
    for folder, values in (("COVID-19-CT-Seg_20cases", volume), ("Lung_Mask", lungs), ("Infection_Mask", lesion)):
        (tmp_path / folder).mkdir()
        for name in ("case_1", "case_2_10_1", "case_2_10_3", "case_3"):
            nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), tmp_path / folder / f"{name}.nii.gz")
    assert covid_19_ct_seg.convert(tmp_path, tmp_path / "out") == 12
    records = manifests.ct_lesions(tmp_path / "out")
    assert [r.lesions is not None for r in records] == [False, True, False] * 4
    shown = np.asarray(Image.open(records[1].image))
    assert shown.shape == (50, 40)
    assert shown[50 - 1 - 31, 40 - 1 - 7] < 128 < shown[0, 0]  # front on top, patient's right on the left
    assert {r.split for r in records} == {"train", "val", "test"} and groups_stay_whole(records)
    assert len({r.group for r in records}) == 3


def test_every_source_is_cited() -> None:
    for source in datasets.sources().values():
        assert set(source) == {"title", "citation", "licence", "url", "note", "modality", "trains"}
        assert all(value for name, value in source.items() if name != "trains")
        assert source["modality"] in ("xray", "ct") and set(source["trains"]) <= {"classify", "segment"}


def test_a_picture_gathered_twice_trains_in_no_part_that_is_measured(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)

    def record(name: str, source: str, split: str, copy: Record | None = None) -> Record:
        file = tmp_path / f"{name}.png"
        grey = np.asarray(Image.open(copy.image)) if copy else rng.integers(0, 256, (64, 64), np.uint8)
        Image.fromarray(grey).save(file)
        return Record(file, "xray", "xray", source, name, split, "covid")

    external = record("external", "ieee8023", "external")
    excluded = record("excluded", "web_mixed", "excluded")
    kept = [
        external,
        excluded,
        record("own", "cxnet_web", "train"),
        record("second", "cxnet_web", "train", excluded),  # the excluded one is the second copy, and in no part
        record("elsewhere", "bimcv", "train", external),  # sources that come with their own splits are not looked at
    ]
    returning = [record("again", "cxnet_web", "train", external), record("third", "qata_cov19", "train", excluded)]
    assert overlap.without_returning([*kept, *returning]) == kept


def test_external_images_the_u_net_learned_from_are_known(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)

    def record(name: str, split: str, copy: Record | None = None, **marks: Path) -> Record:
        file = tmp_path / f"{name}.png"
        grey = np.asarray(Image.open(copy.image)) if copy else rng.integers(0, 256, (64, 64), np.uint8)
        Image.fromarray(grey).save(file)
        return Record(file, "xray", "any", "s", name, split, "" if marks else "covid", **marks)

    new, seen, tested = (record(name, "external") for name in ("new", "seen", "tested"))
    mask = tmp_path / "mask.png"
    learned = record("a", "train", seen, lungs=mask)
    measured = record("b", "test", tested, lungs=mask)  # it did not learn from those it is measured on
    every = [new, seen, tested, learned, measured]
    assert evaluate.masked(every) == {str(tmp_path / "seen.png")}
    rows = pd.DataFrame([{"file": str(r.image), "split": r.split} for r in (new, seen, tested, measured)])
    assert list(evaluate.among_masked(rows, every)) == [False, True, False, False]
    with pytest.raises(ValueError, match="--data lacks external X-rays"):  # of a folder that lies elsewhere now
        evaluate.among_masked(rows, every[1:])
    table = pd.DataFrame({"modality": "xray", "split": "external", "source": "s", "finding": "covid"}, range(2))
    table = table.assign(official_split="", dataset="any")
    assert "external_unseen" not in evaluate.protocols(table)["xray"]  # where it was not looked for
    found = evaluate.protocols(table.assign(masked=[True, False]))["xray"]
    assert list(found["external_unseen"]) == [False, True] and found["external"].all()


def test_a_patient_with_lungs_and_lesions_marked_is_measured_only_where_nothing_of_them_trained(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)

    def record(name: str, source: str, split: str, patient: str, copy: Record | None = None) -> Record:
        file = tmp_path / f"{name}.png"
        grey = np.asarray(Image.open(copy.image)) if copy else rng.integers(0, 256, (64, 64), np.uint8)
        Image.fromarray(grey).save(file)
        return Record(file, "xray", "masks", source, patient, split)

    lesions, lungs = "qata_cov19", "ieee8023_v7"
    kept = [
        record("a", lesions, "train", "1"),
        record("b", lungs, "train", "1"),
        record("c", lungs, "test", "2"),
        record("d", lesions, "test", "2"),
        record("e", "nlm_shenzhen", "test", "1"),  # of another archive: its numbers are not theirs
    ]
    trained_with_lesions = record("f", lungs, "test", "1")
    trained_with_lungs = record("g", lesions, "val", "1")
    copied = record("h", lungs, "test", "unknown", copy=kept[0])
    chosen_on_a_test_patient = record("i", lungs, "val", "2")
    dropped = [trained_with_lesions, trained_with_lungs, copied, chosen_on_a_test_patient]
    assert overlap.untrained([*kept, *dropped]) == kept


def test_slices_of_inf_net_of_one_patient_are_one_group(tmp_path: Path) -> None:
    folder = tmp_path / "ct_lesions_infnet"
    folder.mkdir()
    test = [f"test/images/{n}.webp,l,c,test," for n in (6, 91, 93, 95)]
    train = [
        "train/images/6.webp,l,c,train,",
        "train/images/5.webp,l,c,train,93 (same patient (neighbouring slice))",
        "train/images/4.webp,l,c,train,91/93 cluster (same cluster as 5/17/46 (same patient))",
        "train/images/26.webp,l,c,train,6 (probably same patient)",
    ]
    (folder / "manifest.csv").write_text("\n".join(["image,lesions,classes,split,same_patient_as_test", *test, *train]))
    found = {(r.split, r.image.stem): r.group for r in manifests.infnet(tmp_path)}
    cluster = {found["test", "91"], found["test", "93"], found["train_overlap", "4"], found["train_overlap", "5"]}
    assert len(cluster) == 1 and found["train_overlap", "26"] == found["test", "6"]
    assert len(set(found.values())) == 4 and found["train", "6"] != found["test", "6"]


def test_masks_of_one_patient_in_two_sets_are_one_group(tmp_path: Path) -> None:
    tables = {
        "xray_lesions": "image,lesions,group,patient,split\na.png,a.png,g1,ieee8023:68,test\nb.png,b.png,g2,,train",
        "xray_lungs": "image,lungs,ignore,patient,source\nv.png,v.png,,ieee8023:68,ieee8023_v7",
    }
    for name, text in tables.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "manifest.csv").write_text(text)
    one, other = manifests.xray_lesions(tmp_path)
    (lungs,) = manifests.xray_lungs(tmp_path)
    assert one.group == lungs.group != other.group
