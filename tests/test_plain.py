"""The plain network is the file that lies there, sees the whole picture, and says where it looked."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import expit

from covid_core import engine, images, networks, painting, plain, preprocess, registry, shortcuts, weights
from tests import golden


@pytest.fixture(scope="module")
def chest() -> shortcuts.Chest:
    return shortcuts.chest(images.decode(golden.png("xray-lesions")))


@pytest.fixture
def forgotten() -> Iterator[None]:
    plain._loaded.cache_clear()
    yield
    plain._loaded.cache_clear()


def test_its_answer_is_that_of_the_trained_network(chest: shortcuts.Chest) -> None:
    spec = registry.get(registry.DEFAULT)
    file = weights.locate(spec, plain.FILE)
    network, head = networks.load(spec, [file], "xray"), weights.read([file], "head.")
    square, _ = preprocess.whole_square(chest.image.pixels, "xray", spec.sizes["xray"])
    looks = torch.from_numpy(np.stack([square, np.fliplr(square)])[:, None] * 2 - 1).float()
    with torch.inference_mode():
        pooled = network(looks).mean(dim=(2, 3)).numpy()
    logits = pooled @ head["head.weight"][0] + head["head.bias"]
    answer = plain.ask(chest.image, chest.lungs)
    assert answer is not None
    assert answer.probability == pytest.approx(expit(logits).mean(), abs=engine.TOLERANCE)
    # The cells say where the logit comes from.
    assert answer.explanation.cells.sum() + answer.explanation.bias == pytest.approx(logits.mean(), abs=0.02)


def test_it_sees_what_lies_outside_the_lungs(chest: shortcuts.Chest) -> None:
    corner = np.zeros_like(chest.lungs)
    corner[:20, :20] = True
    pixels = np.where(corner, 1, chest.image.pixels).astype(np.float32)
    marked, as_it_is = (plain.ask(replace(chest.image, pixels=p), chest.lungs) for p in (pixels, chest.image.pixels))
    assert marked and as_it_is and abs(marked.probability - as_it_is.probability) > 1e-6


def test_several_who_ask_at_once_load_it_once(forgotten: None, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[object] = []
    whole = engine.of_files

    def counted(*given: object) -> engine.Run:
        started.append(given)
        return whole(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(engine, "of_files", counted)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: plain.network(), range(4)))
    assert len(started) == 1 and all(one is found[0] for one in found)


def test_without_its_file_there_is_none(
    chest: shortcuts.Chest, monkeypatch: pytest.MonkeyPatch, forgotten: None
) -> None:
    spec = registry.get(registry.DEFAULT)
    others = {name: sha for name, sha in spec.files.items() if name != plain.FILE}
    monkeypatch.setattr(registry, "get", lambda _: replace(spec, files=others))
    assert plain.ask(chest.image, chest.lungs) is None


def test_evidence_is_painted_where_it_is(chest: shortcuts.Chest) -> None:
    answer = plain.ask(chest.image, chest.lungs)
    assert answer is not None
    cells = np.zeros((4, 4), np.float32)
    cells[0, 0], cells[3, 3] = 10, -10  # against COVID-19: nothing to paint
    pixels = np.full((80, 80), 0.5, np.float32)
    painted = painting.grad_cam(pixels, replace(answer.explanation, cells=cells, frame=preprocess.whole((80, 80))), 1.0)
    assert painted[5, 5].tolist() == [int(painting.GREEN[i : i + 2], 16) for i in (1, 3, 5)]
    assert painted[75, 75].tolist() == painted[40, 40].tolist() == [round(127.5 * painting.DIMMED)] * 3
