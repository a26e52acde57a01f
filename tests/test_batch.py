"""Many files: each gets a row, whatever it holds; an archive is unpacked a file at a time and never taken at its word."""

import csv
import io
import json
import zipfile
from pathlib import Path

import pytest

from covid_core import archive, batch, encode, images, overview, verdict
from covid_core.images import ImageError
from tests import golden, pictures


def packed(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as file:
        for name, data in files.items():
            file.writestr(name, data)
    return stream.getvalue()


def reasons(files: list[tuple[str, bytes]]) -> dict[str, str]:
    found = {}
    for entry in batch.of_uploads(files):
        try:
            images.decode(entry.load(), entry.name)
            found[entry.name] = ""
        except ImageError as error:
            found[entry.name] = str(error)
    return found


def test_files_and_archives_become_entries_in_their_order() -> None:
    good = pictures.encode(pictures.GREY)
    inner = packed(
        {"a/one.png": good, "__MACOSX/._one.png": b"x", ".DS_Store": b"x", "read.txt": b"hello", "empty/": b""}
    )
    found = reasons([("first.png", good), ("all.zip", inner), ("last.png", b"")])
    assert list(found) == ["first.png", "all.zip/a/one.png", "all.zip/read.txt", "last.png"]
    assert found["first.png"] == found["all.zip/a/one.png"] == ""
    assert "text file" in found["all.zip/read.txt"] and "empty" in found["last.png"]


def test_an_entry_without_a_name_is_no_file() -> None:
    good = pictures.encode(pictures.GREY)
    nameless = bytearray(packed({"n": b"x", "one.png": good}))
    for at in (nameless.index(b"PK\x03\x04") + 26, nameless.index(b"PK\x01\x02") + 28):
        nameless[at], nameless[at + 2] = 0, 1  # the letter counts to what follows the name
    assert reasons([("x.zip", bytes(nameless))]) == {"x.zip/one.png": ""}


def test_a_bad_archive_is_one_bad_file() -> None:
    good = pictures.encode(pictures.GREY)
    whole = packed({"one.png": good})
    locked = bytearray(whole)
    for at in (whole.index(b"PK\x03\x04") + 6, whole.index(b"PK\x01\x02") + 8):
        locked[at] |= 1
    lzma = packed({"one.png": good}, zipfile.ZIP_LZMA)
    found = reasons([("cut.zip", whole[:-30]), ("locked.zip", bytes(locked)), ("lzma.zip", lzma), ("good.png", good)])
    assert "damaged" in found["cut.zip"] and "encrypted" in found["locked.zip"] and "unusual" in found["lzma.zip"]
    assert found["good.png"] == ""


def test_a_damaged_member_does_not_take_the_others_with_it() -> None:
    data = bytearray(packed({"one.png": b"a" * 500, "two.png": pictures.encode(pictures.GREY)}, zipfile.ZIP_STORED))
    data[data.index(b"a" * 500) + 100] ^= 1
    found = reasons([("x.zip", bytes(data))])
    assert "damaged" in found["x.zip/one.png"] and found["x.zip/two.png"] == ""


def test_a_locked_member_does_not_take_the_others_with_it() -> None:
    good, stream = pictures.encode(pictures.GREY), io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        file.writestr("one.png", good, zipfile.ZIP_LZMA)
        file.writestr("two.png", good)
    found = reasons([("x.zip", stream.getvalue())])
    assert "unusual" in found["x.zip/one.png"] and found["x.zip/two.png"] == ""


def test_no_cell_is_a_formula() -> None:
    for name in ("=1+1.png", "+1.png", "-1.png", "@SUM(1).png", "\t=1.png"):
        (read,) = csv.DictReader(io.StringIO(batch.to_csv([{"file": name, "error": "none", "aleatoric": -1}])))
        assert (read["file"], read["aleatoric"]) == (f"'{name}", "-1")


def test_too_much_is_refused_before_it_is_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = packed({"bomb.png": bytes(images.MAX_BYTES + 1), "good.png": pictures.encode(pictures.GREY)})
    opened: list[str] = []
    real = zipfile.ZipFile.open
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda z, e: opened.append(e.filename) or real(z, e))
    found = reasons([("b.zip", bomb)])
    assert "larger than" in found["b.zip/bomb.png"] and found["b.zip/good.png"] == "" and opened == ["good.png"]
    monkeypatch.undo()
    many = packed({f"{n}.png": b"" for n in range(archive.MAX_FILES + 1)}, zipfile.ZIP_STORED)
    assert "more than 1,500 files" in reasons([("many.zip", many)])["many.zip"]
    with pytest.raises(ImageError, match="no file in this archive"):
        batch.of_uploads([("empty.zip", packed({"folder/": b"", ".DS_Store": b"x"}))])
    with pytest.raises(ImageError, match="1,600 files"):
        batch.of_uploads([("a.png", b"x")] * 1600)
    monkeypatch.setattr(batch, "MAX_BYTES", 10)
    with pytest.raises(ImageError, match="together"):
        batch.of_uploads([("a.png", b"x" * 11)])


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, object]]:
    folder = tmp_path_factory.mktemp("batch")
    files: list[Path] = []
    for name, data in (
        ("ct.png", golden.png("ct-lesions")),
        ("text.png", b"only words"),
        ("x.png", golden.png("xray-healthy")),
    ):
        files.append(folder / name)
        files[-1].write_bytes(data)
    return list(batch.classify_files([*files, folder / "none.png"]))


def test_uploads_are_answered_as_files_are(rows: list[dict[str, object]]) -> None:
    (entry,) = batch.of_uploads([("a.zip", packed({"ct.png": golden.png("ct-lesions")}))])
    answered = batch.answer(entry)
    assert answered.image is not None and answered.image.name == "ct.png"
    apart = ("file", "seconds")
    assert {k: v for k, v in answered.row.items() if k not in apart} == {
        k: v for k, v in rows[0].items() if k not in apart
    }


def test_a_csv_file_holds_every_row(rows: list[dict[str, object]]) -> None:
    read = list(csv.DictReader(io.StringIO(batch.to_csv(rows))))
    assert [line["file"] for line in read] == [row["file"] for row in rows]
    assert json.loads(read[0]["covid_interval"]) == rows[0]["covid_interval"]
    assert read[1]["error"] == rows[1]["error"] and read[3]["error"] and not read[0]["error"]


def test_figures_count_and_sort_the_rows(rows: list[dict[str, object]]) -> None:
    bars = overview.counts(rows).data[0]
    assert sum(bars.x) == 4 and dict(zip(bars.y, bars.x, strict=True))["Could not be read"] == 2
    drawn = [(x, y) for trace in overview.probabilities(rows).data for x, y in zip(trace.x, trace.y, strict=True)]
    values = [y for _, y in sorted(drawn)]
    assert values == sorted((r["covid_probability"] for r in rows if r.get("covid_interval")), reverse=True)
    named = {"file": "cat.png", "gate": {"reason": verdict.UNLIKE}}  # whose probability no page shows
    assert overview.probabilities([*rows, dict(rows[0]) | named]) == overview.probabilities(rows)
    assert overview.counts([]).data[0].x == () and not overview.probabilities([]).data


def test_a_thumbnail_is_small_and_keeps_its_shape() -> None:
    url = encode.thumbnail(images.decode(golden.png("ct-lesions")).pixels, 64)
    assert url.startswith("data:image/webp;base64,") and len(url) < 4000
