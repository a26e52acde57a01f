"""About: the way from image to answer, the data, limits, privacy and licences."""

import streamlit as st

import covid_core
from covid_core import terms
from covid_core.weights import WeightsError
from pages import _board, _ui

FLOW = """
digraph {
  rankdir=TB; bgcolor="transparent"; nodesep=0.25; ranksep=0.3;
  node [shape=box, style="rounded,filled", fillcolor="#E0F2FE", color="#0072B2", fontname="sans-serif", fontcolor="#0F172A"];
  edge [color="#767676", fontname="sans-serif", fontcolor="#767676", fontsize=11];
  file [label="File: checked, decoded,\\none grey picture"];
  look [label="One look at the whole picture:\\nX-ray or CT? Like the training images?"];
  unet [label="U-Net of that kind:\\nlungs and lesions"];
  box [label="Backbone on the box\\naround the lungs"];
  heads [label="Five heads x fifty dropout masks:\\n250 samples"];
  sets [label="Temperature, interval,\\nwhat cannot be ruled out"];
  answer [label="Answer, or cannot say", fillcolor="#FEF3C7", color="#D55E00"];
  none [label="No answer, with the reason", fillcolor="#FEF3C7", color="#D55E00"];
  file -> look -> unet -> box -> heads -> sets -> answer;
  file -> none [label="colour, blank"];
  unet -> none [label="no plausible lungs"];
  unet -> answer [label="opacity seen?"];
  look -> answer [label="unlike: cannot say"];
}
"""
# What the report this project starts from says of itself; ours are counted from the stored rows.
REPORT = [
    {
        "images": "X-rays, COVID-19 Radiography Database",
        "COVID-19": "3,616",
        "other": "10,200",
        "claim": "99.7 % accuracy",
    },
    {"images": "CT slices", "COVID-19": "7,593", "other": "6,893", "claim": "99.4 % accuracy"},
    {
        "images": "CT slices with lesions, two sets",
        "COVID-19": "1,200 and 1,564",
        "other": "",
        "claim": "87 % on average",
    },
]
LIMITS = """
- **It is not a medical device**, and nobody has tested it in a clinic. Do not use it to decide about anyone.
- It learned COVID-19 of 2020 and 2021 from public collections, on X-rays mostly against healthy lungs, so it tells COVID-19
  poorly from other pneumonias. Vaccination, later variants and other hospitals are not in these collections.
- In hospitals it did not learn from it errs far more often; the **Scoreboard** says by how much.
- Many X-rays of COVID-19 patients show nothing; their label came from a PCR test. What is not visible cannot be read.
- A CT is read slice by slice; a radiologist reads the whole chest, and asks the patient.
- Most images come from few countries, and age and sex are mostly unknown: nobody can say for whom it works worse.
- Its uncertainty is that of the last layer. No sample can be unsure about what the backbone never looked at.
"""
PRIVACY = """
What you upload stays in this server's memory, even after your visit, until other pictures take its place; of a refused picture
only numbers stay. It is written to no file and sent nowhere. Of a DICOM file only the picture is used: no name, date or number
in it reaches an answer or a download. The name of the file itself does; rename a file that is named after a patient. Samples
marked as real cases are fetched from the web when you ask for them; the web site then sees this server's address. Do not upload
pictures of patients to a server that is not yours.
"""
LICENCES = """
The code is under the Apache License 2.0. The weights are for research and teaching: several of the data sets behind them are for
non-commercial use, as the table says. Cite the data sets if you use them.
"""


def ours() -> list[dict[str, object]]:
    """What our figures were measured on, from the stored rows."""
    return [
        {
            "images": terms.part_name(row["protocol"]),
            "COVID-19": row["n_covid"],
            "other": row["n"] - row["n_covid"],
            "patients or groups": row["groups"],
        }
        for row in _board.tested_on()
    ]


_ui.only_through_app()
st.title("About Covid Core")
st.markdown(
    "A teaching demo of COVID-19 imaging that says how sure it is. It starts from a student report (ResNet50 and InceptionResNetV2 "
    "by transfer learning, a U-Net, 99.7 % on X-rays, 99.4 % on CT) and asks what is left of such figures when copies, patients "
    "and hospitals are kept apart."
)
left, right = st.columns(2, gap="large")
with left:
    st.header("From image to answer")
    st.graphviz_chart(
        FLOW,
        width="stretch",
        alt="From file to answer: the file is checked and decoded, one look at the whole picture tells X-ray from CT, the U-Net of "
        "that kind finds lungs and lesions, the backbone sees the box around the lungs, five heads and fifty dropout masks give "
        "250 samples, and calibration turns them into an answer or cannot say. Colour pictures, blank ones and those without "
        "plausible lungs get no answer, with the reason.",
    )
    st.caption(
        "The networks run once. Samples, interval, prediction set and heat map are computed from the features they leave, which "
        "costs next to nothing."
    )
with right:
    st.header("Limits")
    st.markdown(LIMITS)
    st.header("Privacy")
    st.markdown(PRIVACY)
    st.header("Licences")
    st.markdown(LICENCES)
st.header("Data")
st.markdown("**The report this project starts from**, all split at random")
st.dataframe(REPORT, width="stretch", hide_index=True, alt="Images and claims of the original report")
st.markdown(
    "**What our figures were measured on**, kept apart from training by group (a patient where known, else copies or runs of "
    "similar slices) as far as is known; copies found later are named by the model cards. Two exceptions: the lesions that were "
    "moved are those of training patients, and the U-Net learned where lungs lie, but no diagnosis, from many X-rays of the other "
    "hospitals; a row of its own leaves these out. Earlier figures on the other hospitals and the children were known when the "
    "training was changed: the model cards say when."
)
try:
    localized = {
        name: st.column_config.NumberColumn(format="localized") for name in ("COVID-19", "other", "patients or groups")
    }
    st.dataframe(
        ours(), width="stretch", hide_index=True, column_config=localized, alt="Images our figures were measured on"
    )
except WeightsError as error:
    st.error(str(error), icon=":material/error:")
st.markdown("**Where all images come from**")
st.dataframe(
    _board.sources(),
    width="stretch",
    hide_index=True,
    column_config={
        "url": st.column_config.LinkColumn("address"),
        "trains": st.column_config.ListColumn("trains to", help="Empty: only measured on, or only read"),
    },
    alt="Data sets with citation and licence",
)
st.caption(f"Covid Core {covid_core.__version__}")
