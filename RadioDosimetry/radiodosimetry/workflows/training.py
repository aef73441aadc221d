"""A folder of patients and a configuration to a trained model: any of the networks, by one function."""

from __future__ import annotations

from pathlib import Path

from ..errors import CancelledError, InputError
from ..learning.configuration import nearest_names
from ..learning.torch_import import torch_module
from ..learning.training_errors import ShareDoneError
from ..learning.training_folder import CHECKPOINT
from ..progress import Progress

TRAINED_NETWORKS = {
    "unet": "residual 3-D U-Net on top of multiple voxel S-values (Kim et al. 2022)",
    "dblurdosenet": "DblurDoseNet on top of density-scaled kernels (Li et al. 2022)",
    "delayed-pet": "later PET from an early one (Kim et al. 2025)",
}
"""Networks that can be trained, each with what it is."""


def train_model(
    network: str,
    data: Path,
    config: Path | None,
    output: Path,
    *,
    start: Path | str | None = None,
    resume: bool = False,
    device: str = "cpu",
    fold: tuple[int, int] | None = None,
    progress: Progress | None = None,
) -> Path:
    """Train a network on a data set as `radiodosimetry simulate` writes it, and end in a model file with its card.

    Parameters
    ----------
    network
        One of `TRAINED_NETWORKS`.
    data
        Folder of the data set, with its `manifest.json`.
    config
        TOML; what it leaves out, or all if None, is as published.
    output
        Folder of the run: model and card, log, learning curve, checkpoint.
    start
        Model of dose to begin with, a file or the name of one that comes with RadioDosimetry: its patients may not
        judge. None: begin with nothing learned.
    resume
        Go on from the checkpoint in `output`; on the CPU the model has the same bits as if the run had not stopped.
    device
        "cpu", "cuda" or "cuda:N".
    fold
        (number, K): hold out fold `number` of K, by source patient. None: no patient is held out.
    progress
        Told how much is done.

    Returns
    -------
    Path
        The model's weights; the card lies beside them. In all processes of a `torchrun` but the first, which alone
        judges and writes the model, the folder of the run.

    Raises
    ------
    InputError
        The network, data, configuration or fold cannot be used, or the folder holds another run.
    TrainingStoppedError
        Going on was pointless: a loss was not a number, a network collapsed.
    OutputError, DeviceError, CancelledError
        As their names say; the last checkpoint stays.
    """
    if network not in TRAINED_NETWORKS:
        raise InputError(f"There is no network '{network}' to train; {nearest_names(network, TRAINED_NETWORKS)}")
    torch_module()
    from ..virtual_patients.dataset import read_dataset

    dataset = read_dataset(Path(data))
    try:
        if network == "delayed-pet":
            if start is not None:
                raise InputError("A training of delayed PET begins anew; it cannot start from a model.")
            from ..delayed_pet.training import train_delayed_pet

            return train_delayed_pet(
                dataset, config, output, resume=resume, device=device, fold=fold, progress=progress
            )
        from ..learned_dose.training import train_dose_network
        from .evaluation import model_file

        begun = None if start is None else model_file(start)
        return train_dose_network(
            network, dataset, config, output, start=begun, resume=resume, device=device, fold=fold, progress=progress
        )
    except ShareDoneError:
        return Path(output)
    except KeyboardInterrupt as interrupt:
        kept = "go on with --resume" if (Path(output) / CHECKPOINT).exists() else "there is no checkpoint yet"
        raise CancelledError(f"Cancelled; {kept}.") from interrupt
