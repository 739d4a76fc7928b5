from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from include.retraining.documents import sha256_of
from include.retraining.evaluation.metrics import METRICS
from include.retraining.exceptions import ArtifactError, RegistryError, StorageError, TrainingError
from include.retraining.gate.rules import judge
from include.retraining.maintenance.reproduce import reproduce
from include.retraining.model_card.render import write_card
from include.retraining.registry.promotion import Registry
from include.retraining.registry.versions import (
    VersionManifest,
    load_estimator,
    read_version,
    verify_version,
)
from include.retraining.steps import train as train_step
from include.retraining.steps.train import train
from include.retraining.store.layout import version_manifest_key
from include.retraining.store.object_store import Store
from include.retraining.training.command_model import ExternalModel
from tests.support.toy_commands import (
    PREDICT,
    PREDICT_2,
    TRAIN,
    commands,
    make_external,
    make_python,
    script,
)
from tests.support.toy_models import Toy, make_frame

MakeToy = Callable[..., Toy]


def trained(toy: Toy) -> VersionManifest:
    """The version that a new run trains."""
    return read_version(toy.store, toy.name, toy.train(toy.plan()).version)


@pytest.fixture
def toy(make_toy: MakeToy) -> Toy:
    """A model that trains and predicts by commands."""
    made = make_toy()
    make_external(made)
    return made


def test_a_version_holds_its_model_and_its_scripts(toy: Toy):
    """Files and scripts lie in the version with their digests, and it says how it predicts."""
    (toy.models / toy.name / "lib").mkdir()
    (toy.models / toy.name / "lib" / "more.txt").write_text("more")
    version = trained(toy)
    verify_version(toy.store, version)
    names = ["model/mean.txt", "scripts/lib/more.txt", "scripts/predict.py", "scripts/train.py"]
    assert [file.name for file in version.files] == names
    stored = [toy.store.read(f"{version.folder}/{name}") for name in names]
    assert [file.sha256 for file in version.files] == [sha256_of(data) for data in stored]
    assert stored[3].decode() == TRAIN
    assert version.model_bytes == len(stored[0])
    assert version.predicts_by is not None
    assert version.predicts_by.command == tuple(commands()["predict"])
    assert (version.predicts_by.format, version.predicts_by.positive) == (1, 1)
    assert version.classes == (0, 1)
    assert version.features == ("a", "b")
    assert version.libraries == ()
    assert version.train_seconds > 0
    assert version.peak_memory_bytes > 10**6


@pytest.mark.parametrize("problem", list(METRICS))
def test_each_kind_of_problem_is_trained_judged_and_reproduced(make_toy: MakeToy, problem: str):
    """Validation, split, evaluation and reproduction are ours and work on predictions."""
    toy = make_toy(problem)
    make_external(toy)
    job, report = toy.run()
    assert report.challenger.metrics[toy.config.gates.metric] > 0.5
    assert report.challenger.latency_ms_per_1000_rows > 5
    verdict = judge(report, toy.config.gates, report_digest=report.content_digest)
    assert verdict.passed, verdict.headline
    found = reproduce(toy.store, job.paths)
    assert found.is_same
    assert found.rows_that_differ == 0


def counted(text: str, name: str, starts: Path) -> str:
    """A script that notes that it was started."""
    return f"open({str(starts)!r}, 'a').write({name!r})\n{text}"


@pytest.mark.parametrize(("number", "starts"), [(1, "tpp" + "pppp"), (2, "tpp" + "p")])
def test_how_often_a_run_starts_its_commands(toy: Toy, tmp_path: Path, number: int, starts: str):
    """Once to train and twice to see that it answers as trained; to score, once in format 2."""
    started = tmp_path / "starts"
    predict = PREDICT if number == 1 else PREDICT_2
    make_external(
        toy,
        train=counted(TRAIN, "t", started),
        predict=counted(predict, "p", started),
        format=number,
    )
    toy.run()
    assert started.read_text() == starts


def test_both_formats_give_the_same_predictions(make_toy: MakeToy):
    """What a version predicts does not depend on how it is asked, and each is judged as it is."""
    toy = make_toy()
    make_external(toy)
    toy.promote(*toy.run())
    make_external(toy, format=2)
    job, report = toy.run()
    assert report.champion.error is None
    assert report.champion.serving.version != report.challenger.version
    table = predictions(toy, job)
    assert table["champion_probability"] == table["challenger_probability"]
    version = read_version(toy.store, toy.name, report.challenger.version)
    assert (version.predicts_by.format, version.predicts_by.tables) == (2, "csv")
    found = reproduce(toy.store, job.paths)
    assert found.is_same


def test_it_works_on_any_store(make_toy: MakeToy, any_store: Store):
    """A version with folders is published, verified and asked on a folder and on S3 alike."""
    toy = make_toy(store=any_store)
    make_external(toy)
    toy.promote(*toy.run())
    toy.deliver(make_frame("binary", seed=3))
    _, report = toy.run()
    assert report.champion.error is None
    assert report.champion.scores.metrics["accuracy"] > 0.7


def test_a_card_says_by_what_it_predicts(toy: Toy):
    """The card of such a version names its command, and no scikit-learn."""
    job, report = toy.run()
    verdict = judge(report, toy.config.gates, report_digest=report.content_digest)
    write_card(toy.store, job.paths, job.manifest, verdict)
    cards = [info.key for info in toy.store.objects(job.paths.folder) if info.key.endswith(".md")]
    (card,) = (toy.store.read(key).decode() for key in cards)
    assert re.search(r"It predicts by a command, .*predict\.py", card)
    assert "It loads with scikit-learn" not in card


def predictions(toy: Toy, job) -> dict[str, list]:
    """What each entrant of a run predicted."""
    return pq.read_table(io.BytesIO(toy.store.read(job.paths.predictions))).to_pydict()


def test_a_champion_by_command_meets_a_challenger_in_python(toy: Toy):
    """Each makes its own predictions on the same rows, and they are compared."""
    toy.promote(*toy.run())
    make_python(toy)
    job, report = toy.run()
    assert report.champion.error is None
    assert report.champion.comparison is not None
    table = predictions(toy, job)
    assert table["champion"] != table["challenger"] or (
        table["champion_probability"] != table["challenger_probability"]
    )
    assert len(set(table["champion_probability"])) > 50
    assert report.champion.scores.holdout_digest == report.challenger.holdout_digest


def test_a_champion_in_python_meets_a_challenger_by_command(make_toy: MakeToy):
    """The other way round, too, and the best of late takes part."""
    toy = make_toy()
    toy.promote(*toy.run())
    make_external(toy)
    job, report = toy.run()
    assert report.champion.error is None
    assert report.champion.comparison is not None
    toy.promote(job, report)
    toy.deliver(make_frame("binary", seed=3))
    _, report = toy.run()
    assert report.champion.error is None
    assert report.challenger.metrics["accuracy"] > 0.7


def test_a_champion_predicts_with_its_own_scripts(toy: Toy):
    """Scripts that changed since make another version, and the champion keeps its own."""
    toy.promote(*toy.run())
    worse = PREDICT.replace("math.exp(-2 * a)", "math.exp(-0.01 * a)")
    make_external(toy, predict=worse)
    job, report = toy.run()
    assert report.challenger.version != report.champion.serving.version
    table = predictions(toy, job)
    assert max(table["champion_probability"]) > 0.9
    assert max(table["challenger_probability"]) < 0.6


@pytest.mark.fault("F19")
def test_a_champion_whose_command_fails_is_reported(toy: Toy, tmp_path: Path):
    """Whatever it does, it still is the champion: its failure is said, and nobody wins by it."""
    flag = tmp_path / "fail"
    failing = PREDICT.replace(
        "import csv",
        f"import os\nif os.path.exists({str(flag)!r}): raise SystemExit(4)\nimport csv",
    )
    make_external(toy, predict=failing)
    toy.promote(*toy.run())
    flag.write_text("")
    make_external(toy)
    _, report = toy.run()
    assert report.champion.error.startswith("it cannot predict: training.commands.predict (")
    assert "predict.py): ended with exit code 4; what it said is in" in report.champion.error
    verdict = judge(report, toy.config.gates, report_digest=report.content_digest)
    assert verdict.answer == "cannot_judge"


def test_a_challenger_whose_command_fails_ends_the_run(toy: Toy, tmp_path: Path):
    """A challenger that cannot predict is an error of its own, in its own words."""
    flag = tmp_path / "fail"
    text = f"import os\nif os.path.exists({str(flag)!r}): raise SystemExit(4)\nimport csv"
    make_external(toy, predict=PREDICT.replace("import csv", text))
    job = toy.plan()
    toy.train(job)
    flag.write_text("")
    with pytest.raises(TrainingError, match=r"^training\.commands\.predict .* exit code 4"):
        toy.evaluate(job)


# What is in the store is verified before it is run, and run only where the YAML says so.


def test_a_command_from_the_store_is_not_run_unless_the_yaml_says_so(toy: Toy):
    """A version that says of itself that it may run a command is not trusted for saying so."""
    version = trained(toy)
    with pytest.raises(ArtifactError, match=r"training\.allow_commands: true"):
        load_estimator(toy.store, version, ())
    assert isinstance(load_estimator(toy.store, version, ("command",)), ExternalModel)
    toy.promote(*toy.run())
    toy.changes["training"] = {}
    _, report = toy.run()
    assert "the model's YAML names none" in report.champion.error


def _edit_script(folder: Path) -> None:
    (folder / "scripts" / "predict.py").write_text("raise SystemExit(1)")


def _edit_model(folder: Path) -> None:
    (folder / "model" / "mean.txt").write_text("0.0")


def _add_script(folder: Path) -> None:
    (folder / "scripts" / "sitecustomize.py").write_text("1 / 0")


def _add_to_model(folder: Path) -> None:
    (folder / "model" / "more.txt").write_text("x")


def _add_hidden(folder: Path) -> None:
    (folder / "model" / "mean.txt#1").write_text("x")


def _remove(folder: Path) -> None:
    (folder / "scripts" / "train.py").unlink()


def _link(folder: Path) -> None:
    path = folder / "model" / "mean.txt"
    path.rename(folder.parent / "elsewhere")
    path.symlink_to(folder.parent / "elsewhere")


def _hard_link(folder: Path) -> None:
    os.link(folder / "model" / "mean.txt", folder.parent / "elsewhere")


def _link_folder(folder: Path) -> None:
    (folder / "scripts").rename(folder.parent / "elsewhere")
    (folder / "scripts").symlink_to(folder.parent / "elsewhere")


@pytest.mark.fault("M04")
@pytest.mark.parametrize(
    "damage",
    [
        _edit_script,
        _edit_model,
        _add_script,
        _add_to_model,
        _add_hidden,
        _remove,
        _link,
        _hard_link,
        _link_folder,
    ],
)
def test_a_damaged_version_is_refused_and_not_run(toy: Toy, damage: Callable[[Path], None]):
    """A script or a file altered, too few or too many, or a link: refused before anything runs."""
    version = trained(toy)
    folder = toy.store.local_path(version.folder)
    assert folder is not None
    damage(folder)
    with pytest.raises(ArtifactError):
        verify_version(toy.store, version)
    with pytest.raises(ArtifactError):
        load_estimator(toy.store, version, ("command",))
    with pytest.raises(ArtifactError):
        toy.train(toy.plan())


@pytest.mark.parametrize("name", ["../x", "model/../../x", "/x", "model//x", "model/.x", "model/"])
def test_a_file_outside_the_versions_folder_is_refused(toy: Toy, name: str):
    """A manifest cannot make us write or read anywhere else."""
    version = trained(toy)
    files = (*version.files, version.files[0].model_copy(update={"name": name}))
    with pytest.raises(ArtifactError, match="outside its folder"):
        load_estimator(toy.store, version.model_copy(update={"files": files}), ("command",))


def test_a_command_of_another_format_is_not_asked(toy: Toy):
    """A version made for another interface says which."""
    version = trained(toy)
    assert version.predicts_by is not None
    newer = version.predicts_by.model_copy(update={"format": 3})
    with pytest.raises(ArtifactError, match="asked in format 3, here are 1 and 2"):
        load_estimator(toy.store, version.model_copy(update={"predicts_by": newer}), ("command",))


def test_a_manifest_of_before_still_reads_as_skops(make_toy: MakeToy):
    """A manifest that does not say how it predicts holds a skops file."""
    toy = make_toy()
    version = trained(toy)
    key = version_manifest_key(toy.name, version.version)
    document = json.loads(toy.store.read(key))
    del document["predicts_by"]
    toy.store.write(key, json.dumps(document).encode())
    old = read_version(toy.store, toy.name, version.version)
    assert old == version
    assert load_estimator(toy.store, old, ()).predict(make_frame("binary")[["a", "b"]]) is not None


def test_a_version_that_predicts_otherwise_once_it_is_stored_is_refused(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
):
    """What is read back from the store is asked, and must answer as what was trained."""
    job = toy.plan()
    write = train_step.write_files

    def other(folder, files):
        write(folder, {**files, **({"mean.txt": b"3.5"} if "mean.txt" in files else {})})

    monkeypatch.setattr(train_step, "write_files", other)
    with pytest.raises(ArtifactError, match="predicts otherwise"):
        train(job)
    assert not toy.store.exists(version_manifest_key(toy.name, job.manifest.version))


def test_predictions_that_change_by_themselves_are_refused(toy: Toy):
    """A command that draws without the seed is no version that could be judged."""
    random = PREDICT.replace("yes = 1 /", "import random; yes = random.random() /")
    make_external(toy, predict=random)
    with pytest.raises(ArtifactError, match="predicts otherwise"):
        train(toy.plan())


@pytest.mark.fault("G07")
def test_an_upload_that_arrives_altered_leaves_no_version(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
):
    """A script is compared as the model is."""
    job = toy.plan()
    upload = Store.upload

    def altered(self, source, key):
        upload(self, source, key)
        if key.endswith("predict.py"):
            self.write(key, b"pass")

    monkeypatch.setattr(Store, "upload", altered)
    with pytest.raises(StorageError, match="arrived altered"):
        train(job)


def test_a_second_run_with_the_same_scripts_adopts_the_version(toy: Toy):
    """Training again what was trained already runs no command."""
    first = trained(toy)
    result = toy.train(toy.plan())
    assert result.adopted
    assert result.version == first.version


@pytest.mark.parametrize("name", ["train.py", "predict.py", "lib/new.py"])
def test_a_changed_script_is_another_version(toy: Toy, name: str):
    """Every file of the folder names the version."""
    before = toy.plan().manifest
    path = toy.models / toy.name / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(path.read_text() + "CHANGED = True\n" if path.exists() else "")
    after = toy.plan().manifest
    assert before.code.model_digest != after.code.model_digest
    assert before.version != after.version


def test_another_command_is_another_version(toy: Toy):
    """The commands are part of what can change a model."""
    before = toy.plan().manifest
    toy.changes["training"]["commands"]["train"].append("--more")
    assert toy.plan().manifest.version != before.version


def test_a_command_may_be_promoted_by_hand_only_where_it_may_run(toy: Toy):
    """The way out for a lost champion loads the version under the same rule."""
    toy.promote(*toy.run())
    make_external(toy, train=script(TRAIN, "pass"))
    version = trained(toy)
    registry = Registry(toy.store, toy.name)
    how = {"actor": "tests", "reason": "planted"}
    with pytest.raises(ArtifactError, match="allow_commands"):
        registry.promote_unjudged(version.version, **how)
    entry = registry.promote_unjudged(version.version, trusted=toy.config.training.trusted, **how)
    assert entry.version == version.version
    with pytest.raises(RegistryError, match="serves already"):
        registry.promote_unjudged(version.version, **how)
