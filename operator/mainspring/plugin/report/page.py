"""The report as one page of HTML that needs nothing else: no network, no script, no font.

What a manager reads comes first, and everything that is shown as a picture is also there as a table. Whatever comes from
the cluster is escaped; a policy in the page forbids scripts all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import resources

from mainspring.plan.statistics.bins import percent
from mainspring.plugin.report import bars, heatmap, markup, timeline, verdict
from mainspring.plugin.report.facts import Report, Subject, Tone
from mainspring.plugin.report.svg import element, escaped, readable

PLOTS_SHOWN = 9
DEFECTS_SHOWN = 20
POLICY = "default-src 'none'; style-src 'unsafe-inline'"
SYMBOLS = {Tone.WELL: "✓", Tone.ATTENTION: "!", Tone.BAD: "✕", Tone.UNKNOWN: "?"}
NAMES = {Tone.WELL: "All is well", Tone.ATTENTION: "Attention", Tone.BAD: "Trouble", Tone.UNKNOWN: "Not known"}


def render(report: Report) -> str:
    title = f"Model report: {report.model or report.service}"
    head = (
        '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
        f"<title>{escaped(title)}</title>",
        f"<style>{_styles()}</style>",
    )
    body = _header(report) + element("main", *(section(report) for section in SECTIONS))
    lines = ("<!doctype html>", '<html lang="en">', "<head>", *head, "</head>", "<body>", body, "</body>", "</html>")
    return "\n".join(lines) + "\n"


def _styles() -> str:
    return resources.files(__package__).joinpath("page.css").read_text(encoding="utf-8")


def _header(report: Report) -> str:
    about = [f"InferenceService {report.service}", f"monitor {report.monitor}", f"namespace {report.namespace}"]
    if report.owner:
        about.append(f"owner {report.owner}")
    description = element("p", escaped(report.description), class_="description") if report.description else ""
    return element(
        "header",
        element("p", f"Report of {markup.time(report.generated)}", class_="when"),
        element("h1", f"Model {escaped(report.model or report.service)}"),
        description,
        element("p", escaped(" · ".join(about)), class_="about"),
    )


def _verdict(report: Report) -> str:
    symbol = element("span", SYMBOLS[report.tone], class_="symbol", aria_hidden="true")
    name = element("p", NAMES[report.tone], class_="tone")
    said = element("div", name, element("p", escaped(readable(report.verdict)), class_="sentence"))
    columns = element(
        "div", _listed("What changed", report.changed), _listed("What was done about it", report.done), class_="columns"
    )
    verdict_box = element("section", symbol, said, class_=f"verdict {report.tone.lower()}", aria_label="Verdict")
    return verdict_box + _tiles(report) + columns


def _listed(title: str, sentences: Sequence[str]) -> str:
    items = "".join(element("li", escaped(markup.sentence(text))) for text in sentences) or "<li>Nothing.</li>"
    return element("section", element("h2", title), element("ul", items))


def _tiles(report: Report) -> str:
    found = [tile for make in TILES if (tile := make(report)) is not None]
    tiles = (
        element(
            "div",
            element("dt", escaped(name)),
            element("dd", element("b", escaped(value)), element("span", escaped(note))),
        )
        for name, value, note in found
    )
    return element("dl", *tiles, class_="tiles")


Tile = tuple[str, str, str]


def _quality_tile(report: Report) -> Tile | None:
    if report.asked is None:
        return None
    found = report.performance
    value = f"{found.value:.4g}" if found and found.value is not None else "–"
    return verdict.metric_name(report.asked.metric), value, f"{verdict.bound(report.asked)} is asked for"


def _drift_tile(report: Report) -> Tile | None:
    if report.drifted is None:
        return None
    return "drifting now", str(report.drifted), f"of {len(report.subjects)} shown here"


def _rows_tile(report: Report) -> Tile | None:
    if report.window is None:
        return None
    return "last window", f"{report.window.rows} rows", f"until {markup.time_text(report.window.end)}"


def _labels_tile(report: Report) -> Tile | None:
    found = report.performance
    if found is None or found.coverage is None:
        return None
    note = "many more for some predictions than for others" if found.biased else f"{found.labels} in the last season"
    return "rows with a label", percent(found.coverage), note


def _version_tile(report: Report) -> Tile | None:
    if report.version is None:
        return None
    since = f"since {markup.time_text(report.serving_since)}" if report.serving_since else "serving"
    return "version", report.version, since


def _retrains_tile(report: Report) -> Tile | None:
    promoted = sum(told.entry.outcome == "Promoted" for told in report.retrains)
    return "retrained", str(len(report.retrains)), f"{promoted} took over"


TILES: tuple[Callable[[Report], Tile | None], ...] = (
    _quality_tile,
    _drift_tile,
    _rows_tile,
    _labels_tile,
    _version_tile,
    _retrains_tile,
)


def _quality(report: Report) -> str:
    if report.asked is None:
        return ""
    if not timeline.has_quality(report):
        text = "No window has a measured value yet: labels have to come in first."
        return markup.section("Quality over time", element("p", escaped(text), class_="empty"))
    keys = [("measured", "measured from labels, over the season up to then"), ("band", "its 95 % interval")]
    if any(w.performance and w.performance.estimated is not None for w in report.windows):
        keys.append(("estimated", "estimated without labels, for information"))
    keys.append(("bound", f"{verdict.bound(report.asked)} is asked for"))
    if report.retrains:
        keys.append(("flag", "retrain, numbered as in the table below; filled when its version took over"))
    plot = markup.both(lambda width, _: timeline.draw_quality(report, width))
    return markup.section("Quality over time", markup.figure(plot, keys), _quality_table(report))


def _drift(report: Report) -> str:
    if not heatmap.has_drift(report):
        return ""
    keys = [
        ("shade s0", "as in the reference"),
        ("shade s1", "over half of the threshold"),
        ("shade s2", "over the threshold"),
        ("shade s3", "over 1.5 times"),
        ("shade s4", "over three times"),
        ("drifting", "drifts: certain, large, and twice in a row"),
    ]
    shown = heatmap.shown(report)
    most = "; the features that moved most are shown" if len(shown) == heatmap.FEATURES_SHOWN else ""
    text = f"Each row is a feature or a prediction, each cell a window{most}."
    plot = markup.both(lambda width, narrow: heatmap.draw(report, width, narrow))
    return markup.section("Drift over time", element("p", text), markup.figure(plot, keys), _drift_table(report))


def _distributions(report: Report) -> str:
    if not report.subjects:
        return ""
    shown = _plotted(report.subjects)
    keys = [("reference", "in the reference"), ("now", "in the last judged window")]
    text = f"Compared is {report.judged}, with {report.compared_with}."
    cards = element("div", *(_card(subject) for subject in shown), class_="cards")
    return markup.section(
        "Now and in the reference",
        element("p", escaped(readable(text))),
        markup.legend(keys),
        cards,
        _subjects_table(report.subjects),
    )


def _plotted(subjects: Sequence[Subject]) -> list[Subject]:
    """The worst, and the prediction in any case."""
    worst = list(subjects[:PLOTS_SHOWN])
    return worst + [s for s in subjects[PLOTS_SHOWN:] if s.is_prediction]


def _card(subject: Subject) -> str:
    state = "drifts" if subject.drifted else "over its threshold once" if subject.exceeds else ""
    badge = element("span", state, class_="badge") if state else ""
    name = element("bdi", escaped(subject.name))
    caption = element("figcaption", element("h3", name, badge), element("p", escaped(readable(subject.explanation))))
    class_ = "card drifted" if subject.drifted else "card"
    return element("figure", caption, bars.draw(subject), class_=class_)


def _inputs(report: Report) -> str:
    if not report.subjects and not report.defects:
        return ""
    if not report.defects:
        text = "No value was missing, unseen in training, or out of its range."
        return markup.section("Values that came in wrong", element("p", text))
    rows = [
        (d.column, d.check, percent(d.now), percent(d.reference), percent(d.allowed), "too many" if d.degraded else "")
        for d in report.defects[:DEFECTS_SHOWN]
    ]
    head = ("column", "what", "of rows now", "in the reference", "more are allowed", "")
    return markup.section("Values that came in wrong", markup.table(head, rows, numeric={2, 3, 4}))


def _retrains(report: Report) -> str:
    if not report.retrains and report.need is None:
        return ""
    need = ""
    if report.need is not None:
        told = next((c.message for c in report.conditions if c.type == "RetrainTriggered"), "")
        text = f"Since {markup.time_text(report.need.since)} the model should be trained anew ({report.need.reason}). {told}"
        need = element("p", escaped(markup.sentence(text)), class_="need")
    if not report.retrains:
        return markup.section("Retraining", need)
    rows = [
        (
            str(number),
            markup.time_text(told.entry.time),
            told.message or str(told.entry.reason),
            told.entry.outcome,
            told.entry.version or "–",
            str(told.entry.new_rows),
            told.entry.run,
        )
        for number, told in enumerate(report.retrains, 1)
    ]
    head = ("", "when", "why", "outcome", "version", "new labelled rows", "TrainingRun")
    return markup.section("Retraining", need, markup.table(head, rows, numeric={5}))


def _volume(report: Report) -> str:
    if not report.windows:
        return ""
    keys = [("rows", "predicted rows of a window"), ("rows few", "too few to be judged"), ("labels", "its labels")]
    if any(window.inputs_degraded for window in report.windows):
        keys.append(("wrong", "values came in worse than is allowed"))
    plot = markup.both(lambda width, _: timeline.draw_volume(report, width))
    note = ""
    if report.performance is not None and report.performance.biased:
        text = "Labels come much more often for some predictions than for others: the measured quality does not speak for all rows."
        note = element("p", text, class_="need")
    return markup.section("Requests and labels", note, markup.figure(plot, keys))


def _details(report: Report) -> str:
    conditions = [(c.type, c.status, c.reason, c.message) for c in report.conditions]
    reading = (
        "PSI is the population stability index: how far apart two distributions are. A feature drifts when the difference "
        "is certain (chi-squared test, corrected for all features, at 0.001), large (PSI above its threshold), and there in "
        "two windows one after the other. Measured quality is what labels say; the whole 95 % interval has to be on the "
        "wrong side of the bound before anything follows."
    )
    return markup.section(
        "Details",
        element("p", reading),
        *(element("p", escaped(note), class_="need") for note in report.notes),
        markup.folded("What the monitor says", markup.table(("condition", "status", "reason", "message"), conditions)),
        element(
            "p",
            f"Made by mainspring {escaped(report.mainspring)} at {markup.time(report.generated)}. All times are UTC.",
            class_="about",
        ),
    )


SECTIONS = (
    _verdict,
    _quality,
    _drift,
    _distributions,
    _inputs,
    _retrains,
    _volume,
    _details,
)


def _quality_table(report: Report) -> str:
    rows = [
        (
            str(window.number),
            markup.time_text(window.end),
            window.version,
            markup.number(found.value),
            f"{markup.number(found.lower)} to {markup.number(found.upper)}",
            markup.number(found.estimated),
            str(found.labels),
        )
        for window in report.windows
        if (found := window.performance) is not None
    ]
    head = ("window", "until", "version", "measured", "95 % interval", "estimated", "labels")
    return markup.folded("The same as a table", markup.table(head, rows, numeric={0, 3, 4, 5, 6}))


def _drift_table(report: Report) -> str:
    names = heatmap.shown(report)
    rows = []
    for name in names:
        found = [(window, window.moved[name]) for window in report.windows if name in window.moved]
        window, highest = max(found, key=lambda pair: pair[1].psi)
        drifting = [w for w, moved in found if moved.drifted]
        since = markup.time_text(drifting[0].start) if drifting else "never"
        until = markup.time_text(drifting[-1].end) if drifting else ""
        rows.append(
            (
                heatmap.title_of(name),
                f"{found[-1][1].psi:.3f}",
                f"{highest.psi:.3f}",
                markup.time_text(window.end),
                since,
                until,
                str(len(drifting)),
            )
        )
    head = ("feature", "PSI in its last window", "highest PSI", "at", "drifted first", "and last", "windows")
    return markup.folded("The same as a table", markup.table(head, rows, numeric={1, 2, 6}))


def _subjects_table(subjects: Sequence[Subject]) -> str:
    rows = [
        (
            s.name,
            f"{s.psi:.3f}",
            f"{s.threshold:.3f}",
            f"{s.p_value:.2g}",
            "drifts" if s.drifted else "once" if s.exceeds else "no",
            markup.time_text(s.since) if s.since else "",
            s.explanation,
        )
        for s in subjects
    ]
    head = ("feature", "PSI", "threshold", "p", "over it", "since", "what moved")
    return markup.folded(f"All {len(rows)} as a table", markup.table(head, rows, numeric={1, 2, 3}))
