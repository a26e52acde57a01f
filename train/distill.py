"""Train a backbone with a finished model as its teacher: `python -m train.distill --model resnet50 --teacher mobilenetv2 ...`.

As `train.classifier`, and on every augmented picture the student must also give the teacher's pooled features, through a
linear map that is thrown away afterwards, and its answer. That is meant to need fewer pictures than labels alone would; whether
it does, `train.starts` measures. (Hinton 2015, arXiv 1503.02531; the same view for both: Beyer 2022, "A good teacher is patient and
consistent", arXiv 2106.05237; features: Romero 2015, arXiv 1412.6550.)
"""

import argparse
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import Dataset

from covid_core import classify, engine, registry
from train import initial, script, trainer
from train.classifier import ClassifierTask, Example, Views, add_arguments, data, fit, modalities

TaughtExample = tuple[*Example, int]


class Taught(Dataset[TaughtExample]):
    """Views with the number of their modality in `registry.ModelSpec.modalities`."""

    def __init__(self, views: Views, order: Sequence[str]) -> None:
        self.views, self.modality = views, [order.index(m) for m in views.modality]

    def __len__(self) -> int:
        return len(self.views)

    def __getitem__(self, index: int) -> TaughtExample:
        return (*self.views[index], self.modality[index])


class Teacher:
    """A finished classifier, on batches: pooled features, and logit without the opacity the U-Net found, which shifts its answers.

    Attributes:
        channels: of the features.
    """

    def __init__(self, spec: registry.ModelSpec, order: Sequence[str]) -> None:
        classifier = classify.Classifier.load(spec)
        self.sizes = [spec.sizes[m] for m in order]
        self.runs: list[engine.Run] = [classifier.runs[m] for m in order]
        heads = [classifier.heads[m] for m in order]
        self.weights = [torch.from_numpy(weight.mean(axis=0)[:-1]) for weight, _ in heads]
        self.biases = [float(bias.mean()) for _, bias in heads]
        self.channels = len(self.weights[0])

    def __call__(self, image: Tensor, modality: Tensor) -> tuple[Tensor, Tensor]:
        """Features [N, C] and logits [N] of images [N, 1, S, S] in -1..1."""
        features = torch.zeros(len(image), self.channels)
        logits = torch.zeros(len(image))
        for number, (run, size) in enumerate(zip(self.runs, self.sizes, strict=True)):
            mine = (modality == number).cpu()
            if mine.any():
                scaled = F.interpolate(image[mine].float(), (size, size), mode="bilinear", antialias=True)
                features[mine] = torch.from_numpy(run(scaled.cpu().numpy())).mean(dim=(2, 3))
                logits[mine] = features[mine] @ self.weights[number] + self.biases[number]
        return features.to(image.device), logits.to(image.device)


class DistillTask(ClassifierTask):
    """The classifier's task beside the teacher's features and answers."""

    def __init__(self, architecture: str, rate: float, watched: Sequence[str], teacher: Teacher) -> None:
        super().__init__(architecture, rate, watched)
        self.teacher = teacher
        self.map = torch.nn.Linear(self.network.channels, teacher.channels + 1)  # features and logit

    def training_step(self, batch: TaughtExample, _: int) -> Tensor:  # type: ignore[override]
        image, _target, _label, _opacity, modality = batch
        features = self.network(image)
        with torch.autocast(image.device.type, enabled=False):
            taught, answer = self.teacher(image, torch.as_tensor(modality))
            pooled = features.float().mean(dim=(2, 3))
            given = self.map(pooled)
            # In units of how much the teacher's features differ between pictures: 1 for a constant guess.
            matched = F.mse_loss(given[:, :-1], taught) / taught.var(dim=0).mean()
            agreed = F.binary_cross_entropy_with_logits(given[:, -1], answer.sigmoid())
        self.log_dict({"matched": matched, "agreed": agreed}, prog_bar=True)
        return self.supervised(features, batch[:4]) + matched + agreed


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; see `--help`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.add_argument("--teacher", choices=script.TRAINED, default=registry.DEFAULT, help="a finished classifier")
    trainer.add_arguments(parser, epochs=10, batch=32, rate=1e-3)
    options = parser.parse_args(arguments)
    if options.batch < 2:
        parser.error("--batch must be 2 at least: the teacher's features are compared between pictures.")
    initial.seed_everything(options.seed)
    order = modalities(options)
    train, weight, watched = data(options)
    teacher = Teacher(registry.get(options.teacher), order)
    architecture = registry.get(options.model).architecture
    task = DistillTask(architecture, options.rate, [f"val_{m}" for m in order], teacher)
    fit(task, Taught(train, order), weight, watched, options, options.out)
    if task.trainer.is_global_zero:
        initial.save(task.network, options.out / "backbone.safetensors")


if __name__ == "__main__":
    script.run(main)
