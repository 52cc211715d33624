"""The report on one network: pictures, their numbers, and a page that needs no connection."""

from html import escape
from string import Template

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from digitlib import calibration, evaluation, plotting
from digitlib.files import written_whole

PAGE = Template("""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>$title</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root { color-scheme: light dark; }
body { max-width: 52rem; margin: 0 auto; padding: 1rem; font: 1rem/1.5 system-ui, sans-serif; }
img { display: block; max-width: 100%; background: white; }
div { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; white-space: nowrap; }
th, td { padding: .2rem .6rem; text-align: right; border: 0; border-bottom: 1px solid #8886; }
</style>
<h1>$title</h1>
<p>$about</p>
$sections
</html>
""")


def write_report(y_prob, data, folder, *, title):
    """Write report.html, its pictures and their numbers: the path of the page.

    y_prob : what a network gives for `data.x_test`: probabilities, shape (n_test, 10)
    data : `Digits`; what comes from the sample goes to `sample/` inside the folder
    """
    place = folder / "sample" if data.is_sample else folder
    parts = (_metrics, _per_class, _confusion, _confident_errors, _reliability, _risk_coverage)
    sections = []
    for part in parts:
        name, heading, text, table, fig = part(data, y_prob)
        if fig is None:
            content = _with_intervals(table).to_html(border=0, index_names=False)
            plotting.save_table(table, place / f"{name}.csv")
        else:
            content = f'<img src="{name}.png" alt="{heading}">'
            plotting.save_figure(fig, table, name, data=data, folder=folder)
            plt.close(fig)
        sections += [f"<h2>{heading}</h2>", f"<p>{text}</p>", f"<div>{content}</div>"]
        sections += [f'<p><a href="{name}.csv">{name}.csv</a></p>']
    about = escape(f"{data.name}, {len(y_prob):,} test images. Intervals cover 95 %.")
    page = PAGE.substitute(title=escape(title), about=about, sections="\n".join(sections))
    with written_whole(place / "report.html") as draft:
        draft.write_text(page, encoding="utf-8")
    return place / "report.html"


def _with_intervals(table):
    """A table for reading: a value and its `_low` and `_high` as one text."""
    shown = table.drop(columns=table.filter(regex="_(low|high)$"))
    for low in table.filter(regex="_low$"):
        name = low.removesuffix("_low")
        rows = table[[name, low, f"{name}_high"]].to_numpy()
        texts = [f"{row[0]:.4f} ({row[1]:.4f} to {row[2]:.4f})" for row in rows]
        shown[name] = [text.removesuffix(" (nan to nan)") for text in texts]
    return shown


def _metrics(data, y_prob):
    scores = evaluation.metrics(data.y_test, y_prob.argmax(axis=1))
    table = pd.DataFrame({"value": scores}, columns=["value", "value_low", "value_high"])
    for name, share in (("accuracy", scores.accuracy), ("error", 1 - scores.accuracy)):
        interval = evaluation.wilson_interval(round(share * len(y_prob)), len(y_prob))
        table.loc[name] = [share, *interval]
    table.loc["NLL", "value"] = calibration.nll(data.y_test, y_prob)
    table.loc["Brier", "value"] = calibration.brier(data.y_test, y_prob)
    table.loc["ECE", "value"] = calibration.ece(data.y_test, y_prob)
    table.loc["ECE if calibrated"] = calibration.calibrated_ece(y_prob)
    text = (
        "Precision, recall and F1 are means over the ten digits. NLL, Brier and ECE judge the "
        "probabilities, and 0 is best; a calibrated network shows the last ECE by chance."
    )
    return "metrics", "How good is it?", text, table.rename_axis("metric"), None


def _per_class(data, y_prob):
    table = evaluation.per_class_metrics(data.y_test, y_prob.argmax(axis=1))
    return "per_class", "Which digits does it read well?", "With Wilson's intervals.", table, None


def _confusion(data, y_prob):
    y_true, y_pred = data.y_test, y_prob.argmax(axis=1)
    table = pd.crosstab(y_true, y_pred).reindex(range(10), columns=range(10), fill_value=0)
    table = table.add_prefix("read_as_").rename_axis(index="y_true", columns=None)
    ax = plotting.plot_confusion_matrix(y_true, y_pred, ax=plt.figure(figsize=(6, 5.5)).gca())
    text = "Only the errors have colour; the small grey numbers count the right answers."
    return "confusion", "Which digits does it take for which?", text, table, ax.figure


def _confident_errors(data, y_prob):
    y_pred, sure = y_prob.argmax(axis=1), y_prob.max(axis=1)
    wrong = np.flatnonzero(y_pred != data.y_test)
    shown = wrong[np.argsort(-sure[wrong], kind="stable")][:20]
    columns = {"y_true": data.y_test, "y_pred": y_pred, "confidence": sure}
    table = pd.DataFrame(columns).loc[shown].rename_axis("test_index")
    titles = [f"{r.y_true}, read as {r.y_pred}\n{r.confidence:.1%}" for r in table.itertuples()]
    text = "Of its errors, the twenty of which it is surest, or all if there are fewer."
    fig = None
    if titles:
        fig = plotting.plot_digits(data.x_test[shown], titles=titles, n_columns=5)[0].figure
    return "confident_errors", "Where is it surely wrong?", text, table, fig


def _reliability(data, y_prob):
    table = calibration.reliability_table(data.y_test, y_prob)
    ax = plotting.plot_reliability_diagram(table, ax=plt.figure(figsize=(6, 4.5)).gca())
    text = "On the dashes, it is right as often as it says. Below them, it is too sure of itself."
    return "reliability", "Does it know how sure it may be?", text, table, ax.figure


def _risk_coverage(data, y_prob):
    table = calibration.risk_coverage(data.y_test, y_prob)
    ax = plotting.plot_risk_coverage(table, ax=plt.figure(figsize=(6, 3.5)).gca())
    after = table[table.coverage >= 0.99].iloc[0]
    share = 1 - after.coverage
    text = f"Declining the {share:.1%} of which it is least sure leaves {after.risk:.2%} errors."
    return "risk_coverage", "What if it may decline images?", text, table, ax.figure
