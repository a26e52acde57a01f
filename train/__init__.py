"""Train, calibrate and evaluate the networks; never imported by the app."""

import covid_core._torchvision  # noqa: F401  (Lightning and torchmetrics import torchvision)
