# SPDX-License-Identifier: Apache-2.0
"""The predicted latency of a whole model under a choice for each of its layers."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from tfprune.converter.api import check_min_speedup
from tfprune.converter.capability import Layer, Refused
from tfprune.converter.chains import Neighbours, without_moves
from tfprune.converter.plan import NotSmaller, Plan, Study, choose, study
from tfprune.costs import CostTable, StockOp, predict_in_chain, predict_stock
from tfprune.costs.chains import ends, knows_chains
from tfprune.errors import MappingError, PatternError
from tfprune.mapping.budget import Budget
from tfprune.mapping.choice import DENSE, Choice
from tfprune.mapping.network import Network, NetworkLayer
from tfprune.mapping.other_operators import OtherOperators, Place, dense_time
from tfprune.mapping.planar_chains import PlanarGraph, chained_op
from tfprune.sparsity.blocks import Mask
from tfprune.sparsity.select import select
from tfprune.tables import shortened

_MILLISECOND = {"microseconds": 1e-3, "milliseconds": 1.0}


@dataclasses.dataclass(frozen=True)
class LayerPrediction:
    """What a layer is predicted to take under its choice, in the table's unit, all its calls together.

    Attributes:
        choice: what was asked for.
        sparse: whether the converter would make it sparse; where not, it runs dense whatever zeros it has.
        time: predicted time.
        dense_time: of the dense layer.
        stored_bytes: bytes of its weights in the file.
        macs: multiply-adds of one run.
        sparsity: share of zeros that the pattern reaches at the choice's sparsity.
        encoding: how the converter would store it, or ``""``.
        reason: why it stays dense, or ``""``.
    """

    choice: Choice
    sparse: bool
    time: float
    dense_time: float
    stored_bytes: int
    macs: float
    sparsity: float = 0.0
    encoding: str = ""
    reason: str = ""


@dataclasses.dataclass(frozen=True)
class Prediction:
    """What a model is predicted to take.

    Attributes:
        layers: by name; layers without a choice are dense.
        other_time: of all operators that no choice changes.
        unit: of times.
    """

    layers: dict[str, LayerPrediction]
    other_time: float
    unit: str

    @property
    def time(self) -> float:
        """Of the whole model."""
        return self.other_time + sum(layer.time for layer in self.layers.values())

    @property
    def stored_bytes(self) -> int:
        """Of the weights of all layers."""
        return sum(layer.stored_bytes for layer in self.layers.values())

    @property
    def macs(self) -> float:
        """Multiply-adds of all layers."""
        return sum(layer.macs for layer in self.layers.values())

    def share(self, budget: Budget, dense: Prediction) -> float:
        """How much of a budget is used: at most 1 where it is met.

        Args:
            budget: the limit.
            dense: what the dense model takes.

        Raises:
            MappingError: milliseconds of a table that counts something else.
        """
        if budget.kind == "latency_ms":
            if self.unit not in _MILLISECOND:
                raise MappingError(
                    f"latency_ms: the profile counts {self.unit}, which are no milliseconds; give latency_ratio, the "
                    "share of the dense model's latency"
                )
            used = self.time * _MILLISECOND[self.unit]
        elif budget.kind == "latency_ratio":
            used = self.time / dense.time
        elif budget.kind == "size_bytes":
            used = float(self.stored_bytes)
        else:
            used = self.macs / dense.macs
        return used / budget.limit


class LatencyModel:
    """Predicts models from a cost table, as the converter of the same table would decide.

    The time of a layer depends on its shape, not on its values: layers of one shape are studied once for each pattern
    and sparsity, on the zeros of the first of them. A fully connected layer of more than 4 million weights is studied
    on some of its outputs, as if the others had the same zeros.

    Args:
        network: the model.
        table: coefficients of the device.
        min_speedup: what the converter will be given.
        notes: what is to be known of the table's predictions.

    Attributes:
        notes: the same, with what is to be known of the model.
        dense: what the model takes without zeros.
        others: the operators that are no layers.
        knows_chains: whether the table was fitted on chains; where not, every layer counts as alone.
    """

    def __init__(
        self, network: Network, table: CostTable, *, min_speedup: float = 1.05, notes: tuple[str, ...] = ()
    ) -> None:
        check_min_speedup(min_speedup)
        self.network = network
        self.table = table
        self.notes = (*notes, *_open_images(network))
        self.min_speedup = min_speedup
        self._neighbours = Neighbours(network.graph)
        layers = [(each.subgraph, each.index) for layer in network.layers for each in layer.operators]
        self.others = OtherOperators(network.graph, table, network.precision, layers)
        self.knows_chains = knows_chains(table, network.precision)
        self._planar = PlanarGraph(network.graph, [each for layer in network.layers for each in layer.operators])
        self._studies: dict[tuple[Any, ...], Study | Refused] = {}
        self._sparsities: dict[tuple[Any, ...], float] = {}
        self.dense = self.predict({})

    def predict(self, choices: Mapping[str, Choice]) -> Prediction:
        """The model under choices by layer name; a layer that is not among them stays dense.

        Raises:
            MappingError: an unknown layer, or a pattern that a layer cannot have.
        """
        for name in choices:
            self.network.layer(name)
        decided: dict[str, list[tuple[Layer, Study | Refused, Plan | Refused]]] = {}
        for layer in self.network.layers:
            choice = choices.get(layer.name, DENSE)
            decided[layer.name] = [self._decide(layer, operator, choice) for operator in layer.operators]
        sparse = {
            (operator.subgraph, operator.index)
            for every in decided.values()
            for operator, _, outcome in every
            if isinstance(outcome, Plan) and operator.planar
        }
        chained, moved = self._chains(sparse)
        found = {
            layer.name: self._prediction(layer, choices.get(layer.name, DENSE), decided[layer.name], sparse, chained)
            for layer in self.network.layers
        }
        return Prediction(found, self.others.time(chained) + moved, self.table.unit)

    def _chains(self, sparse: set[Place]) -> tuple[dict[Place, float], float]:
        """What operators take in chains besides multiplications, by place, and what enters and leaves these takes."""
        chained: dict[Place, float] = {}
        moved = 0.0
        if self.knows_chains:
            for chain in self._planar.chains(sparse):
                moved += self._stock_time(ends(chain.entering, chain.leaving))
                chained |= {node.place: self._stock_time(chained_op(node).work()) for node in chain.nodes}
        return chained, moved

    def _stock_time(self, work: list[StockOp]) -> float:
        return sum(predict_stock(self.table, self.network.precision, each) for each in work)

    def sparsity(self, layer: NetworkLayer, choice: Choice) -> float:
        """Share of zeros that the choice really makes.

        Raises:
            MappingError: a pattern that the layer cannot have.
        """
        key = (layer.weights.shape, layer.layout, choice)
        if key not in self._sparsities:
            self._mask(layer, choice)
        return self._sparsities[key]

    def _mask(self, layer: NetworkLayer, choice: Choice) -> Mask:
        """Which weights of the layer's part stay; not kept, because masks of all choices would fill a machine."""
        assert choice.pattern is not None
        try:
            mask = select(layer.part.weights, choice.pattern, choice.sparsity, layout=layer.layout)
        except PatternError as error:
            raise MappingError(f"layer `{layer.name}`: {error}") from error
        self._sparsities[layer.weights.shape, layer.layout, choice] = 1 - float(np.count_nonzero(mask)) / mask.size
        return mask

    def _decide(
        self, layer: NetworkLayer, operator: Layer, choice: Choice
    ) -> tuple[Layer, Study | Refused, Plan | Refused]:
        if choice.dense or layer.obstacle:
            refused = Refused("dense", layer.obstacle or layer.spared or "it stays dense")
            return operator, refused, refused
        key = (layer.weights.shape, layer.layout, choice, operator.cost_shape)
        if key not in self._studies:
            constant = self.network.graph.tensor(operator.subgraph, operator.numbers.source)
            matrix = layer.stored(self._mask(layer, choice), operator, self.network.graph.shape(constant))
            dense_bytes = self._stored_bytes(operator)
            try:
                known: Study | Refused = study(
                    operator,
                    matrix,
                    dense_bytes,
                    self.table,
                    self.min_speedup,
                    weights=layer.part.weights.size,
                    repeats=layer.part.repeats,
                )
            except Refused as refused:
                known = refused
            self._studies[key] = known
        known = self._studies[key]
        return operator, known, _outcome(operator, known, self.min_speedup)

    def _prediction(
        self,
        layer: NetworkLayer,
        choice: Choice,
        decided: list[tuple[Layer, Study | Refused, Plan | Refused]],
        sparse: set[Place],
        chained: Mapping[Place, float],
    ) -> LayerPrediction:
        """Adds up the calls of a layer."""
        time = whole_dense = macs = 0.0
        reasons, plans = [], []
        for operator, known, outcome in decided:
            dense = dense_time(self.table, operator.cost_shape)
            if isinstance(known, Study) and operator.planar and operator.cost_shape.dense_op is None:
                sides = self._neighbours.planar_sides(operator, sparse)
                moved = without_moves(known, operator, self.table, sides)
                outcome = _outcome(operator, moved, self.min_speedup)
            whole_dense += dense
            place = (operator.subgraph, operator.index)
            if isinstance(outcome, Plan):
                plans.append(outcome)
                time += self._sparse_time(operator, known, outcome, chained.get(place))
                macs += outcome.values * operator.cost_shape.pixels
            else:
                reasons.append(str(outcome))
                time += chained.get(place, dense)
                macs += operator.cost_shape.dense_macs
        return LayerPrediction(
            choice=choice,
            sparse=bool(plans) and not reasons,
            time=time,
            dense_time=whole_dense,
            stored_bytes=plans[0].packed_bytes if plans and not reasons else self._dense_bytes(layer),
            macs=macs,
            sparsity=0.0 if choice.dense or layer.obstacle else self.sparsity(layer, choice),
            encoding=plans[0].encoding_name if plans else "",
            reason=reasons[0] if reasons else "",
        )

    def _sparse_time(self, operator: Layer, known: Study | Refused, plan: Plan, in_chain: float | None) -> float:
        """Of a layer alone, or inside of a chain, where images need not be moved."""
        assert isinstance(known, Study)
        same = (plan.encoding, plan.rows, plan.cols)
        alone = next(each for each in known.candidates if (each.encoding, each.rows, each.cols) == same).sparse_time
        return alone if in_chain is None else predict_in_chain(self.table, operator.cost_shape, alone) + in_chain

    def _dense_bytes(self, layer: NetworkLayer) -> int:
        return self._stored_bytes(layer.operators[0]) if layer.operators else layer.weights.nbytes

    def _stored_bytes(self, operator: Layer) -> int:
        graph = self.network.graph
        return int(graph.stored_bytes(graph.tensor(operator.subgraph, operator.numbers.source)))


def _open_images(network: Network) -> Iterator[str]:
    """Says which layers are predicted on one pixel, and are dense therefore."""
    names = [layer.name for layer in network.layers if any(each.image is None for each in layer.operators)]
    if names:
        yield (
            f"the model leaves the size of its images open: {shortened(names)} count as on images of 1x1, and no "
            "speed-up is predicted for them; give its Input a fixed height and width"
        )


def _outcome(operator: Layer, known: Study | Refused, min_speedup: float) -> Plan | Refused:
    if isinstance(known, Refused):
        return known
    try:
        return choose(operator, known, min_speedup)
    except NotSmaller as refused:
        # Small layers may be packed all the same, where others pay their bytes; the converter decides that in the end.
        return refused.plan if refused.more_bytes < 0 else refused
    except Refused as refused:
        return refused
