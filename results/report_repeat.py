"""The report's last part: what it takes to repeat the study."""

from collections.abc import Mapping
from typing import Any

from results.markup import element, join
from results.outcome import StudyRecord
from results.report_parts import Section, scroll
from search_spaces.yaml_files import write_text

HARDWARE = "hardware"  # stands among the versions


def repeat_section(
    study: StudyRecord, command: str, search: Mapping[str, Any] | None, facts: Mapping[str, str]
) -> Section:
    """The command as typed, the search file, and what it ran on. ``facts``: what else is known, by name."""
    how = command or "nas search search.yaml"
    said = "" if command else "The command was not recorded; with the search file below saved as search.yaml it is:"
    told = {"search digest": study.search_digest, "data digest": study.data_digest or "not recorded", **facts}
    told[HARDWARE] = study.versions.get(HARDWARE, "not recorded")
    versions = {package: version for package, version in study.versions.items() if package != HARDWARE}
    told |= {f"{package} version": version for package, version in versions.items()} or {"versions": "not recorded"}
    rows = [
        element("tr", element("th", key, scope="row"), element("td", element("code", value)))
        for key, value in told.items()
    ]
    search = study.search if search is None else search
    written = write_text(dict(search)) if search else "the search file was not recorded\n"
    content = join(
        element("p", said) if said else "",
        element("pre", how, tabindex=0, aria_label="Command"),
        element("h3", "Search file, with all defaults written out"),
        element("pre", written, tabindex=0, aria_label="Search file"),
        element("h3", "Versions, data and hardware"),
        scroll("Versions, data and hardware", element("table", element("tbody", *rows))),
    )
    return Section("repeat", "How to repeat it", content)
