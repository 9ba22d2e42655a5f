# SPDX-License-Identifier: GPL-2.0-or-later
"""The packages that architectures come from, and how to get files out of them that egraff can read.

Model files of the originals are pickles of their own classes: only the original can open them, and
only from someone you trust. These lines write the weights and the options as plain data.

``weights_only=False`` stands in what the reader runs there, never in what egraff runs: the
originals have no other way to open their files. A comment above each tells the reader so.
"""

from __future__ import annotations

from dataclasses import dataclass

MACE_RECIPE = """\
import json, torch
from mace.tools.scripts_utils import extract_config_mace_model
# runs the code in the file: only for files that you trust
model = torch.load("{source}", map_location="cpu", weights_only=False)
config = extract_config_mace_model(model)
config = {{k: str(v) if k.endswith("irreps") and v else v for k, v in config.items()}}
config["elements"] = config.pop("atomic_numbers").tolist()
config["class"] = type(model).__name__
del config["num_elements"], config["cueq_config"]
plain = lambda v: v.tolist() if hasattr(v, "tolist") else v.__name__
json.dump(config, open("model.json", "w"), default=plain)
torch.save(model.state_dict(), "model.pt")"""

NEQUIP_RECIPE = """\
import json, torch
from nequip.model import ModelFromCheckpoint
torch.save(ModelFromCheckpoint("{source}").state_dict(), "model.pt")
# runs the code in the file: only for files that you trust
content = torch.load("{source}", map_location="cpu", weights_only=False)
json.dump(content["hyper_parameters"]["model"], open("model.json", "w"))"""

TORCHMD_NET_RECIPE = """\
import json, torch
# runs the code in the file: only for files that you trust
content = torch.load("{source}", map_location="cpu", weights_only=False)
json.dump(dict(content["hyper_parameters"]), open("model.json", "w"), default=str)
torch.save(content["state_dict"], "model.pt")"""

BY_HAND_RECIPE = """\
import json, torch
torch.save(model.state_dict(), "model.pt")
json.dump(arguments, open("model.json", "w"))  # with which you built the model; classes by name"""


@dataclass(frozen=True)
class Original:
    """The implementation that an architecture was compared with, whose models can be imported.

    The converter is the module of :mod:`egraff.interop` with the architecture's name.

    Attributes:
        package: its name.
        recipe: lines of Python to run there, with ``{source}`` for the original's file.
        needs_elements: it has weights for every element, trained or not: the user says which are
            meant.
    """

    package: str
    recipe: str
    needs_elements: bool = False

    def instructions(self, source: str) -> str:
        """Say how to get ``model.pt`` and ``model.json`` out of a file of that name."""
        lines = self.recipe.format(source=source).splitlines()
        code = "\n".join(f"    {line}" for line in lines)
        return (
            f"run this in Python where {self.package} is installed, on a file that you trust, and "
            f"import model.pt\n{code}"
        )
