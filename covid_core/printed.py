"""The answer to one picture as one HTML file that prints on a page: no script, nothing fetched, picture and bars inside."""

import base64
import html
import json
from collections.abc import Sequence
from datetime import date

import covid_core
from covid_core import figures, report
from covid_core.diagnose import Diagnosis

DISCLAIMER = "Not a medical device. For teaching and research only: never decide about a patient with it."
STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #0f172a; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0 0 .2rem; } h2 { font-size: 1.1rem; margin: 1.2rem 0 .4rem; }
.warning { background: #7c2d12; color: #fff; padding: .5rem .8rem; border-radius: .3rem; font-weight: 600; }
.pictures { display: flex; gap: 1rem; flex-wrap: wrap; } figure { margin: 0; flex: 1 1 16rem; } img { width: 100%; }
figcaption, .small { color: #475569; font-size: .85rem; }
table { border-collapse: collapse; width: 100%; } td, th { text-align: left; padding: .25rem .6rem .25rem 0; vertical-align: top; }
tr { border-bottom: 1px solid #e2e8f0; } code { font-size: .8rem; overflow-wrap: anywhere; }
@media print { .warning { -webkit-print-color-adjust: exact; print-color-adjust: exact; } }
"""


def page(result: Diagnosis, shown: Sequence[str], opacity: float) -> str:
    """The whole report.

    Args:
        result: of one picture.
        shown: names of `figures.LAYERS` painted on the second picture.
        opacity: of them, 0..1.

    Returns:
        an HTML document.
    """
    answer = result.classification
    name = html.escape(result.image.name)
    pictures = _picture(figures.layers(result, [], 0), "The picture")
    if result.segmentation is not None and shown:
        pictures += _picture(figures.layers(result, list(shown), opacity), ", ".join(shown))
    rows = "".join(f"<tr><th>{label}</th><td>{value}</td></tr>" for label, value in _facts(result))
    stored = html.escape(json.dumps(report.classification_row(result.image.name, result), indent=1))
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{name}: {report.DECISIONS[answer.decision]}</title><style>{STYLE}</style></head>
<body>
<p class="warning">{DISCLAIMER}</p>
<h1>{report.DECISIONS[answer.decision]}</h1>
<p>{name}. {html.escape(answer.reason)}</p>
{_bar(result)}
<div class="pictures">{pictures}</div>
<h2>What was measured</h2>
<table>{rows}</table>
<h2>The same for machines</h2>
<details><summary>JSON</summary><pre class="small">{stored}</pre></details>
</body></html>
"""


def _facts(result: Diagnosis) -> list[tuple[str, str]]:
    answer, found = result.classification, result.segmentation
    facts = [("Kind of image", {"xray": "chest X-ray", "ct": "chest CT slice"}[answer.modality])]
    if answer.probability is not None and answer.interval is not None:
        low, high = (report.percent(v) for v in answer.interval)
        facts += [
            ("Probability of COVID-19", f"{report.percent(answer.probability)}, interval {low} to {high}"),
            ("Level of interval and set", report.percent(answer.level)),
            ("Not ruled out", report.held(answer.prediction_set)),
            ("Aleatoric and epistemic doubt", f"{answer.aleatoric:.3f} and {answer.epistemic:.3f} bit"),
            ("Distance from the training images", f"{answer.gate.ood_score:.2f} (above 1: unlike them)"),
        ]
    if found is not None and found.lesion_percent_of_lung is not None and found.lesion_interval is not None:
        low, high = (f"{v:.1f}" for v in found.lesion_interval)
        facts.append(
            ("Marked as lesion", f"{found.lesion_percent_of_lung:.1f} % of the lungs, interval {low} to {high} %")
        )
        dense = found.consolidation_percent_of_lesions
        if dense is not None:
            facts.append(("Of it consolidation", f"{dense:.0f} %, the rest ground glass"))
    elif found is not None:
        facts.append(("Marked as lesion", f"cannot say. {html.escape(found.reason)}"))
    facts.append(("Model", f"{answer.model}, weights <code>{answer.weights_sha256}</code>"))
    if found is not None:
        facts.append(("U-Net", f"{found.model}, weights <code>{found.weights_sha256}</code>"))
    facts += [("Picture", f"<code>{result.image.sha256}</code>"), ("Version", covid_core.__version__)]
    facts.append(("Printed", date.today().isoformat()))
    return facts


def _bar(result: Diagnosis) -> str:
    """Mean, interval and samples on an axis from 0 to 100 %, as SVG."""
    answer = result.classification
    if answer.probability is None or answer.interval is None:
        return ""

    def x(value: float) -> float:
        return 30 + 540 * value

    low, high = answer.interval
    samples = "".join(
        f'<circle cx="{x(float(p)):.1f}" cy="{18 + 7 * (i % 5)}" r="2.5" fill="{figures.BLUE}" opacity=".3"/>'
        for i, p in enumerate(answer.samples)
    )
    ticks = "".join(
        f'<text x="{x(t / 4)}" y="78" text-anchor="middle">{25 * t} %</text>'
        f'<line x1="{x(t / 4)}" x2="{x(t / 4)}" y1="56" y2="62" stroke="{figures.GREY}"/>'
        for t in range(5)
    )
    said = f"Probability of COVID-19 {report.percent(answer.probability)}"
    return f"""<svg viewBox="0 0 600 84" role="img" aria-label="{said}" font-size="12" fill="#475569">
{samples}<line x1="30" x2="570" y1="56" y2="56" stroke="{figures.GREY}"/>{ticks}
<line x1="{x(low):.1f}" x2="{x(high):.1f}" y1="32" y2="32" stroke="{figures.VERMILION}" stroke-width="4"/>
<circle cx="{x(answer.probability):.1f}" cy="32" r="7" fill="{figures.VERMILION}" stroke="#fff"/></svg>"""


def _picture(pixels: figures.Pixels, caption: str) -> str:
    data = base64.b64encode(report.png(pixels)).decode()
    words = html.escape(caption)
    return f'<figure><img src="data:image/png;base64,{data}" alt="{words}"><figcaption>{words}</figcaption></figure>'
