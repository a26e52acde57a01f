"""Models: every model's card, figures with intervals, reliability, weights."""

import streamlit as st

from covid_core import figures, registry, weights

st.title("Models")
st.markdown(
    "Every figure was computed once by `train/evaluate.py` on images the model never saw, with a 95 % bootstrap interval "
    "over patients. Compare *test* (the same sources as in training) with *external* (other hospitals): the gap is what "
    "the network learned about the sources instead of the disease."
)


def table(metrics: dict, path: tuple[str, ...] = ()) -> list[dict]:
    """All figures below a part of the metrics, one row each."""
    found = []
    for name, value in metrics.items():
        if isinstance(value, dict) and "value" in value:
            if value["value"] is not None:
                found.append(
                    {
                        "protocol": " / ".join(path),
                        "measure": name,
                        "value": value["value"],
                        "95 % low": value["low"],
                        "95 % high": value["high"],
                        "n": value["n"],
                    }
                )
        elif isinstance(value, dict):
            found += table(value, (*path, name))
        elif isinstance(value, list) and len(value) == 2 and all(isinstance(v, int) for v in value):
            found.append({"protocol": " / ".join(path), "measure": name, "value": value[0] / value[1], "n": value[1]})
    return found


for spec in registry.MODELS.values():
    st.header(spec.title)
    st.caption(
        f"`{spec.name}`, {spec.architecture}, {spec.size} px, reads {' and '.join(spec.modalities)}. "
        f"Weights: {weights.status(spec)}."
    )
    try:
        config = weights.load_config(spec)
        card = weights.ASSETS / spec.name / "README.md"
        data = weights.locate(spec, registry.WEIGHTS).read_bytes()
    except weights.WeightsError as error:
        st.error(str(error))
        continue
    st.dataframe(table(config["metrics"]), width="stretch", hide_index=True)
    protocols = {
        f"{modality} / {name}": part["reliability"]
        for modality, parts in config["metrics"].items()
        for name, part in parts.items()
        if isinstance(part, dict) and "reliability" in part
    }
    if protocols:
        chosen = st.selectbox("Reliability on", list(protocols), key=f"reliability-{spec.name}")
        st.plotly_chart(figures.reliability_diagram(protocols[chosen], chosen), key=f"diagram-{spec.name}")
    with st.expander("Model card and training data"):
        st.markdown(card.read_text(encoding="utf-8").split("---", 2)[-1])
    st.download_button(
        f"Weights ({len(data) / 2**20:.1f} MB)", data, f"{spec.name}.safetensors", key=f"weights-{spec.name}"
    )
