"""The answer to one picture as one HTML file that prints on a page: no script, nothing fetched, picture and bars inside.

What page and print say in the same words is here, too.
"""

import html
import json
from collections.abc import Mapping, Sequence
from datetime import date

import covid_core
from covid_core import encode, painting, report
from covid_core.diagnose import Diagnosis
from covid_core.explain import Explanation
from covid_core.segment import Segmentation

DISCLAIMER = "Not a medical device. For teaching and research only: never use it to decide about a patient."
# An interval wider than half of the scale, in percentage points, says little.
WIDE, HARDLY = 50.0, "very uncertain"
STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #0f172a; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0 0 .2rem; } h2 { font-size: 1.1rem; margin: 1.2rem 0 .4rem; }
.warning { background: #7c2d12; color: #fff; padding: .5rem .8rem; border-radius: .3rem; font-weight: 600; }
.pictures { display: flex; gap: 1rem; flex-wrap: wrap; } figure { margin: 0; flex: 1 1 16rem; } img { width: 100%; }
figcaption, .small { color: #475569; font-size: .85rem; } .key { white-space: nowrap; margin-right: .8rem; }
.key img { width: 1.6rem; height: 1rem; vertical-align: middle; border: 1px solid #475569; }
table { border-collapse: collapse; width: 100%; } td, th { text-align: left; padding: .25rem .6rem .25rem 0; vertical-align: top; }
tr { border-bottom: 1px solid #e2e8f0; } code { font-size: .8rem; overflow-wrap: anywhere; }
@media print { .warning { -webkit-print-color-adjust: exact; print-color-adjust: exact; } }
"""


def page(result: Diagnosis, shown: Sequence[str], opacity: float) -> str:
    """The whole report.

    Args:
        result: of one picture.
        shown: names of `painting.LAYERS` painted on the second picture.
        opacity: of them, 0..1.

    Returns:
        an HTML document.
    """
    answer = result.classification
    name = html.escape(result.image.name)
    pictures = _picture(painting.layers(result, [], 0), "The picture", "The picture")
    if result.segmentation is not None and shown:
        painted = painting.layers(result, list(shown), opacity, hatched=True)
        pictures += _picture(painted, f"The picture with layers: {', '.join(shown)}", key(result, shown, hatched=True))
    rows = "".join(f"<tr><th>{label}</th><td>{value}</td></tr>" for label, value in _facts(result))
    stored = html.escape(json.dumps(report.classification_row(result.image.name, result), indent=1))
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{name}: {report.DECISIONS[answer.decision]}</title><style>{STYLE}</style></head>
<body>
<p class="warning">{DISCLAIMER}</p>
<h1>{report.DECISIONS[answer.decision]}</h1>
<p>{name}. {html.escape(" ".join(filter(None, (answer.reason, report.caution(answer)))))}</p>
{_bar(result)}
<div class="pictures">{pictures}</div>
<h2>What was measured</h2>
<table>{rows}</table>
<h2>The same as JSON</h2>
<details><summary>JSON</summary><pre class="small">{stored}</pre></details>
</body></html>
"""


def _facts(result: Diagnosis) -> list[tuple[str, str]]:
    answer, found = result.classification, result.segmentation
    kinds = {"xray": "chest X-ray", "ct": "chest CT slice", "": "not looked for"}
    facts = [("Kind of image", kinds[answer.modality])]
    if answer.is_baseless:
        facts.append(("Probability of COVID-19", "withheld: for such a picture it means nothing"))
    elif answer.probability is not None and answer.interval is not None and answer.method:
        facts += [
            ("Probability of COVID-19", report.with_interval(answer.probability, answer.interval)),
            ("Level", report.percent(answer.level)),
            ("Sampling", report.METHOD_TITLES[answer.method]),
            ("Not ruled out at that level", report.held(answer.prediction_set)),
            ("Aleatoric and epistemic uncertainty", f"{answer.aleatoric:.3f} and {answer.epistemic:.3f} bit"),
        ]
    if answer.probability is not None:
        facts.append(("Distance from the training images", f"{answer.distance:.2f} (above 1: unlike them)"))
    if found is not None:
        facts.append(("Marked as lesion", html.escape(marked(found))))
        if said := consolidated(found):
            facts.append(("Of this, consolidation", said))
    if said := inside(result):
        facts.append(("Inside the lungs (Grad-CAM)", html.escape(said)))
    facts.append(("Model", f"{answer.model}, weights <code>{answer.weights_sha256}</code>"))
    if found is not None:
        facts.append(("U-Net", f"{found.model}, weights <code>{found.weights_sha256}</code>"))
    facts += [("Picture, SHA-256", f"<code>{result.image.sha256}</code>"), ("Version", covid_core.__version__)]
    facts.append(("Created", date.today().isoformat()))
    return facts


def says_little(interval: tuple[float, float]) -> bool:
    """Whether a share of the lungs, with this interval in per cent, is hardly measurable."""
    return interval[1] - interval[0] > WIDE


def consolidated(found: Segmentation) -> str:
    """The share of the marked that is consolidation; "" where that is not told."""
    percent = found.consolidation_percent_of_lesions
    return "" if percent is None else f"{report.share(percent / 100)}, by density alone"


def marked(found: Segmentation) -> str:
    """The share of the lungs that is marked, with its interval, or why there is none."""
    if found.lesion_percent_of_lung is None or found.lesion_interval is None:
        return f"cannot say. {found.reason}"
    low, high = found.lesion_interval
    share = report.share(found.lesion_percent_of_lung / 100, 1)
    said = f"{share} of the lung area, {report.percent(found.level)} interval {low:.1f} to {high:.1f} %"
    return f"{said}: {HARDLY}" if says_little(found.lesion_interval) else said


def inside(result: Diagnosis) -> str:
    """How much of the map's evidence lies in the lungs, and how much of the map they are; "" where there is none, or no lungs."""
    shown, found = result.explanation, result.segmentation
    if shown is None or shown.share_in_lungs is None or found is None or not found.plausible:
        return ""
    said = (
        f"{report.share(shown.share_in_lungs)} of the evidence for COVID-19 on the map of {painting.grid(shown)}. The lungs "
        f"cover {report.share(shown.lung_share)} of the map"
    )
    if shown.share_in_lungs < shown.lung_share:
        said += ": less than their share, so the evidence tends to lie outside the lung mask"
    return f"{said}. {summed(shown)}"


def summed(shown: Explanation) -> str:
    """What the map leaves out: the logit is a sum of which the map shows one part."""
    total = float(shown.cells.sum())
    return (
        f"Together its cells add {total:+.1f} to the logit, the logarithm of the odds (0 is one half, above speaks for COVID-19); "
        f"not on the map are the opacity the U-Net marked, {shown.opacity:+.1f}, and a constant, {shown.bias:+.1f}."
    )


def _bar(result: Diagnosis) -> str:
    """Mean, interval and samples on an axis from 0 to 100 %, as SVG."""
    answer = result.classification
    if answer.probability is None or answer.interval is None or answer.is_baseless:
        return ""

    def x(value: float) -> float:
        return 30 + 540 * value

    low, high = answer.interval
    samples = "".join(
        f'<circle cx="{x(float(p)):.1f}" cy="{18 + 7 * (i % 5)}" r="2.5" fill="{painting.BLUE}" opacity=".3"/>'
        for i, p in enumerate(answer.samples)
    )
    ticks = "".join(
        f'<text x="{x(t / 4)}" y="78" text-anchor="middle">{25 * t} %</text>'
        f'<line x1="{x(t / 4)}" x2="{x(t / 4)}" y1="56" y2="62" stroke="{painting.GREY}"/>'
        for t in range(5)
    )
    said = f"Probability of COVID-19 {report.percent(answer.probability)}"
    key = f"Dots: {answer.samples.size} samples. Large dot and line: their mean and the {report.percent(answer.level)} interval."
    return f"""<svg viewBox="0 0 600 100" role="img" aria-label="{said}" font-size="12" fill="#475569">
{samples}<line x1="30" x2="570" y1="56" y2="56" stroke="{painting.GREY}"/>{ticks}
<text x="300" y="96" text-anchor="middle">Probability of COVID-19</text>
<line x1="{x(low):.1f}" x2="{x(high):.1f}" y1="32" y2="32" stroke="{painting.VERMILION}" stroke-width="4"/>
<circle cx="{x(answer.probability):.1f}" cy="32" r="7" fill="{painting.VERMILION}" stroke="#fff"/></svg>
<p class="small">{key}</p>"""


def key(result: Diagnosis, shown: Sequence[str], hatched: bool) -> str:
    """What the colours of the layers stand for, or their patterns: HTML, whose pictures the page around it makes small."""
    return " ".join(
        f'<span class="key">{_image(painting.swatch(name, hatched), "")} {painting.described(result, name)}</span>'
        for name in painting.LAYERS
        if name in shown
    )


def legend(colours: Mapping[str, str]) -> str:
    """Names beside patches of their colours, as `key` has them."""
    return " ".join(f'<span class="key">{_image(painting.patch(c), "")} {name}</span>' for name, c in colours.items())


def _picture(pixels: painting.Pixels, words: str, caption: str) -> str:
    return f"<figure>{_image(pixels, words)}<figcaption>{caption}</figcaption></figure>"


def _image(pixels: painting.Pixels, words: str) -> str:
    return f'<img src="{encode.data_url(encode.png(pixels))}" alt="{html.escape(words)}">'
