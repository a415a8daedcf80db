"""A bundle's embedding network, parted into layers that stay and an end that is trained."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.domain.errors import BundleError
from app.training.networks import with_second_end

_SUFFIX = "_two_ends"


@dataclass(frozen=True, slots=True)
class PartedNetwork:
    """An embedding that is the sum of two ends, each of unit length, behind shared layers.

    Attributes:
        single: From images to the first end's embedding (n, d).
        border: The last shared layer.
        first: The first end, from the border's output.
        second: The second end likewise; a copy of the first where the base has one end.
        weight: Of the second end; the first has 1.
    """

    single: Any
    border: str
    first: Any
    second: Any
    weight: float

    @property
    def trunk(self) -> Any:
        """The shared layers, from images to the border's output."""
        import keras

        return keras.Model(self.single.input, self.single.get_layer(self.border).output)

    def joined(self, end: Any) -> Any:
        """The whole network, with `end` for its second one."""
        # Half precision, as the default bundle stores its weights: the Keras file packs to half.
        end.set_weights([w.astype(np.float16).astype(np.float32) for w in end.get_weights()])
        return with_second_end(self.single, self.border, end, self.weight)


def parted(network: Any, borders: Sequence[str], weight: float, *, version: str) -> PartedNetwork:
    """Part `network` at the first of `borders` that it has.

    Args:
        network: Of a bundle.
        borders: Names of layers.
        weight: Of the second end where there is none yet.
        version: Of the bundle, for the error.

    Raises:
        BundleError: If the network has none of these layers.
    """
    import keras

    names = {layer.name for layer in network.layers}
    border = next((name for name in borders if name in names), None)
    if border is None:
        raise BundleError(
            f"The bundle {version} can't be finetuned: its network {network.name!r} has no layer "
            f"{' or '.join(borders)} to train behind. Activate the default bundle first, or train "
            "another preset."
        )
    output, second = network.output, None
    if "second_end" in names:
        output, second = network.get_layer("first_unit").input, network.get_layer("second_end")
        weight = float(network.get_layer("second_weighted").scale)
    name = network.name.removesuffix(_SUFFIX)
    single = keras.Model(network.input, output, name=name)
    first = keras.Model(single.get_layer(border).output, output, name="first_end")
    return PartedNetwork(single, border, first, copy_of(second or first), weight)


def copy_of(network: Any) -> Any:
    """The same network with weights of its own."""
    import keras

    copy = keras.models.clone_model(network)
    copy.set_weights(network.get_weights())
    return copy
