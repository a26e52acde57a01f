"""Batch: many pictures or a zip archive, one row each, with what could not be read and why."""

import json
import time

import pandas
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from covid_core import batch, encode, overview, report
from covid_core.weights import WeightsError
from pages import _job, _pictures, _ui

THUMBNAIL = 64  # px
REDRAWN = 2.0  # seconds between two looks at the table while it fills


def work(job: _job.Job, place: DeltaGenerator) -> None:
    """Answer what is left; any click ends this run of the page, and the next one goes on here."""
    line, button = st.columns([4, 1], vertical_alignment="bottom")
    button.button("Stop", icon=":material/stop:", on_click=job.stop, width="stretch")
    bar, drawn = line.progress(0.0), -REDRAWN
    place.caption("The table appears with the first answers.")  # and a former batch's goes
    while len(job.rows) < len(job.entries):
        done, total = len(job.rows), len(job.entries)
        bar.progress(done / total, f"{done} of {total} answered{job.remaining()}")
        if job.rows and time.monotonic() - drawn > REDRAWN:
            place.dataframe(table(job, range(done)), column_config=COLUMNS, hide_index=True, alt="Answers so far")
            drawn = time.monotonic()
        started = time.monotonic()
        answered = batch.answer(job.entries[done], model=job.model)
        thumbnail = encode.thumbnail(answered.image.pixels, THUMBNAIL) if answered.image else None
        job.keep(done, answered.row, thumbnail, time.monotonic() - started)
    job.going = False
    st.rerun()


COLUMNS = {
    "picture": st.column_config.ImageColumn(" ", width=70),
    "file": st.column_config.TextColumn("File", width=120),
    "answer": st.column_config.TextColumn("Answer", width=170),
    "remark": st.column_config.TextColumn("Remark", width=250),
    "interval": st.column_config.TextColumn("Probability, 90 % interval", width=170),
    # A bar to look at and to sort by; the number stands beside it, in the words of the other pages.
    "probability": st.column_config.ProgressColumn("COVID-19", width=90, min_value=0, max_value=1, format=" "),
    "doubt": st.column_config.NumberColumn(
        "Uncertainty in bits", format="%.2f", help="Aleatoric and epistemic together"
    ),
    "kind": st.column_config.TextColumn("Kind", width=60),
}


def table(job: _job.Job, shown: range | list[int]) -> pandas.DataFrame:
    """These rows as they are shown."""
    kinds = {"xray": "X-ray", "ct": "CT"}
    lines = []
    for index in shown:
        row = job.rows[index]
        probability, interval, gate = row.get("covid_probability"), row.get("covid_interval"), row.get("gate")
        doubts = [row.get("aleatoric"), row.get("epistemic")]
        reason = gate["reason"] if isinstance(gate, dict) else ""
        if report.is_baseless(row):
            probability = interval = None
        lines.append(
            {
                "picture": job.thumbnails[index] or "",
                "file": row["file"],
                "answer": overview.OUTCOMES[overview.outcome(row)],
                "probability": probability,
                "interval": report.with_interval(probability, interval, "")
                if probability is not None and interval
                else "",
                "doubt": sum(d for d in doubts if isinstance(d, float)) if isinstance(interval, list) else None,
                "kind": kinds.get(str(row.get("modality")), ""),
                "remark": row.get("error") or reason,
            }
        )
    return pandas.DataFrame(lines, columns=list(COLUMNS))


def results(job: _job.Job) -> None:
    """Filter, table, charts and downloads."""
    present = [name for name in overview.OUTCOMES if name in {overview.outcome(row) for row in job.rows}]
    chosen = st.pills(
        "Show only", present, format_func=overview.OUTCOMES.__getitem__, selection_mode="multi", key="outcomes"
    )
    shown = [index for index, row in enumerate(job.rows) if overview.outcome(row) in (chosen or present)]
    event = st.dataframe(
        table(job, shown),
        column_config=COLUMNS,
        hide_index=True,
        alt="A row for each file, with its answer or the reason why there is none",
        on_select="rerun",
        selection_mode="single-row",
        key=f"table-{'-'.join(sorted(chosen))}",  # a mark is the place of a row, so it goes with the filter
    )
    st.caption(
        f"{len(shown)} of {len(job.rows)} rows. *{report.DECISIONS['non_covid']}* excludes no disease. Click a heading to sort; "
        "tick a row to read its remark and to open it in Diagnose."
    )
    for index in (shown[row] for row in event.selection.rows if row < len(shown)):  # one, or none
        entry, remark = job.entries[index], table(job, [index])["remark"][0]
        if remark:
            st.info(f"{_ui.plain(entry.name)}: {remark}", icon=":material/info:")
        if job.thumbnails[index] and st.button(
            f"Diagnose {_ui.plain(entry.name)}", icon=":material/pulmonology:", type="primary"
        ):
            _pictures.show_picture(_pictures.Upload(entry.name, entry.load(), is_computed=job.is_computed))
    left, right = st.columns(2, gap="medium")
    rows = [job.rows[index] for index in shown]
    plain = {"displayModeBar": False}
    left.plotly_chart(overview.counts(rows), config=plain, key="counts", alt="Number of files by answer")
    if any(row.get("covid_interval") for row in rows):
        right.plotly_chart(
            overview.probabilities(rows),
            config=plain,
            key="probabilities",
            alt="Probability of each picture with its interval",
        )
    left, right, _ = st.columns([1, 1, 2])
    left.download_button(
        "Rows as CSV",
        lambda: batch.to_csv(rows),
        "batch.csv",
        "text/csv",
        on_click="ignore",
        icon=":material/download:",
        width="stretch",
    )
    right.download_button(
        "Rows as JSON",
        lambda: json.dumps(rows, indent=1),
        "batch.json",
        "application/json",
        on_click="ignore",
        icon=":material/download:",
        width="stretch",
    )


_ui.only_through_app()
st.title("Many pictures at once")
side, main = st.columns([1, 3], gap="large")
with side:
    _job.begin()
with main:
    job: _job.Job | None = _job.current()
    if job is None:
        st.markdown(
            "Upload pictures or a zip archive and press **Classify**. Each file becomes a row with its answer, or with the "
            "reason why there is none. You can stop at any time and keep what is done."
        )
    else:
        head, body = st.empty(), st.empty()
        try:
            if job.going:
                with head.container():
                    work(job, body)
        except WeightsError as error:
            head.error(str(error), icon=":material/error:")
            job.stop()
        if left := len(job.entries) - len(job.rows):
            words = f"Continue with the remaining {left} of {len(job.entries)}"
            head.button(words, icon=":material/play_arrow:", on_click=job.go_on)
        if job.rows:
            with body.container():
                results(job)
