"""What a layout remembers of towers changes nothing: neither whose towers they are, nor how many are remembered."""

import pickle

import pytest

from search_spaces import facts
from search_spaces.architecture import Architecture, Module, Stage
from search_spaces.errors import RequestError
from search_spaces.layout import forget, layout_of
from search_spaces.operations import Conv, Pool
from search_spaces.principles import audit
from search_spaces.seeds import seed
from search_spaces.space import space


def test_towers_are_known_whoever_made_them(monkeypatch: pytest.MonkeyPatch) -> None:
    searched = space("inception")
    drawn = [searched.sample(random_seed) for random_seed in range(5)]
    expected = [layout_of(architecture) for architecture in drawn]
    copies = pickle.loads(pickle.dumps(drawn))
    assert [layout_of(architecture) for architecture in copies] == expected
    monkeypatch.setattr(facts, "REMEMBERED", 3)
    forget()
    assert [layout_of(architecture) for architecture in (*drawn, *copies)] == expected * 2
    assert all(len(grid.seen) == len(grid.held) <= 3 for grid in (facts.grid_facts(35, 35), facts.grid_facts(17, 17)))
    forget()


def test_counts_in_lanes_are_those_of_the_graph_up_to_the_most_channels() -> None:
    wide = Architecture("wide", (Conv((1, 1), width=65_536),), (Stage((Module(((Pool((3, 3)),),) * 256),)),))
    layout, graph = layout_of(wide, 4), wide.graph(4)
    assert layout.shape.channels == facts.MOST_CHANNELS
    head = facts.head_facts(wide.dropout, 1000, 4, 4)
    counts = layout.counts + head.per * facts.MOST_CHANNELS + head.kept
    assert facts.count_of(counts, facts.PARAMS) == graph.params
    assert facts.count_of(counts, facts.MACS) == graph.macs
    wider = Architecture("wider", wide.stem, (Stage((Module(((Pool((3, 3)),),) * 257),)),))
    with pytest.raises(RequestError, match=r"stage1\.module1 gives 16,842,752 channels: up to 16,777,216 can be"):
        layout_of(wider, 4)


def test_findings_are_plain_data_that_write_their_sentence_when_read() -> None:
    found = audit(seed("inception-v3"), 299)
    assert pickle.loads(pickle.dumps(found)) == found
    assert found == audit(seed("inception-v3"), 299)
    for finding in (*found.principles, *found.rules):
        assert not set("{}") & set(finding.sentence)
        assert finding.as_data()["sentence"] == finding.sentence
