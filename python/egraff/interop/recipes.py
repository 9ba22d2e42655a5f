# SPDX-License-Identifier: GPL-2.0-or-later
"""What to run where the original package is installed, to get files that egraff can read.

Model files of the originals are pickles of their own classes: only the original can open them, and
only from someone you trust. These lines write the weights and the options as plain data.

``weights_only=False`` stands in what the reader runs there, never in what egraff runs: the
originals have no other way to open their files. A comment above each tells the reader so.
"""

from __future__ import annotations

_MACE = """\
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

_NEQUIP = """\
import json, torch
from nequip.model import ModelFromCheckpoint
torch.save(ModelFromCheckpoint("{source}").state_dict(), "model.pt")
# runs the code in the file: only for files that you trust
content = torch.load("{source}", map_location="cpu", weights_only=False)
json.dump(content["hyper_parameters"]["model"], open("model.json", "w"))"""

_TORCHMD_NET = """\
import json, torch
# runs the code in the file: only for files that you trust
content = torch.load("{source}", map_location="cpu", weights_only=False)
json.dump(dict(content["hyper_parameters"]), open("model.json", "w"), default=str)
torch.save(content["state_dict"], "model.pt")"""

_BY_HAND = """\
import json, torch
torch.save(model.state_dict(), "model.pt")
json.dump(arguments, open("model.json", "w"))  # with which you built the model; classes by name"""

_RECIPES = {
    "allegro": ("nequip-allegro", _NEQUIP),
    "botnet": ("the authors' BOTNet", _BY_HAND),
    "equiformer": ("the authors' Equiformer", _BY_HAND),
    "mace": ("mace-torch", _MACE),
    "nequip": ("nequip", _NEQUIP),
    "torchmd_net": ("torchmd-net", _TORCHMD_NET),
}


def recipe(architecture: str, source: str) -> str:
    """Return instructions for getting ``model.pt`` and ``model.json`` out of a file.

    Args:
        architecture: a key of :data:`egraff.models.ARCHITECTURES`.
        source: name of the original's file.
    """
    package, lines = _RECIPES[architecture]
    code = "\n".join(f"    {line}" for line in lines.format(source=source).splitlines())
    return (
        f"run this in Python where {package} is installed, on a file that you trust, and import "
        f"model.pt\n{code}"
    )
